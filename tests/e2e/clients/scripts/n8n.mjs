// The calls that n8n's HTTP Request node makes, with the node's HTTP library; one JSON line for each
// way. n8n itself is too large to install for this, and needs a database to run one node.
import { createRequire } from "node:module";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.DARKROOM_CLIENT}/`);
const axios = require("axios");

const env = process.env;
// As the node asks when nothing is set in it: five minutes, any number of redirects that the
// library follows, its own `accept`, a stream that is read as JSON afterwards.
const node = (method, url, data, headers = {}) =>
  axios({
    method,
    url,
    data,
    timeout: 300_000,
    headers: {
      accept:
        "application/json,text/html,application/xhtml+xml,application/xml,text/*;q=0.9, image/*;q=0.8, */*;q=0.7",
      ...headers,
      Authorization: `Bearer ${env.DARKROOM_TOKEN}`,
    },
  });
const create = (headers) =>
  node(
    "POST",
    `${env.DARKROOM_URL}/v1/models/black-forest-labs/flux-schnell/predictions`,
    { input: { prompt: "a lighthouse", megapixels: "0.25" } },
    headers,
  );
const isPicture = async ({ status, output }) => {
  assert.equal(status, "succeeded");
  const { data } = await axios.get(output[0], { responseType: "arraybuffer" });
  return ["RIFF", "\x89PNG"].includes(data.subarray(0, 4).toString("latin1"));
};
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

const checks = [];
const works = (method, check) => checks.push({ method, check });

works("POST, then Wait and GET until it is over", async () => {
  const created = await create();
  assert.equal(created.status, 201);
  let shown = created.data;
  while (["starting", "processing"].includes(shown.status)) {
    await sleep(200);
    shown = (await node("GET", shown.urls.get)).data;
  }
  assert(await isPicture(shown));
});
works("POST, then GET …/wait", async () => {
  let shown = (await create()).data;
  while (["starting", "processing"].includes(shown.status)) {
    shown = (await node("GET", `${shown.urls.get}/wait`)).data;
  }
  assert(await isPicture(shown));
});
works("POST, Darkroom-Wait: redirect (one node)", async () => {
  const followed = await create({ "darkroom-wait": "redirect" });
  assert.equal(followed.status, 200);
  assert(await isPicture(followed.data));
});
works("POST, webhook (to a Webhook or Wait node)", async () => {
  const webhook = `${env.DARKROOM_CALLBACKS_URL}/n8n`;
  const body = { input: { prompt: "a lighthouse" }, webhook, webhook_events_filter: ["completed"] };
  const url = `${env.DARKROOM_URL}/v1/models/black-forest-labs/flux-schnell/predictions`;
  assert.equal((await node("POST", url, body)).status, 201);
  for (let tries = 0; ; tries += 1) {
    const { data } = await axios.get(`${webhook}/seen`);
    if (data) {
      assert(await isPicture(JSON.parse(data.body)));
      return;
    }
    assert(tries < 200, "no callback came");
    await sleep(100);
  }
});
works("error 422", async () => {
  const url = `${env.DARKROOM_URL}/v1/models/black-forest-labs/flux-schnell/predictions`;
  await assert.rejects(node("POST", url, { input: {} }), ({ response }) => {
    assert.deepEqual([response.status, response.data.status], [422, 422]);
    return true;
  });
});

for (const { method, check } of checks) {
  const started = Date.now();
  let [ok, note] = [true, ""];
  try {
    await check();
  } catch (error) {
    [ok, note] = [false, String(error).slice(0, 500)];
  }
  const seconds = (Date.now() - started) / 1000;
  console.log(JSON.stringify({ client: "n8n", method, ok, note, seconds }));
}
process.exit(0);

// Every method of Replicate's JavaScript client against Darkroom; one JSON line for each.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import assert from "node:assert/strict";

const require = createRequire(`${process.env.DARKROOM_CLIENT}/`);
const Replicate = require("replicate");
const { validateWebhook } = Replicate;

const env = process.env;
const auth = env.DARKROOM_TOKEN;
const baseUrl = `${env.DARKROOM_URL}/v1`;
const client = new Replicate({ auth, baseUrl });
const SCHNELL = "black-forest-labs/flux-schnell";
const SDXL = ["stability-ai", "sdxl"];
const SDXL_VERSION = "7762fd07cf82c948538e41f63f77d685e02b063e37e496e96eefd46c929f9bdc";
const SDXL_PINNED = `stability-ai/sdxl:${SDXL_VERSION}`;
const input = { prompt: "a lighthouse", megapixels: "0.25" };
const sdxlInput = { prompt: "a lighthouse", width: 64, height: 64 };
const picture = readFileSync(env.DARKROOM_PICTURE);

const checks = [];
const works = (method, check) => checks.push({ method, check, isRefused: false });
const refused = (method, check) => checks.push({ method, check, isRefused: true });

// The client's one error class has the answer's text in its message.
const explain = async (error) => {
  assert.equal(error.name, "ApiError", String(error));
  const body = JSON.parse(error.message.slice(error.message.indexOf("{"), -1));
  assert.equal(error.response.status, body.status);
  return body;
};
const raises = async (call) => {
  try {
    await call();
  } catch (error) {
    return explain(error);
  }
  throw new Error("nothing was raised");
};
const bytes = async (output) => Buffer.from(await (await output.blob()).arrayBuffer());
const isPicture = async (output) =>
  ["RIFF", "\x89PNG"].includes((await bytes(output)).subarray(0, 4).toString("latin1"));
const collect = async (events) => {
  let text = "";
  for await (const event of events) text += event.toString();
  return text;
};
const callback = async (name) => {
  for (let tries = 0; tries < 200; tries += 1) {
    const seen = await (await fetch(`${env.DARKROOM_CALLBACKS_URL}/${name}/seen`)).json();
    if (seen) return seen;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("no callback came");
};

// Running
works("run", async () => {
  const [output] = await client.run(SCHNELL, { input });
  assert(await isPicture(output));
});
works("run (owner/name:version)", async () => {
  const [output] = await client.run(SDXL_PINNED, { input: sdxlInput });
  assert(await isPicture(output));
});
works("run (wait: poll)", async () => {
  const [output] = await client.run(SCHNELL, { input, wait: { mode: "poll", interval: 200 } });
  assert(await isPicture(output));
});
works("run (hosted URL as input)", async () => {
  const [made] = await client.run(SCHNELL, { input });
  const [output] = await client.run(SDXL_PINNED, { input: { ...sdxlInput, image: made.url().href } });
  assert(await isPicture(output));
});
works("run (local file as input)", async () => {
  const [output] = await client.run(SDXL_PINNED, { input: { ...sdxlInput, image: picture } });
  assert(await isPicture(output));
});
works("run (data URI as input)", async () => {
  const image = `data:application/octet-stream;base64,${picture.toString("base64")}`;
  const [output] = await client.run(SDXL_PINNED, { input: { ...sdxlInput, image } });
  assert(await isPicture(output));
});
works('run (fileEncodingStrategy: "data-uri")', async () => {
  // This version sends itself, token included, as the input: the answer says so.
  const broken = new Replicate({ auth, baseUrl, fileEncodingStrategy: "data-uri" });
  const { status, detail } = await raises(() =>
    broken.run(SDXL_PINNED, { input: { ...sdxlInput, image: picture } })
  );
  assert.equal(status, 422);
  assert(detail.includes("fileEncodingStrategy"));
  return "the client sends its own options as the input: refused with 422, nothing is kept";
});
works("run (failed prediction)", async () => {
  const image = `${env.DARKROOM_URL}/nothing.png`;
  await assert.rejects(client.run(SDXL_PINNED, { input: { ...sdxlInput, image } }), /Prediction failed/);
});
works("stream", async () => {
  const events = client.stream(env.DARKROOM_STREAMING_MODEL, { input: { prompt: "tides", max_tokens: 5 } });
  assert((await collect(events)).includes("tides"));
});
works("FileOutput.blob, url", async () => {
  const [output] = await client.run(SCHNELL, { input });
  assert.equal(output.url().protocol, "https:");
  assert.equal((await output.blob()).type, "image/webp");
});

// Predictions
works("predictions.create", async () => {
  for (const version of [SCHNELL, SDXL_PINNED, SDXL_VERSION]) {
    assert.equal((await client.predictions.create({ version, input: sdxlInput })).status, "starting");
  }
});
works("predictions.create (model)", async () => {
  assert.equal((await client.predictions.create({ model: SCHNELL, input })).status, "starting");
});
works("predictions.create (wait)", async () => {
  const started = Date.now();
  const made = await client.predictions.create({ model: SCHNELL, input, wait: 60 });
  assert.equal(made.status, "starting");
  assert(Date.now() - started < 10_000);
});
works("predictions.create (webhook)", async () => {
  const made = await client.predictions.create({
    model: SCHNELL,
    input,
    webhook: `${env.DARKROOM_CALLBACKS_URL}/javascript`,
    webhook_events_filter: ["completed"],
  });
  assert((await callback("javascript")).body.includes(`"${made.id}"`));
});
works("predictions.get", async () => {
  const made = await client.predictions.create({ model: SCHNELL, input });
  const found = await client.predictions.get(made.id);
  assert.deepEqual([found.id, found.model], [made.id, SCHNELL]);
});
works("predictions.list", async () => {
  assert((await client.predictions.list()).results.length > 1);
});
works("paginate", async () => {
  const other = new Replicate({ auth: env.DARKROOM_LISTING_TOKEN, baseUrl });
  const ids = new Set();
  for await (const page of other.paginate(other.predictions.list)) page.forEach(({ id }) => ids.add(id));
  assert.equal(ids.size, 101);
});
works("predictions.cancel", async () => {
  const made = await client.predictions.create({ model: SCHNELL, input });
  assert.equal((await client.predictions.cancel(made.id)).id, made.id);
  assert(["canceled", "succeeded"].includes((await client.wait(made, {})).status));
});
works("wait", async () => {
  const made = await client.predictions.create({ model: SCHNELL, input });
  assert.equal((await client.wait(made, { interval: 200 })).status, "succeeded");
});

// Models
works("models.get", async () => {
  assert.equal((await client.models.get(...SDXL)).name, "sdxl");
});
works("models.list", async () => {
  assert((await client.models.list()).results.some((model) => model.name === "flux-schnell"));
});
works("models.versions.list", async () => {
  const { results } = await client.models.versions.list(...SDXL);
  assert(results.some((version) => version.id === SDXL_VERSION));
});
works("models.versions.get", async () => {
  const version = await client.models.versions.get(...SDXL, SDXL_VERSION);
  assert(version.openapi_schema.components.schemas.Input);
});

// Files
works("files.create", async () => {
  const file = await client.files.create(picture);
  assert.deepEqual([file.content_type, file.size], ["image/png", picture.length]);
});
works("files.get", async () => {
  const file = await client.files.create(picture);
  assert.equal((await client.files.get(file.id)).id, file.id);
});
works("files.list", async () => {
  const file = await client.files.create(picture);
  assert((await client.files.list()).results.some((each) => each.id === file.id));
});
works("files.delete", async () => {
  const file = await client.files.create(picture);
  assert.equal(await client.files.delete(file.id), true);
  assert.equal((await raises(() => client.files.get(file.id))).status, 404);
});

// Account and webhooks
works("accounts.current", async () => {
  assert((await client.accounts.current()).username);
});
works("webhooks.default.secret.get", async () => {
  assert((await client.webhooks.default.secret.get()).key.startsWith("whsec_"));
});
works("validateWebhook", async () => {
  const { headers, body } = await callback("javascript");
  const { key } = await client.webhooks.default.secret.get();
  assert.equal(await validateWebhook({ headers, body }, key), true);
  assert.equal(await validateWebhook({ headers, body: `${body} ` }, key), false);
});

// Set-up and errors
works("baseUrl ending in /v1/v1", async () => {
  const other = new Replicate({ auth, baseUrl: `${baseUrl}/v1` });
  assert((await other.predictions.list()).results.length > 0);
});
works("error 401", async () => {
  const other = new Replicate({ auth: "r8_wrong", baseUrl });
  assert.equal((await raises(() => other.predictions.list())).title, "Unauthenticated");
});
works("error 404", async () => {
  assert.equal((await raises(() => client.predictions.get("0".repeat(26)))).status, 404);
});
works("error 413", async () => {
  const { status, detail } = await raises(() => client.files.create(Buffer.alloc(5_000_000)));
  assert.equal(status, 413);
  assert(detail.includes("/v1/uploads"));
});
works("error 422", async () => {
  const body = await raises(() => client.predictions.create({ model: SCHNELL, input: {} }));
  assert.equal(body.invalid_fields[0].description, "prompt is required");
});
works("error 429", async () => {
  const other = new Replicate({ auth, baseUrl: `${env.DARKROOM_THROTTLED_URL}/v1` });
  const body = await raises(() => other.predictions.create({ model: SCHNELL, input }));
  assert.deepEqual([body.status, body.retry_after], [429, 1]);
});

// What Darkroom leaves out
refused("models.create", () => client.models.create("a", "b", { visibility: "private", hardware: "cpu" }));
refused("models.search", () => client.models.search("corgi"));
refused("collections.list", () => client.collections.list());
refused("collections.get", () => client.collections.get("text-to-image"));
refused("hardware.list", () => client.hardware.list());
refused("deployments.list", () => client.deployments.list());
refused("deployments.get", () => client.deployments.get("a", "b"));
refused("deployments.create", () =>
  client.deployments.create({
    name: "a",
    model: "stability-ai/sdxl",
    version: SDXL_VERSION,
    hardware: "cpu",
    min_instances: 0,
    max_instances: 1,
  })
);
refused("deployments.update", () => client.deployments.update("a", "b", { max_instances: 1 }));
refused("deployments.delete", () => client.deployments.delete("a", "b"));
refused("deployments.predictions.create", () => client.deployments.predictions.create("a", "b", { input }));
refused("trainings.list", () => client.trainings.list());
refused("trainings.get", () => client.trainings.get("0".repeat(26)));
refused("trainings.cancel", () => client.trainings.cancel("0".repeat(26)));
refused("trainings.create", () =>
  client.trainings.create(...SDXL, SDXL_VERSION, { destination: "a/b", input: {} })
);

for (const { method, check, isRefused } of checks) {
  const started = Date.now();
  let ok = !isRefused;
  let note = isRefused ? "was answered" : "";
  try {
    const said = await check();
    if (!isRefused && typeof said === "string") note = said;
  } catch (error) {
    ok = false;
    note = String(error).slice(0, 500);
    if (isRefused) {
      try {
        const { status, title, detail } = await explain(error);
        ok = [404, 405].includes(status) && (title + detail).includes("served");
        note = `${status} ${title}`;
      } catch {
        // It stays what it was: no clear answer.
      }
    }
  }
  const seconds = (Date.now() - started) / 1000;
  console.log(JSON.stringify({ client: "javascript", method, ok, note, seconds }));
}
process.exit(0);

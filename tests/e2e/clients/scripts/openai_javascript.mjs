// OpenAI's Node client against Darkroom: one JSON line with what each call brought.
import { createReadStream } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.DARKROOM_CLIENT}/`);
const { default: OpenAI } = require("openai");

const baseURL = `${process.env.DARKROOM_URL}/openai/v1`;
const client = new OpenAI({ baseURL, apiKey: process.env.DARKROOM_TOKEN });
const model = "dall-e-2";
const begins = (text) => Buffer.from(text, "base64").subarray(0, 4).toString("latin1");
const seen = {};

async function refusal(call) {
  try {
    await call();
  } catch (error) {
    return [error.constructor.name, error.status, error.code, Boolean(error.requestID)];
  }
  throw new Error("it was answered");
}

const made = await client.images.generate({ model, prompt: "a lighthouse", n: 2 });
seen.generate = made.data.map((one) => begins(one.b64_json));
seen.urls = made.data.map((one) => Boolean(one.url));
seen.id = made.darkroom.id;

const edited = await client.images.edit({
  model,
  image: createReadStream(process.env.DARKROOM_PICTURE),
  mask: createReadStream(process.env.DARKROOM_MASK),
  prompt: "a red field",
});
seen.edited = edited.data[0].b64_json;

seen.stream = [];
for await (const event of await client.images.generate({ model, prompt: "a wave", stream: true })) {
  seen.stream.push([event.type, begins(event.b64_json)]);
}
seen.models = [];
for await (const one of client.models.list()) seen.models.push(one.id);
seen.refused = [
  await refusal(() => client.images.generate({ model: "gpt-9", prompt: "x" })),
  await refusal(() => client.images.generate({ model, prompt: "x", size: "huge" })),
  await refusal(() => client.images.generate({ model, prompt: "x", n: 9 })),
  await refusal(() => new OpenAI({ baseURL, apiKey: "dk_no" }).images.generate({ model, prompt: "x" })),
];
console.log(JSON.stringify(seen));

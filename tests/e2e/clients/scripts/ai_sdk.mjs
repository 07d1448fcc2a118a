// One call of Vercel's provider that expects a picture; prints what it got.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.DARKROOM_CLIENT}/`);
const { createReplicate } = require("@ai-sdk/replicate");

const replicate = createReplicate({
  apiToken: process.env.DARKROOM_TOKEN,
  baseURL: `${process.env.DARKROOM_URL}/v1`,
});
const { images } = await replicate.image("black-forest-labs/flux-schnell").doGenerate({
  prompt: "a lighthouse",
  n: 1,
  seed: Number(process.env.DARKROOM_SEED),
  providerOptions: {},
});
const begins = images.map((image) => Buffer.from(image).subarray(0, 4).toString("latin1"));
console.log(JSON.stringify(begins));

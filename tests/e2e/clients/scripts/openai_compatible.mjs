// Vercel's provider for whatever speaks OpenAI: one picture, and one made of it.
import { createRequire } from "node:module";

const require = createRequire(`${process.env.DARKROOM_CLIENT}/`);
const { createOpenAICompatible } = require("@ai-sdk/openai-compatible");

const provider = createOpenAICompatible({
  name: "darkroom",
  baseURL: `${process.env.DARKROOM_URL}/openai/v1`,
  apiKey: process.env.DARKROOM_TOKEN,
});
const asked = { n: 1, providerOptions: {} };
const bytes = (image) => (typeof image === "string" ? Buffer.from(image, "base64") : Buffer.from(image));
const begins = (image) => bytes(image).subarray(0, 4).toString("latin1");
const made = await provider
  .imageModel("dall-e-2")
  .doGenerate({ ...asked, prompt: "a lighthouse", size: "512x512" });
const file = { type: "file", mediaType: "image/png", data: bytes(made.images[0]) };
const edited = await provider
  .imageModel("gpt-image-1-mini")
  .doGenerate({ ...asked, prompt: "a hat", files: [file] });
console.log(JSON.stringify([begins(made.images[0]), begins(edited.images[0])]));

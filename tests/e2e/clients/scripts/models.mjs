// Runs models by Replicate's JavaScript client; one JSON line for each.
// DARKROOM_MODELS is a file with a list of [reference, input].
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const env = process.env;
const Replicate = createRequire(`${env.DARKROOM_CLIENT}/`)("replicate");
const client = new Replicate({ auth: env.DARKROOM_TOKEN, baseUrl: `${env.DARKROOM_URL}/v1` });
for (const [reference, input] of JSON.parse(readFileSync(env.DARKROOM_MODELS))) {
  const output = await client.run(reference, { input, wait: { mode: "poll", interval: 200 } });
  const begins = [];
  for (const file of [output].flat())
    begins.push(Buffer.from(await (await file.blob()).arrayBuffer()).subarray(0, 4).toString("hex"));
  console.log(JSON.stringify([reference, begins]));
}

// What can be done with a prediction: cancel it, make it again, enlarge it, use its picture.

import { call, create, predictionPath, quote } from "/console/api.js";
import { announce, attempt, button, fill, h, newId, openDialog } from "/console/dom.js";
import { atMost } from "/console/format.js";
import { flatPrice, forTask, models, newSeed, pictureInput, takerOf } from "/console/models.js";
import { prepare } from "/console/playground.js";

/** Ask for a prediction's cancel. Returns its state afterwards. */
export function cancel(prediction) {
  return call("POST", `${predictionPath(prediction.id)}/cancel`);
}

/** Make a prediction again, with another seed if the model takes one. */
export async function again(prediction) {
  const model = (await models()).find((one) => one.name === prediction.model);
  const input = { ...prediction.input };
  const seed = model && newSeed(model);
  if (seed === undefined) delete input.seed;
  else input.seed = seed;
  const body = { input };
  if (prediction.tags?.length) body.tags = prediction.tags;
  return create(prediction.model, body);
}

/** Fill the playground with a picture, for the model that made it if that takes pictures. */
export async function useAsInput(prediction, picture) {
  const all = await models();
  const own = all.find((one) => one.name === prediction.model);
  const taker = takerOf(all, own, picture);
  if (!taker) return;
  prepare(taker.model.name, taker.input);
  location.hash = "#/";
}

/** Ask which model is to enlarge a picture, and start it. `onMade` gets the prediction. */
export async function upscale(file, onMade) {
  const choices = forTask(await models(), "upscaling").filter((one) => pictureInput(one));
  const message = h("div");
  const cost = h("p", { class: "facts", role: "status" });
  const id = newId("upscaler");
  const select = h(
    "select",
    { id, on: { change: priced } },
    choices.map((one) => h("option", { value: one.name }, one.name)),
  );
  const start = button("Upscale", () => attempt(start, message, begin), { class: "primary" });
  const chosen = () => choices.find((one) => one.name === select.value);
  const inputFor = (model) => ({ [pictureInput(model)]: file.url });

  async function priced() {
    const model = chosen();
    fill(cost, model.description);
    try {
      const most = (await quote(model.name, inputFor(model))) ?? flatPrice(model);
      if (model === chosen()) fill(cost, `${model.description}. ${atMost(most)}`);
    } catch {
      // Starting it tells what is wrong.
    }
  }

  async function begin() {
    const model = chosen();
    const made = await create(model.name, { input: inputFor(model) });
    dialog.close();
    announce(`${model.name} was started`);
    onMade(made);
  }

  const content = choices.length
    ? [
        h("div", { class: "field" }, h("label", { for: id }, "Model"), select),
        cost,
        message,
        h("div", { class: "actions" }, start),
      ]
    : [h("p", {}, "This deployment has no model that enlarges pictures.")];
  const dialog = openDialog("Upscale this picture", content);
  if (choices.length) priced();
}

// The models of the deployment, and what their schemas say about inputs.

import { get } from "/console/api.js";

let loading = null;

/** Return all models, by name. They are read once for each sign-in. */
export function models() {
  loading ??= readAll().catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}

/** Forget the models. */
export function forgetModels() {
  loading = null;
}

async function readAll() {
  const found = [];
  let path = "/v1/models";
  while (path) {
    const page = await get(path);
    found.push(...page.results.map(described));
    path = page.next && `/v1/models${new URL(page.next).search}`;
  }
  return found.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function described(body) {
  const schema = inputSchema(body.latest_version?.openapi_schema);
  const details = body.darkroom ?? {};
  return {
    name: `${body.owner}/${body.name}`,
    description: body.description ?? "",
    tasks: details.tasks ?? [],
    price: details.price ?? null,
    seconds: details.expected_seconds ?? null,
    deprecated: Boolean(details.status),
    pictures: details.pictures ?? [],
    mask: details.mask ?? null,
    maskRepaints: details.mask_repaints ?? "white",
    required: schema.required ?? [],
    properties: ordered(schema.properties ?? {}),
  };
}

function inputSchema(openapi) {
  const schemas = openapi?.components?.schemas ?? {};
  const input = schemas.Input ?? {};
  const properties = {};
  for (const [name, given] of Object.entries(input.properties ?? {})) {
    properties[name] = resolved(given, schemas);
  }
  return { ...input, properties };
}

/** Put in place what a property refers to, as Cog's schemas do for enums. */
function resolved(property, schemas) {
  const parts = [property, ...(property.allOf ?? []), ...(property.anyOf ?? [])];
  let made = {};
  for (const part of parts) {
    const target = typeof part.$ref === "string" ? schemas[part.$ref.split("/").pop()] : part;
    if (target && target.type !== "null") made = { ...target, ...made };
  }
  if (Array.isArray(made.type)) made.type = made.type.find((type) => type !== "null");
  return made;
}

function ordered(properties) {
  const order = ([, schema]) => schema["x-order"] ?? 1000;
  return Object.entries(properties).sort((a, b) => order(a) - order(b));
}

/** Return the price of a picture; null if it depends on more than their number. */
export function flatPrice(model) {
  const { unit, usd } = Array.isArray(model.price) ? {} : (model.price ?? {});
  return unit === "image" && typeof usd === "number" ? usd : null;
}

/** Return the models for a task, those in use first and then the cheapest. */
export function forTask(all, task) {
  const rank = (model) => [
    model.deprecated ? 1 : 0,
    model.tasks[0] === task ? 0 : 1,
    flatPrice(model) ?? 1000,
  ];
  return all
    .filter((model) => model.tasks.includes(task))
    .sort((a, b) => {
      const [ours, theirs] = [rank(a), rank(b)];
      const place = ours.findIndex((value, index) => value !== theirs[index]);
      return place < 0 ? 0 : ours[place] - theirs[place];
    });
}

/** Return the name of the input that takes a picture; null if there is none. */
export function pictureInput(model) {
  return model.pictures[0] ?? null;
}

/**
 * Return the model that takes a picture, and the input that the picture is: `own` if it takes some,
 * else the first model that edits pictures. Null if there is none.
 */
export function takerOf(all, own, picture) {
  const model = own?.pictures.length ? own : forTask(all, "image-editing")[0];
  const name = model && pictureInput(model);
  if (!name) return null;
  const schema = model.properties.find(([one]) => one === name)?.[1];
  return { model, input: { [name]: schema?.type === "array" ? [picture.url] : picture.url } };
}

/** Return a value of `seed` for a model, or undefined if it takes none. */
export function newSeed(model) {
  const schema = model.properties.find(([name]) => name === "seed")?.[1];
  if (!schema) return undefined;
  const low = Math.max(1, schema.minimum ?? 1);
  const high = Math.min(2 ** 31 - 1, schema.maximum ?? 2 ** 31 - 1);
  return low + Math.floor(Math.random() * (high - low + 1));
}

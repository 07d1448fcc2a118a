// The form of a model's inputs, drawn from its schema. Labels are the schema's own names.

import { ApiError } from "/console/api.js";
import { fill, h, newId } from "/console/dom.js";

const LONG = new Set(["prompt", "negative_prompt"]);
/** Stands for a file that is not uploaded yet, where a request is only priced. */
const STAND_IN =
  "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEAG7ku" +
  "IwAAAABJRU5ErkJggg==";

/**
 * Draw the form of a model, filled with an input. `onChange` is called after each change.
 *
 * Returns its element and functions: `peek` returns the input as it stands (with `stand`, files
 * that are still missing are stood in for), `read` waits for uploads, `showProblems` marks the
 * fields that an error names and tells whether there were any.
 */
export function drawForm(model, input, onChange) {
  const fields = model.properties.map(([name, schema]) => {
    const given = input[name];
    return makeField(model, name, schema, given, onChange);
  });
  for (const field of fields) field.meet?.(fields);
  const isFirst = (field) => field.required || field.name === "prompt" || field.isFile;
  const rest = fields.filter((field) => !isFirst(field));
  const more = h(
    "details",
    { class: "more" },
    h("summary", {}, "More"),
    h("div", { class: "grid" }, rest.map((field) => field.element)),
  );
  const element = h(
    "div",
    {},
    fields.filter(isFirst).map((field) => field.element),
    rest.length > 0 && more,
  );

  function peek({ stand = false } = {}) {
    const found = {};
    for (const field of fields) {
      let value = field.peek();
      if (value === undefined && stand && field.isFile && (field.required || field.isBusy?.())) {
        value = field.isList ? [STAND_IN] : STAND_IN;
      }
      if (value !== undefined) found[field.name] = value;
    }
    return found;
  }

  async function read() {
    const found = {};
    const wrong = [];
    for (const field of fields) {
      try {
        const value = await (field.read ?? field.peek)();
        if (value !== undefined) found[field.name] = value;
        else if (field.required) {
          wrong.push({ field: field.name, description: `${field.name} is required` });
        }
      } catch (error) {
        wrong.push({ field: field.name, description: error.message });
      }
    }
    if (wrong.length) {
      throw new ApiError(422, "Some inputs are missing or wrong.", { invalid_fields: wrong });
    }
    return found;
  }

  function showProblems(error) {
    let first = null;
    for (const { field: path, description } of error.fields ?? []) {
      const name = String(path).replace(/^input\./, "").split(".")[0];
      const field = fields.find((one) => one.name === name);
      if (!field) continue;
      field.problem(description);
      first ??= field;
    }
    if (first && rest.includes(first)) more.open = true;
    first?.focus();
    return first !== null;
  }

  return {
    element,
    peek,
    read,
    showProblems,
    clearProblems: () => fields.forEach((field) => field.problem("")),
    end: () => fields.forEach((field) => field.end?.()),
  };
}

function makeField(model, name, schema, given, onChange) {
  const id = newId("input");
  const [hintId, problemId] = [`${id}-hint`, `${id}-problem`];
  const required = model.required.includes(name);
  const problem = h("p", { class: "error-text", id: problemId });
  const hint = h("p", { class: "hint", id: hintId }, schema.description ?? "");
  const props = { id, name, "aria-describedby": `${hintId} ${problemId}` };
  const made = control(model, name, schema, given, { ...props, required }, onChange);
  const label = h("label", { for: id }, name);
  const badge = required && h("span", { class: "required", "aria-hidden": "true" }, "required");
  const element = made.isCheck
    ? h("div", { class: "field check" }, made.element, label, hint, problem)
    : h("div", { class: "field" }, h("div", { class: "label" }, label, badge), made.element, hint,
        problem);

  const focused = () => made.control?.() ?? made.element;
  return {
    ...made,
    name,
    required,
    element,
    focus: () => focused().focus(),
    problem(text) {
      fill(problem, text);
      if (text) focused().setAttribute("aria-invalid", "true");
      else focused().removeAttribute("aria-invalid");
    },
  };
}

function isFileInput(model, name, schema) {
  if (name === model.mask || model.pictures.includes(name)) return true;
  const one = schema.type === "array" ? (schema.items ?? {}) : schema;
  return one.type === "string" && one.format === "uri";
}

function control(model, name, schema, given, props, onChange) {
  if (isFileInput(model, name, schema)) {
    return fileControl(model, name, schema, given, props, onChange);
  }
  if (Array.isArray(schema.enum)) return choiceControl(schema, given, props, onChange);
  if (schema.type === "boolean") return checkControl(schema, given, props, onChange);
  if (schema.type === "integer" || schema.type === "number") {
    return numberControl(schema, given, props, onChange);
  }
  if (schema.type === "array" || schema.type === "object") {
    return jsonControl(given, props, onChange);
  }
  return textControl(name, schema, given, props, onChange);
}

function textControl(name, schema, given, props, onChange) {
  const value = given ?? schema.default ?? "";
  const tag = LONG.has(name) || String(value).length > 80 ? "textarea" : "input";
  const shape = tag === "textarea" ? { rows: name === "prompt" ? 4 : 2 } : { type: "text" };
  const element = h(tag, { ...props, ...shape, value: String(value), on: { input: onChange } });
  return {
    element,
    // An empty text is left out, unless it replaces a default.
    peek: () => (element.value === "" && !schema.default ? undefined : element.value),
  };
}

function numberControl(schema, given, props, onChange) {
  const whole = schema.type === "integer";
  const value = given ?? schema.default;
  const limits = { min: schema.minimum, max: schema.maximum, step: whole ? 1 : "any" };
  const number = h("input", {
    ...props,
    ...limits,
    type: "number",
    inputmode: whole ? "numeric" : "decimal",
    value: value ?? "",
    placeholder: props.name === "seed" ? "random" : undefined,
    on: { input: onChange },
  });
  const peek = () => {
    const found = number.valueAsNumber;
    return Number.isFinite(found) ? found : undefined;
  };
  const read = () => {
    if (number.validity.badInput) throw new Error("is not a number");
    return peek();
  };
  const isShort = schema.maximum - schema.minimum <= 1000 && value !== undefined;
  if (!isShort) return { element: number, peek, read };
  const step = whole ? 1 : (schema.maximum - schema.minimum) / 100;
  const range = h("input", {
    ...limits,
    type: "range",
    step,
    value: Number(value),
    "aria-label": `${props.name}, slider`,
    tabindex: "-1",
    on: {
      input: () => {
        number.value = String(Number(range.valueAsNumber.toFixed(4)));
        onChange();
      },
    },
  });
  number.addEventListener("input", () => {
    if (peek() !== undefined) range.value = String(peek());
  });
  const element = h("div", { class: "range" }, range, number);
  return { element, control: () => number, peek, read };
}

function checkControl(schema, given, props, onChange) {
  const { required: _, ...rest } = props;
  const checked = Boolean(given ?? schema.default ?? false);
  const element = h("input", { ...rest, type: "checkbox", checked, on: { change: onChange } });
  return { element, isCheck: true, peek: () => element.checked };
}

function choiceControl(schema, given, props, onChange) {
  const values = schema.enum.filter((value) => value !== null);
  const value = given ?? schema.default;
  const none = value === undefined && h("option", { value: "" }, "—");
  const options = values.map((one, index) => h("option", { value: String(index) }, String(one)));
  const at = values.indexOf(value);
  const element = h(
    "select",
    { ...props, value: at < 0 ? "" : String(at), on: { change: onChange } },
    none,
    options,
  );
  if (at < 0 && !none) element.value = "0";
  return {
    element,
    peek: () => (element.value === "" ? undefined : values[Number(element.value)]),
  };
}

function jsonControl(given, props, onChange) {
  const value = given === undefined ? "" : JSON.stringify(given);
  const element = h("textarea", {
    ...props,
    rows: 2,
    placeholder: "JSON",
    spellcheck: "false",
    value,
    on: { input: onChange },
  });
  const read = () => {
    if (!element.value.trim()) return undefined;
    try {
      return JSON.parse(element.value);
    } catch {
      throw new Error("is not JSON");
    }
  };
  const peek = () => {
    try {
      return read();
    } catch {
      return undefined;
    }
  };
  return { element, peek, read };
}

/** The control of a file is loaded when a model takes files. */
function fileControl(model, name, schema, given, props, onChange) {
  const isList = schema.type === "array";
  const stand = h("input", { ...props, type: "file", disabled: true });
  const element = h("div", { class: "drop" }, stand);
  let inner = null;
  let others = [];
  const loaded = import("/console/files.js").then(({ fileControl: make }) => {
    inner = make(element, { model, name, isList, given, props, onChange });
    inner.meet(others);
  });
  const initial = isList ? given : [given].flat()[0];
  return {
    element,
    isFile: true,
    isList,
    control: () => element.querySelector("input[type=file]"),
    peek: () => (inner ? inner.peek() : initial),
    isBusy: () => Boolean(inner?.isBusy()),
    read: async () => {
      await loaded;
      return inner.read();
    },
    /** Returns the URL or blob of the first picture, for the mask to be painted on. */
    picture: () => inner?.picture() ?? null,
    meet: (fields) => {
      others = fields;
      inner?.meet(fields);
    },
    end: () => inner?.end(),
  };
}

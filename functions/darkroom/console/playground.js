// The playground: a form drawn from a model's schema, and what was made with it.

import { create, pause, quote } from "/console/api.js";
import { announce, attempt, button, fill, h, keepingFocus, newId, openDialog, stateText }
  from "/console/dom.js";
import { atMost, seconds } from "/console/format.js";
import { drawForm } from "/console/form.js";
import { forgetModels, forTask, models, takerOf } from "/console/models.js";
import { cardContent } from "/console/picture.js";
import { follow, isRunning, unfollowAll } from "/console/run.js";

const actions = () => import("/console/actions.js"); // not needed for the first view
const QUOTE_AFTER_MS = 500;
const DOUBLE_CLICK_MS = 600; // so long after a create, another click is no second wish
const MOST_SHOWN = 30;
/** What the visitor made in this tab, newest first, and the form that was left. */
let made = [];
let draft = null;

addEventListener("signed-out", () => {
  made = [];
  draft = null;
  forgetModels();
  unfollowAll();
});

/** Fill the form, when it is shown next, with a model and an input. */
export function prepare(model, input) {
  draft = { model, input };
}

/** Add a prediction to what this tab shows as made. */
export function remember(prediction) {
  made = [prediction, ...made.filter((one) => one.id !== prediction.id)].slice(0, MOST_SHOWN);
}

/** Show the page. */
export async function show(place) {
  fill(place, h("h1", { class: "unseen" }, "Playground"), stateText("Loading the models …"));
  const all = await models();
  if (!all.length) {
    fill(place, stateText("This deployment has no models."));
    return undefined;
  }
  const first = forTask(all, "text-to-image")[0] ?? all[0];
  const stops = new Map();
  const cards = new Map();
  const results = h("div", { class: "results" });
  const cost = h("p", { class: "facts", role: "status" });
  const problem = h("div");
  const fields = h("div");
  const picked = h("span", { class: "picked" });
  const about = h("p", { class: "facts" });
  const generate = h("button", { type: "submit", class: "primary" }, "Generate");
  let model = all.find((one) => one.name === draft?.model) ?? first;
  let form = null;
  let quoting = null;
  let timer = null;

  function choose(next, input) {
    form?.end();
    model = next;
    const [owner, name] = model.name.split("/");
    fill(picked, h("span", { class: "owner" }, `${owner}/`), h("wbr"), name);
    const takes = model.seconds === null ? "" : ` About ${seconds(model.seconds)}.`;
    fill(about, `${model.description}.${takes}`.replace("..", "."));
    form = drawForm(model, input, changed);
    fill(fields, form.element);
    fill(problem);
    changed();
  }

  function changed() {
    draft = { model: model.name, input: form?.peek() ?? {} };
    clearTimeout(timer);
    quoting?.abort(new Error("changed"));
    timer = setTimeout(price, QUOTE_AFTER_MS);
  }

  async function price() {
    quoting = new AbortController();
    const { signal } = quoting;
    const input = form.peek({ stand: true });
    if (model.required.some((name) => input[name] === undefined)) {
      fill(cost);
      return;
    }
    try {
      const most = await quote(model.name, input, signal);
      if (!signal.aborted) fill(cost, atMost(most));
    } catch {
      if (!signal.aborted) fill(cost);
    }
  }

  async function submit() {
    // The visitor may choose another model while files are uploaded.
    const [{ name }, filled] = [model, form];
    filled.clearProblems();
    try {
      const input = await filled.read();
      add(await create(name, { input }));
      announce(`${name} was started`);
    } catch (error) {
      if (!filled.showProblems(error)) throw error;
    }
    await pause(DOUBLE_CLICK_MS);
  }

  const deeds = {
    cancel: (prediction, _picture, pressed) =>
      attempt(pressed, problem, async () => update(await (await actions()).cancel(prediction))),
    again: (prediction, _picture, pressed) =>
      attempt(pressed, problem, async () => add(await (await actions()).again(prediction))),
    upscale: (_prediction, picture, pressed) =>
      attempt(pressed, problem, async () => (await actions()).upscale(picture, add)),
    useAsInput: (_prediction, picture) => useAsInput(picture),
  };

  function useAsInput(picture) {
    const taker = takerOf(all, model, picture);
    if (!taker) return;
    const kept = taker.model === model ? form.peek() : { prompt: form.peek().prompt };
    choose(taker.model, { ...kept, ...taker.input });
    form.element.scrollIntoView({ block: "nearest" });
    announce(`The picture is the input of ${taker.model.name}`);
  }

  function add(prediction) {
    remember(prediction);
    draw(prediction, true);
    watch(prediction);
  }

  function watch(prediction) {
    if (!isRunning(prediction)) return;
    stops.get(prediction.id)?.();
    stops.set(prediction.id, follow(prediction, update));
  }

  function update(prediction) {
    if (!made.some((one) => one.id === prediction.id)) return;
    made = made.map((one) => (one.id === prediction.id ? prediction : one));
    draw(prediction);
  }

  function draw(prediction, isNew) {
    results.querySelector(".state")?.remove();
    let card = cards.get(prediction.id);
    if (!card) {
      card = h("article", { class: "card made", "aria-label": prediction.model });
      cards.set(prediction.id, card);
      if (isNew) results.prepend(card);
      else results.append(card);
    }
    const content = cardContent(prediction, deeds, 1024);
    keepingFocus(card, () => fill(card, content), { orFirst: true });
  }

  function pick() {
    const id = newId("search");
    const list = h("ul", { class: "choices" });
    const search = h("input", { id, type: "search", autocomplete: "off", on: { input: list_ } });
    function list_() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      const found = all.filter((one) => {
        const text = `${one.name} ${one.description} ${one.tasks.join(" ")}`.toLowerCase();
        return words.every((word) => text.includes(word));
      });
      fill(
        list,
        found.map((one) => choice(one)),
        !found.length && h("li", { class: "facts" }, "No model has these words."),
      );
    }
    function choice(one) {
      const tasks = one.tasks.map((task) => task.replaceAll("-", " ")).join(", ");
      const about_ = one.deprecated ? `${tasks} · deprecated` : tasks;
      const aboutId = newId("about");
      const props = { "aria-describedby": aboutId, "aria-current": one === model };
      const take = () => {
        dialog.close();
        const { prompt } = form.peek();
        choose(one, prompt === undefined ? {} : { prompt });
        change.focus();
      };
      // The button's own text is its name; the style lets it cover all of the entry.
      return h(
        "li",
        {},
        button(one.name, take, props),
        h(
          "p",
          { id: aboutId },
          h("span", { class: "tasks" }, about_),
          h("span", { class: "facts" }, one.description),
        ),
      );
    }
    const dialog = openDialog("Choose a model", [
      h("div", { class: "field" }, h("label", { for: id }, "Search models"), search),
      list,
    ]);
    list_();
    search.focus();
  }

  const change = button("Change model", pick);
  const onKey = (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      event.currentTarget.requestSubmit();
    }
  };
  const onSubmit = (event) => {
    event.preventDefault();
    attempt(generate, problem, submit);
  };
  fill(
    place,
    h("h1", { class: "unseen" }, "Playground"),
    h(
      "form",
      {
        class: "card ask",
        "aria-label": "Generate",
        novalidate: true,
        on: { submit: onSubmit, keydown: onKey },
      },
      h("div", { class: "model" }, h("div", {}, h("h2", {}, picked), about), change),
      fields,
      problem,
      h("div", { class: "go" }, generate, cost),
    ),
    h("section", { class: "made-list", "aria-label": "Results" }, results),
  );
  choose(model, draft?.input ?? {});
  if (!made.length) {
    fill(results, stateText("What you make appears here.", h("p", { class: "facts" },
      "Everything that was made before is in the gallery.")));
  }
  for (const prediction of made) {
    draw(prediction);
    watch(prediction);
  }
  return () => {
    clearTimeout(timer);
    quoting?.abort(new Error("left"));
    draft = { model: model.name, input: form.peek() };
    form.end();
    for (const stop of stops.values()) stop();
  };
}

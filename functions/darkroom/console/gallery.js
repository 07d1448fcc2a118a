// The gallery: everything that was made, newest first, by pages as one scrolls.

import * as actions from "/console/actions.js";
import { get } from "/console/api.js";
import { announce, attempt, button, errorBox, fill, h, keepingFocus, newId, stateText }
  from "/console/dom.js";
import { statusName } from "/console/format.js";
import { models } from "/console/models.js";
import { cardContent } from "/console/picture.js";
import { remember } from "/console/playground.js";
import { follow, isRunning } from "/console/run.js";

const PAGE = 24;
const EMPTY_PAGES = 5; // read at once; a filtered page may be empty without being the last
const FIRST_YEAR = 2000;
const TYPING_MS = 300;
const STATES = ["starting", "processing", "succeeded", "failed", "canceled"];

/** Show the page. The filters stand in the page's own address. */
export async function show(place, { query }) {
  const stops = new Map();
  const cards = new Map();
  const grid = h("div", { class: "gallery-grid" });
  const foot = h("div", { class: "foot" });
  const problem = h("div");
  const filters = filterForm(query, begin);
  let asking = new AbortController();
  let next = null;
  let loading = false;

  const deeds = {
    cancel: (prediction, _picture, pressed) =>
      attempt(pressed, problem, async () => draw(await actions.cancel(prediction))),
    again: (prediction, _picture, pressed) =>
      attempt(pressed, problem, async () => add(await actions.again(prediction))),
    upscale: (_prediction, picture, pressed) =>
      attempt(pressed, problem, () => actions.upscale(picture, add)),
    useAsInput: (prediction, picture, pressed) =>
      attempt(pressed, problem, () => actions.useAsInput(prediction, picture)),
  };

  function add(prediction) {
    remember(prediction);
    draw(prediction, true);
    watch(prediction);
    announce(`${prediction.model} was started`);
  }

  function draw(prediction, isNew = false) {
    let card = cards.get(prediction.id);
    if (!card) {
      card = h("article", { class: "card tile", "aria-label": prediction.model });
      cards.set(prediction.id, card);
      if (isNew) grid.prepend(card);
      else grid.append(card);
    }
    const content = cardContent(prediction, deeds, 512);
    keepingFocus(card, () => fill(card, content), { orFirst: true });
  }

  function watch(prediction) {
    if (!isRunning(prediction) || stops.has(prediction.id)) return;
    stops.set(prediction.id, follow(prediction, (later) => draw(later)));
  }

  /** Show what was asked for before this page was opened, or on it. */
  function arrive({ detail }) {
    if (filters.any() || cards.has(detail.id)) return;
    draw(detail, true);
    watch(detail);
  }

  /** Show the first page for filters. */
  function begin(wanted) {
    end();
    asking = new AbortController();
    next = firstPage(wanted);
    loading = false;
    fill(grid);
    more();
  }

  function end() {
    asking.abort(new Error("not wanted any more"));
    for (const stop of stops.values()) stop();
    stops.clear();
    cards.clear();
  }

  async function more() {
    if (loading || !next) return;
    const { signal } = asking;
    loading = true;
    fill(foot, h("p", { class: "facts", role: "status" }, "Loading …"));
    try {
      for (let page = 0; page < EMPTY_PAGES && next; page += 1) {
        const found = await get(next, signal);
        if (signal.aborted) return;
        next = found.next && `/v1/predictions${new URL(found.next).search}`;
        for (const prediction of found.results) {
          if (cards.has(prediction.id)) continue;
          draw(prediction);
          watch(prediction);
        }
        if (found.results.length) break;
      }
      loading = false;
      showFoot();
    } catch (error) {
      if (signal.aborted) return;
      loading = false;
      fill(foot, errorBox(error, more));
    }
  }

  function showFoot() {
    if (next) {
      fill(foot, button("Load more", more));
      // Observed anew, since it may be in view already.
      observer.unobserve(foot);
      observer.observe(foot);
    } else if (cards.size) fill(foot, h("p", { class: "facts" }, "That is everything."));
    else if (filters.any()) fill(foot, stateText("Nothing matches these filters."));
    else {
      const link = h("a", { class: "button primary", href: "#/" }, "Make a picture");
      fill(foot, stateText("Nothing was made yet.", link));
    }
  }

  const observer = new IntersectionObserver(
    (entries) => {
      if (entries.some((entry) => entry.isIntersecting)) more();
    },
    { rootMargin: "600px" },
  );
  fill(place, h("h1", {}, "Gallery"), filters.element, problem, grid, foot);
  begin(query);
  addEventListener("prediction-made", arrive);
  return () => {
    removeEventListener("prediction-made", arrive);
    filters.end();
    observer.disconnect();
    end();
  };
}

function firstPage(query) {
  const asked = new URLSearchParams({ limit: PAGE });
  for (const name of ["model", "status", "tag"]) {
    if (query.get(name)) asked.set(name, query.get(name));
  }
  const start = new Date(`${query.get("day")}T00:00:00`);
  // While a year is typed, its first digits are a year too.
  if (start.getFullYear() >= FIRST_YEAR) {
    const end = new Date(start);
    end.setDate(end.getDate() + 1);
    asked.set("created_after", start.toISOString());
    asked.set("created_before", end.toISOString());
  }
  return `/v1/predictions?${asked}`;
}

/**
 * Create the form of the filters. `onChange` is called with the query that they make, which is put
 * into the page's address.
 */
function filterForm(query, onChange) {
  const model = h("select", {}, h("option", { value: "" }, "All models"));
  const status = h(
    "select",
    {},
    h("option", { value: "" }, "All states"),
    STATES.map((one) => h("option", { value: one }, statusName(one))),
  );
  const day = h("input", { type: "date", value: query.get("day") ?? "" });
  const tag = h("input", { type: "text", value: query.get("tag") ?? "", autocomplete: "off" });
  status.value = query.get("status") ?? "";
  const named = { model, status, day, tag };
  const labels = { Model: model, State: status, Day: day, Tag: tag };
  const clear = h("a", { class: "button", href: "#/gallery" }, "Clear filters");
  let known = query.toString();
  let timer = null;
  clear.hidden = !known;
  models().then(
    (all) => {
      model.append(...all.map((one) => h("option", { value: one.name }, one.name)));
      model.value = query.get("model") ?? "";
    },
    () => {
      // The list of pictures tells what is wrong.
    },
  );

  function apply() {
    const wanted = new URLSearchParams();
    for (const [name, input] of Object.entries(named)) {
      if (input.value.trim()) wanted.set(name, input.value.trim());
    }
    const text = wanted.toString();
    if (text === known) return;
    known = text;
    clear.hidden = !text;
    history.replaceState(null, "", text ? `#/gallery?${text}` : "#/gallery");
    onChange(wanted);
  }

  const onSubmit = (event) => {
    event.preventDefault();
    apply();
  };
  const onInput = () => {
    clearTimeout(timer);
    timer = setTimeout(apply, TYPING_MS);
  };
  const element = h(
    "form",
    { class: "filters", "aria-label": "Filters", on: { submit: onSubmit, change: onInput } },
    Object.entries(labels).map(([name, input]) => {
      input.id = newId("filter");
      return h("div", { class: "field" }, h("label", { for: input.id }, name), input);
    }),
    clear,
  );
  return { element, any: () => known !== "", end: () => clearTimeout(timer) };
}

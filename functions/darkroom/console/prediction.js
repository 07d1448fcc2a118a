// One prediction: its files, what it was made of, how it went, what clients were told of it.

import * as actions from "/console/actions.js";
import { call, get, pause, predictionPath } from "/console/api.js";
import { announce, attempt, button, errorBox, fill, h, keepingFocus, stateText }
  from "/console/dom.js";
import { between, bytes, cut, dateTime, money, reason, seconds, statusName }
  from "/console/format.js";
import { badge, downloadLink, fileView, filesOf, pageOf, promptOf, runningBox, textOf }
  from "/console/picture.js";
import { prepare, remember } from "/console/playground.js";
import { follow, isRunning } from "/console/run.js";
import { snippets } from "/console/snippets.js";

/** Show the page of a prediction. */
export async function show(place, { parts }) {
  const [id = ""] = parts;
  fill(place, h("h1", { class: "unseen" }, "Prediction"), stateText("Loading …"));
  const first = await found(id);
  if (!first) {
    const back = h("a", { class: "button", href: "#/gallery" }, "Gallery");
    const told = errorBox(new Error("There is no prediction of this id."));
    fill(place, h("h1", {}, "Prediction"), told, back);
    return undefined;
  }
  const problem = h("div");
  const parts_ = { top: h("div"), side: h("div"), below: h("div") };
  const callbacks = h("div");
  fill(
    place,
    h("p", {}, h("a", { class: "button quiet", href: "#/gallery" }, "← Gallery")),
    problem,
    h("div", { class: "columns" }, parts_.top, h("div", {}, parts_.side, callbacks)),
    parts_.below,
  );

  function goTo(made) {
    remember(made);
    // Whoever has gone elsewhere meanwhile stays there.
    if (place.isConnected) location.hash = pageOf(made);
  }

  function draw(shown) {
    keepingFocus(place, () => redraw(shown));
  }

  function redraw(shown) {
    const files = filesOf(shown);
    const name = promptOf(shown) ? cut(promptOf(shown), 120) : shown.model;
    fill(
      parts_.top,
      h("h1", {}, name),
      files.map((file) => h("figure", { class: "large" }, fileView(shown, file),
        h("figcaption", { class: "facts" }, fileLine(file)))),
      isRunning(shown) && runningBox(shown),
      reason(shown) && h("div", { class: "error" }, h("p", {}, reason(shown))),
      !files.length && shown.output !== null && shown.output !== undefined &&
        section("Output", block(textOf(shown.output) || shown.output)),
      h("div", { class: "actions" }, buttons(shown, files)),
    );
    fill(parts_.side, details(shown), files.length > 0 && fileTable(files));
    fill(
      parts_.below,
      section("Input", block(shown.input)),
      shown.logs && section("Logs", h("pre", { tabindex: "0" }, shown.logs)),
      section("The same call", calls(shown)),
    );
  }

  function buttons(shown, files) {
    const picture = files.find((file) => file.kind === "picture");
    return [
      isRunning(shown) &&
        button("Cancel", (event) =>
          attempt(event.currentTarget, problem, async () => draw(await actions.cancel(shown)))),
      button("Another seed", (event) =>
        attempt(event.currentTarget, problem, async () => goTo(await actions.again(shown)))),
      button("Repeat", () => {
        prepare(shown.model, shown.input);
        location.hash = "#/";
      }),
      picture &&
        button("Use as input", (event) =>
          attempt(event.currentTarget, problem, () => actions.useAsInput(shown, picture))),
      picture &&
        button("Upscale", (event) =>
          attempt(event.currentTarget, problem, () => actions.upscale(picture, goTo))),
      files.map((file) =>
        downloadLink(shown, file, files.length > 1 ? `Download ${file.name}` : "Download")),
    ];
  }

  let left = false;
  let turn = 0;
  let drawn = "";

  /** Show the callbacks, again and again while one is still to be sent. */
  async function showCallbacks() {
    turn += 1;
    const mine = turn;
    for (let wait = 1; !left && mine === turn; wait = Math.min(wait * 1.5, 30)) {
      if (!(await drawCallbacks())) return;
      await pause(wait * 1000);
    }
  }

  /** Show the callbacks as they are. Returns whether one is still to be sent. */
  async function drawCallbacks() {
    let rows;
    try {
      rows = (await get(`${predictionPath(id)}/deliveries`)).results;
    } catch (error) {
      drawn = "";
      fill(callbacks, section("Callbacks", errorBox(error, showCallbacks)));
      return false;
    }
    const text = JSON.stringify(rows);
    if (!rows.length) {
      const none = h("p", { class: "facts" }, "None yet.");
      fill(callbacks, first.webhook && section("Callbacks", none));
    } else if (text !== drawn) {
      const shown = section("Callbacks", rows.map((row) => callback(row)));
      keepingFocus(callbacks, () => fill(callbacks, shown));
    }
    drawn = text;
    return rows.some((row) => row.state === "pending");
  }

  function callback(row) {
    const path = `${predictionPath(id)}/deliveries/${encodeURIComponent(row.event)}/redeliver`;
    const redeliver = (event) =>
      attempt(event.currentTarget, problem, async () => {
        await call("POST", path);
        announce(`${row.event} is sent again`);
        showCallbacks();
      });
    return h(
      "div",
      { class: "callback" },
      h(
        "p",
        { class: "card-head" },
        h("span", { class: "badge", "data-status": row.state }, row.state),
        h("span", {}, row.event),
        button("Redeliver", redeliver, { "aria-label": `Redeliver ${row.event}` }),
      ),
      h(
        "ul",
        { class: "facts" },
        (row.history ?? []).map((one) =>
          h("li", {}, `${dateTime(one.at)}: ${one.status ?? one.error ?? "no answer"}, ` +
            `${one.duration_ms} ms`)),
      ),
    );
  }

  draw(first);
  showCallbacks();
  const stop = follow(first, (later, error) => {
    if (error) fill(problem, errorBox(error));
    draw(later);
    if (!isRunning(later)) showCallbacks();
  });
  return () => {
    left = true;
    stop();
  };
}

/** Return a prediction, or null if there is none of this id. */
async function found(id) {
  if (!/^[0-9a-z]{26}$/.test(id)) return null;
  try {
    return await get(predictionPath(id));
  } catch (error) {
    if (error.status === 404) return null;
    throw error;
  }
}

function section(title, ...content) {
  return h("section", { class: "card" }, h("h2", {}, title), content);
}

function block(value) {
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  return h("pre", { tabindex: "0" }, text);
}

function fileLine(file) {
  const size = file.width && file.height ? `${file.width} × ${file.height} · ` : "";
  return `${size}${bytes(file.bytes)} · ${file.content_type}`;
}

function details(shown) {
  const { darkroom = {}, metrics = {} } = shown;
  const after = (time) => time && `after ${seconds(between(shown.created_at, time))}`;
  const rows = [
    ["Status", badge(shown)],
    ["State", darkroom.state],
    ["Code", darkroom.code],
    ["Model", shown.model],
    ["Version", shown.version === "hidden" ? null : shown.version],
    ["Created", dateTime(shown.created_at)],
    ["Started", after(shown.started_at)],
    ["Ended", after(shown.completed_at)],
    ["Run time", metrics.predict_time && seconds(metrics.predict_time)],
    ["Cost", typeof darkroom.cost === "number" &&
      money(darkroom.cost) + (darkroom.cost_assumed ? " (the most that it may be)" : "")],
    ["Cached from", darkroom.cached_from &&
      h("a", { href: pageOf({ id: darkroom.cached_from }) }, darkroom.cached_from)],
    ["Provider's id", darkroom.provider_id],
    ["Id", shown.id],
    ["End user", shown.end_user],
    ["Tags", shown.tags?.length && shown.tags.map((tag) =>
      h("a", { class: "tag", href: `#/gallery?${new URLSearchParams({ tag })}` }, tag))],
    ...Object.entries(shown.metadata ?? {}).map(([name, value]) => [name, String(value)]),
  ];
  return h(
    "section",
    { class: "card", "aria-label": `Details: ${statusName(shown.status)}` },
    h("dl", {}, rows.filter(([, value]) => value).map(([name, value]) =>
      [h("dt", {}, name), h("dd", {}, value)])),
  );
}

function fileTable(files) {
  return section(
    "Files",
    h("ul", { class: "hashes" }, files.map((file) =>
      h("li", {}, h("strong", {}, file.name), ` ${fileLine(file)}`,
        h("code", { title: "SHA-256" }, file.sha256)))),
  );
}

function calls(shown) {
  return Object.entries(snippets(shown)).map(([language, text]) => {
    const copy = async (event) => {
      const pressed = event.currentTarget;
      try {
        await navigator.clipboard.writeText(text);
        pressed.textContent = "Copied";
        announce(`${language} was copied`);
      } catch {
        pressed.textContent = "Select the text to copy it";
      }
    };
    return h(
      "details",
      { class: "snippet" },
      h("summary", {}, language),
      h("pre", { tabindex: "0" }, text),
      button("Copy", copy, { "aria-label": `Copy ${language}` }),
    );
  });
}

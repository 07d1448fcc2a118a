// The files of a prediction, and cards that show it.

import { get, predictionPath } from "/console/api.js";
import { announce, button, h } from "/console/dom.js";
import { between, cut, money, reason, seconds, statusName } from "/console/format.js";
import { isRunning } from "/console/run.js";

const PICTURES = new Set(["image/png", "image/jpeg", "image/webp", "image/gif", "image/avif"]);
const URL_LIVES_MS = 50 * 60_000; // an hour, less what a slow download may need
const PLAYER = { controls: true, preload: "metadata" };

/** Return the stored files of a prediction, each with the URL that its output has for it. */
export function filesOf(prediction) {
  const urls = [...urlsIn(prediction.output)];
  return (prediction.darkroom?.files ?? []).map((file, index) => ({
    ...file,
    name: file.key.split("/").pop(),
    kind: kindOf(file.content_type),
    url: urls.find((url) => pathOf(url).endsWith(`/${file.key}`)) ?? urls[index] ?? null,
  }));
}

function* urlsIn(value) {
  if (isOfTheWeb(value)) yield value;
  else if (value && typeof value === "object") {
    for (const inner of Object.values(value)) yield* urlsIn(inner);
  }
}

function pathOf(url) {
  try {
    return decodeURIComponent(new URL(url).pathname);
  } catch {
    return "";
  }
}

/** Return how a file can be shown. SVG and everything unknown is only offered as a download. */
function kindOf(contentType) {
  const type = String(contentType).toLowerCase().split(";")[0];
  if (PICTURES.has(type)) return "picture";
  if (type.startsWith("video/")) return "video";
  if (type.startsWith("audio/")) return "audio";
  return "other";
}

/** Return the text that the prediction was asked for, if any. */
export function promptOf(prediction) {
  const { prompt } = prediction.input ?? {};
  return typeof prompt === "string" ? prompt : "";
}

/**
 * Create the element that shows a file: with a `width` its thumbnail of so many pixels, where the
 * deployment has them. URLs live for an hour, so one that fails is read anew, once.
 */
export function fileView(prediction, file, { width = null } = {}) {
  const large = width === null;
  const source = (one) => [one.thumbnails?.[width], one.url].find(isOfTheWeb) ?? "";
  const alt = promptOf(prediction) || `${prediction.model}, ${file.name}`;
  const size = file.width && file.height ? { width: file.width, height: file.height } : {};
  let view;
  if (file.kind === "picture") {
    view = h("img", { alt, loading: large ? "eager" : "lazy", decoding: "async", ...size });
  } else if (file.kind === "video") {
    view = h("video", { "aria-label": alt, ...PLAYER, playsinline: true });
  } else if (file.kind === "audio") {
    view = h("audio", { "aria-label": alt, ...PLAYER });
  } else {
    return h("p", {}, downloadLink(prediction, file, `${file.name} · ${file.content_type}`));
  }
  const show = (one) => {
    if (one?.url) view.src = source(one);
  };
  view.addEventListener("error", async () => {
    if (view.dataset.again) {
      view.classList.add("lost");
      return;
    }
    view.dataset.again = "yes";
    try {
      show(await renewed(prediction, file));
    } catch {
      view.classList.add("lost");
    }
  });
  show(file);
  return view;
}

/** Read a file's description again: its URLs are then good for another hour. */
async function renewed(prediction, file) {
  const anew = filesOf(await get(predictionPath(prediction.id)));
  return anew.find((one) => one.key === file.key);
}

function isOfTheWeb(url) {
  return typeof url === "string" && /^https?:\/\//.test(url);
}

/**
 * Create a link that downloads a file; the bucket serves it as an attachment. A link that is older
 * than its URL may live asks for another one first.
 */
export function downloadLink(prediction, file, text = "Download") {
  let made = Date.now();
  const props = { class: "button", href: file.url, download: file.name, rel: "noreferrer" };
  const renew = async (event) => {
    if (Date.now() - made < URL_LIVES_MS) return;
    event.preventDefault();
    try {
      const url = (await renewed(prediction, file))?.url;
      if (!isOfTheWeb(url)) return;
      made = Date.now();
      link.href = url;
      link.click();
    } catch (error) {
      announce(error.message);
    }
  };
  const link = h("a", { ...props, on: { click: renew } }, text);
  return link;
}

/** Create the badge of a prediction's status. */
export function badge(prediction) {
  const { status } = prediction;
  return h("span", { class: "badge", "data-status": status }, statusName(status));
}

/** Return the progress from 0 to 1 that the logs show last; null if they show none. */
function progressOf(prediction) {
  const found = [...String(prediction.logs ?? "").slice(-4000).matchAll(/(\d{1,3})%\|/g)].pop();
  return found ? Math.min(100, Number(found[1])) / 100 : null;
}

function progressBar(prediction) {
  const value = progressOf(prediction);
  const props = { max: 1, "aria-label": "Progress" };
  return h("progress", value === null ? props : { ...props, value });
}

/** Create what stands in place of the files of a running prediction. */
export function runningBox(prediction) {
  const lines = String(prediction.logs ?? "").slice(-4000).split(/[\r\n]+/);
  const last = lines.reverse().find((line) => line.trim());
  return h(
    "div",
    { class: "placeholder running" },
    progressBar(prediction),
    last && h("code", {}, cut(last.trim(), 80)),
  );
}

/** Create the line with duration and cost. */
export function facts(prediction) {
  const took = between(prediction.created_at, prediction.completed_at);
  const { cost } = prediction.darkroom ?? {};
  const parts = [];
  if (took !== null) parts.push(seconds(took));
  if (typeof cost === "number") parts.push(money(cost));
  if (prediction.darkroom?.cached_from) parts.push("from the cache");
  return h("p", { class: "facts" }, parts.join(" · "));
}

/** Return the link to a prediction's page. */
export function pageOf(prediction) {
  return `#/predictions/${encodeURIComponent(prediction.id)}`;
}

/**
 * Create the content of a card: what was made or what became of it, the words and the actions.
 * `width` is that of thumbnails.
 */
export function cardContent(prediction, actions, width) {
  const files = filesOf(prediction);
  const text = promptOf(prediction);
  const name = text ? cut(text, 80) : prediction.model;
  return [
    files.length
      ? h(
          "div",
          { class: "pictures" },
          files.map((file) =>
            file.kind === "picture"
              ? h(
                  "a",
                  { href: pageOf(prediction), "aria-label": `Open: ${name}` },
                  fileView(prediction, file, { width }),
                )
              : fileView(prediction, file, { width }),
          ),
        )
      : placeholder(prediction),
    h(
      "div",
      { class: "card-text" },
      h("p", { class: "card-head" }, badge(prediction), h("span", {}, prediction.model)),
      text && h("p", { class: "prompt" }, cut(text, 280)),
      reason(prediction) && h("p", { class: "error-text" }, cut(reason(prediction), 300)),
      facts(prediction),
      h("div", { class: "actions" }, actionButtons(prediction, files, actions)),
    ),
  ];
}

function placeholder(prediction) {
  if (isRunning(prediction)) {
    return runningBox(prediction);
  }
  const text = textOf(prediction.output);
  if (text) return h("div", { class: "placeholder text" }, cut(text, 400));
  return h("div", { class: "placeholder" }, statusName(prediction.status));
}

/** Return an output that is text, or pieces of one; else an empty text. */
export function textOf(output) {
  const pieces = [output ?? ""].flat();
  return pieces.every((piece) => typeof piece === "string") ? pieces.join("") : "";
}

function actionButtons(prediction, files, actions) {
  const picture = files.find((file) => file.kind === "picture");
  const act = (name) => (event) => actions[name](prediction, picture, event.currentTarget);
  return [
    h("a", { class: "button", href: pageOf(prediction) }, "Open"),
    isRunning(prediction) && button("Cancel", act("cancel")),
    !isRunning(prediction) && button("Another seed", act("again")),
    picture && button("Use as input", act("useAsInput")),
    picture && button("Upscale", act("upscale")),
    files[0] && downloadLink(prediction, files[0]),
  ];
}

// Creates elements. Text is only ever set as text and URLs are checked, so nothing that a
// prediction says can become markup or code.

const AS_PROPERTIES = new Set(["checked", "disabled", "hidden", "multiple", "value"]);
const URLS = new Set(["href", "src", "poster"]);
const SVG = "http://www.w3.org/2000/svg";

/**
 * Create an element. `props` are attributes; `on` maps events to listeners. Null, undefined and
 * false leave an attribute or a child out.
 */
export function h(tag, props = {}, ...children) {
  return filled(document.createElement(tag), props, children);
}

/** Create an element of SVG. */
export function svg(tag, props = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), props, children);
}

function filled(element, props, children) {
  // Options of a select must be there before its value.
  append(element, children);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") {
      for (const [event, listener] of Object.entries(value)) {
        element.addEventListener(event, listener);
      }
    } else if (URLS.has(name)) {
      const url = safeUrl(value);
      if (url) element.setAttribute(name, url);
    } else if (AS_PROPERTIES.has(name)) {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : String(value));
    }
  }
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

/** Replace all children of an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

/**
 * Redraw a part of the page, and keep the focus on the control of the same name in it; with
 * `orFirst` on its first control, if that name is gone.
 */
export function keepingFocus(element, redraw, { orFirst = false } = {}) {
  const nameOf = (control) => control.getAttribute("aria-label") ?? control.textContent;
  const active = document.activeElement;
  const focused = element.contains(active) ? nameOf(active) : null;
  redraw();
  if (focused === null || element.contains(document.activeElement)) return;
  const controls = [...element.querySelectorAll("a, button")];
  const same = controls.find((one) => nameOf(one) === focused);
  (same ?? (orFirst ? controls[0] : null))?.focus();
}

/** Return a URL that may be linked or shown: of the web, of this page, or of a chosen file. */
function safeUrl(text) {
  let url;
  try {
    url = new URL(String(text), location.href);
  } catch {
    return null;
  }
  return ["http:", "https:", "blob:"].includes(url.protocol) ? String(text) : null;
}

let last = 0;

/** Return an id that no other element of the page has. */
export function newId(prefix) {
  last += 1;
  return `${prefix}-${last}`;
}

/** Create a button with a text. */
export function button(text, onClick, props = {}) {
  return h("button", { type: "button", ...props, on: { click: onClick } }, text);
}

/** Say a text to users of screen readers. */
export function announce(text) {
  document.getElementById("announcer").textContent = text;
}

/** Show a modal dialog with a heading; it is removed when it closes. Returns it. */
export function openDialog(title, content, props = {}) {
  const id = newId("dialog");
  const dialog = h(
    "dialog",
    { "aria-labelledby": id, ...props },
    h(
      "header",
      {},
      h("h2", { id }, title),
      button("Close", () => dialog.close(), { class: "quiet" }),
    ),
    content,
  );
  dialog.addEventListener("close", () => dialog.remove());
  document.body.append(dialog);
  dialog.showModal();
  return dialog;
}

/**
 * Do what a button is for, once at a time, and show in `place` why it failed. The button is not
 * disabled meanwhile, which would take the focus from it.
 */
export async function attempt(pressed, place, deed) {
  if (pressed.getAttribute("aria-disabled")) return;
  pressed.setAttribute("aria-disabled", "true");
  fill(place);
  try {
    await deed();
  } catch (error) {
    fill(place, errorBox(error));
  } finally {
    pressed.removeAttribute("aria-disabled");
  }
}

/** Create the text for a page that is loading, is empty, or has failed. */
export function stateText(text, ...more) {
  return h("div", { class: "state" }, h("p", {}, text), more);
}

/** Create the message of an error, with a button to try again. */
export function errorBox(error, again) {
  return h(
    "div",
    { class: "error", role: "alert" },
    h("p", {}, error.message),
    again && button("Try again", again),
  );
}

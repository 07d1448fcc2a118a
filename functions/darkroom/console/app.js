// The console: who is signed in, and which page is shown. Pages are modules with a function
// `show(place, path)`, which fills `place` and may return a function that ends what it began.

import { account, forget } from "/console/api.js";
import { announce, button, errorBox, fill, h, newId, stateText } from "/console/dom.js";
import { apiKey, signIn, signOut } from "/console/session.js";

const PAGES = [
  { path: "", name: "Playground", load: () => import("/console/playground.js") },
  { path: "gallery", name: "Gallery", load: () => import("/console/gallery.js") },
  { path: "usage", name: "Usage", load: () => import("/console/usage.js") },
  { path: "predictions", name: "Prediction", load: () => import("/console/prediction.js") },
];
const app = document.getElementById("app");
let leave = null;
let shown = 0;

function start() {
  if (apiKey()) showShell();
  else showSignIn();
}

function showSignIn(message) {
  const [keyId, keepId] = [newId("key"), newId("keep")];
  const problem = h("div");
  const field = h("input", {
    id: keyId,
    type: "password",
    autocomplete: "off",
    spellcheck: "false",
    required: true,
    placeholder: "dk_…",
  });
  const keep = h("input", { id: keepId, type: "checkbox" });
  const submit = h("button", { type: "submit", class: "primary" }, "Sign in");
  const form = h(
    "form",
    {
      class: "card sign-in",
      "aria-label": "Sign in",
      on: {
        submit: (event) => {
          event.preventDefault();
          enter();
        },
      },
    },
    h("img", { src: "/console/icon.svg", alt: "" }),
    h("h1", {}, "Darkroom"),
    h("p", { class: "facts" }, "Make pictures, and find them again."),
    h("div", { class: "field" }, h("label", { for: keyId }, "API key"), field),
    h(
      "div",
      { class: "check" },
      keep,
      h("label", { for: keepId }, "Keep me signed in in this tab"),
    ),
    problem,
    submit,
  );

  async function enter() {
    const key = field.value.trim();
    if (!/^[!-~]+$/.test(key)) {
      fill(problem, errorBox(new Error("This is not an API key: it begins with dk_.")));
      return;
    }
    submit.disabled = true;
    fill(problem);
    try {
      await account(key);
      signIn(key, keep.checked);
      showShell();
    } catch (error) {
      const refused = error.status === 401;
      const told = refused ? new Error("The service does not know this API key.") : error;
      fill(problem, errorBox(told));
      submit.disabled = false;
      field.focus();
    }
  }

  document.title = "Sign in · Darkroom";
  fill(app, h("main", { class: "entrance" }, message && h("p", { class: "note" }, message), form));
  field.focus();
}

function showShell() {
  const links = PAGES.filter((page) => page.path !== "predictions").map((page) =>
    h("a", { href: `#/${page.path}`, "data-path": page.path }, page.name),
  );
  const main = h("main", { id: "main", tabindex: "-1" });
  fill(
    app,
    h(
      "button",
      { type: "button", class: "skip", on: { click: () => main.focus() } },
      "Skip to content",
    ),
    h(
      "header",
      { class: "top" },
      h("span", { class: "brand" }, h("img", { src: "/console/icon.svg", alt: "" }), "Darkroom"),
      h("nav", { "aria-label": "Pages" }, links),
      button("Sign out", () => end(), { class: "quiet" }),
    ),
    main,
  );
  route();
}

async function route() {
  const main = document.getElementById("main");
  if (!main) return;
  const turn = (shown += 1);
  const [path, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
  const [name, ...rest] = path.split("/");
  const page = PAGES.find((one) => one.path === name) ?? PAGES[0];
  leave?.();
  leave = null;
  for (const dialog of document.querySelectorAll("dialog")) dialog.close();
  // Nothing of the page that was left can be pressed while the next one is loaded.
  fill(main, stateText("Loading …"));
  for (const link of document.querySelectorAll("header.top nav a")) {
    if (link.dataset.path === page.path) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${page.name} · Darkroom`;
  try {
    const { show } = await page.load();
    if (turn !== shown) return;
    const place = h("div", { class: `page ${page.path || "playground"}` });
    fill(main, place);
    const left = await show(place, { parts: rest.map(decoded), query: new URLSearchParams(query) });
    if (turn === shown) leave = left ?? null;
    else left?.();
  } catch (error) {
    if (turn === shown) fill(main, h("h1", {}, page.name), errorBox(error, route));
  }
}

function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** Sign out: nothing of the session stays on the page or in its memory. */
function end(message) {
  shown += 1;
  leave?.();
  leave = null;
  signOut();
  forget();
  dispatchEvent(new Event("signed-out"));
  for (const dialog of document.querySelectorAll("dialog")) dialog.remove();
  announce("");
  history.replaceState(null, "", "/console");
  showSignIn(message);
}

addEventListener("hashchange", () => {
  route().then(() => {
    const main = document.getElementById("main");
    // A page may have put the focus where it is needed.
    if (main && !main.contains(document.activeElement)) main.focus();
  });
});
addEventListener("key-refused", () => {
  if (apiKey()) end("You were signed out: the service does not accept your API key any more.");
});
start();

// Usage: cost and predictions by day and by model, and what is left of the month.

import { get } from "/console/api.js";
import { errorBox, fill, h, newId, stateText, svg } from "/console/dom.js";
import { money } from "/console/format.js";

const [WIDTH, HEIGHT] = [720, 180];

/** Show the page. */
export async function show(place) {
  const stopping = new AbortController();
  const content = h("div", {}, stateText("Loading …"));
  fill(place, h("h1", {}, "Usage"), content);

  async function load() {
    try {
      const [usage, month] = await Promise.all([
        get("/v1/usage", stopping.signal),
        get("/v1/usage/month", stopping.signal),
      ]);
      draw(usage, month);
    } catch (error) {
      if (!stopping.signal.aborted) fill(content, errorBox(error, load));
    }
  }

  function draw(usage, month) {
    const days = byDay(usage);
    fill(
      content,
      h("div", { class: "numbers" }, monthNumbers(month)),
      usage.predictions
        ? [chart(days), byModel(usage), dayTable(days)]
        : stateText("Nothing was made in the last 30 days."),
    );
  }

  load();
  return () => stopping.abort(new Error("left"));
}

function monthNumbers(month) {
  const number = (name, value, more) =>
    h("div", { class: "card number" }, h("p", { class: "facts" }, name), h("p", {}, value), more);
  const { cap_usd: cap, spent_usd: spent, reserved_usd: reserved } = month;
  const bar = cap > 0 &&
    h("meter", { min: 0, max: cap, value: spent, "aria-label": "Spent of the cap" });
  return [
    number(`Spent in ${month.month}`, money(spent), bar),
    number("Reserved for what runs", reserved === null ? "not tracked" : money(reserved)),
    number("Monthly cap", cap === null ? "none" : money(cap)),
    number("Predictions this month", String(month.predictions)),
  ];
}

function byDay(usage) {
  const days = new Map();
  const last = new Date(`${usage.to}T00:00:00Z`);
  const at = new Date(`${usage.from}T00:00:00Z`);
  while (at <= last) {
    days.set(at.toISOString().slice(0, 10), { cost: 0, predictions: 0 });
    at.setUTCDate(at.getUTCDate() + 1);
  }
  for (const row of usage.results) {
    const day = days.get(row.day);
    if (!day) continue;
    day.cost += row.cost;
    day.predictions += row.predictions;
  }
  return [...days];
}

function chart(days) {
  const most = Math.max(...days.map(([, day]) => day.cost)) || 1;
  const step = WIDTH / days.length;
  const titleId = newId("chart");
  const bars = days.map(([name, { cost, predictions }], index) => {
    const height = cost ? Math.max(2, (cost / most) * HEIGHT) : 0;
    return svg(
      "rect",
      { x: index * step + 2, y: HEIGHT - height, width: step - 4, height, class: "bar" },
      svg("title", {}, `${name}: ${money(cost)}, ${predictions} predictions`),
    );
  });
  const axis = (...texts) => {
    const marks = texts.map((text) => h("span", {}, text));
    return h("div", { class: "axis facts", "aria-hidden": "true" }, marks);
  };
  const shape = { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none" };
  return h(
    "section",
    { class: "card" },
    h("h2", { id: titleId }, "Cost by day"),
    axis("", `highest: ${money(most)}`),
    svg("svg", { ...shape, role: "img", "aria-labelledby": titleId, class: "chart" }, bars),
    axis(days[0][0], days.at(-1)[0]),
  );
}

function byModel(usage) {
  const models = new Map();
  for (const row of usage.results) {
    const [number, cost] = models.get(row.model) ?? [0, 0];
    models.set(row.model, [number + row.predictions, cost + row.cost]);
  }
  const rows = [...models].sort((a, b) => b[1][1] - a[1][1]);
  const most = Math.max(...rows.map(([, [, cost]]) => cost)) || 1;
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "By model"),
    table(
      ["Model", "Predictions", "Cost", ""],
      rows.map(([model, [number, cost]]) => [
        model,
        String(number),
        money(cost),
        h("meter", { min: 0, max: most, value: cost, "aria-label": `Share of ${model}` }),
      ]),
    ),
  );
}

function dayTable(days) {
  const rows = days.filter(([, day]) => day.predictions).reverse();
  return h(
    "section",
    { class: "card" },
    h("h2", {}, "By day"),
    table(
      ["Day (UTC)", "Predictions", "Cost"],
      rows.map(([day, { predictions, cost }]) => [day, String(predictions), money(cost)]),
    ),
  );
}

function table(head, rows) {
  return h(
    "div",
    { class: "scrolls", tabindex: "0" },
    h(
      "table",
      {},
      h("thead", {}, h("tr", {}, head.map((text) =>
        text ? h("th", { scope: "col" }, text) : h("td", {})))),
      h("tbody", {}, rows.map(([first, ...rest]) =>
        h("tr", {}, h("th", { scope: "row" }, first), rest.map((cell) => h("td", {}, cell))))),
    ),
  );
}

// Numbers, times and sizes as people read them.

const STATES = {
  starting: "Starting",
  processing: "Processing",
  succeeded: "Succeeded",
  failed: "Failed",
  canceled: "Canceled",
};

const CODES = {
  provider_failed: "The model failed",
  rejected: "The provider refused the input",
  canceled: "It was canceled",
  deadline_exceeded: "It did not end before its deadline",
  outcome_unknown: "It is not known whether it ran",
  provider_lost: "The provider does not know it any more",
  output_missing: "It made no file",
  output_expired: "The file was gone before it could be stored",
  output_refused: "The file is of a type that is not stored",
  output_too_large: "The file is too large to be stored",
};

/** Return why a prediction did not succeed: in words, by its code, and the provider's own words. */
export function reason(prediction) {
  const code = prediction.darkroom?.code;
  if (!code && !prediction.error) return "";
  const said = code ? `${CODES[code] ?? "It did not succeed"} (${code}).` : "";
  return [said, prediction.error].filter(Boolean).join(" ");
}

/** Return the name of a status. */
export function statusName(status) {
  return STATES[status] ?? String(status);
}

/** Return dollars, with as many digits as the amount needs, and two at least. */
export function money(usd) {
  if (typeof usd !== "number") return "unknown";
  const text = usd.toFixed(usd >= 1 ? 2 : 5);
  return `$${text.replace(/(\.\d\d)(\d*?)0+$/, "$1$2")}`;
}

/** Return what a quote says; null is a price that is not known. */
export function atMost(usd) {
  return usd === null ? "The cost is not known" : `Costs at most ${money(usd)}`;
}

/** Return a duration of seconds. */
export function seconds(value) {
  if (typeof value !== "number" || !Number.isFinite(value)) return "unknown";
  if (value < 10) return `${value.toFixed(1)} s`;
  return value < 120 ? `${Math.round(value)} s` : `${Math.round(value / 60)} min`;
}

/** Return a size in bytes. */
export function bytes(value) {
  if (value < 1000) return `${value} B`;
  return value < 1e6 ? `${Math.round(value / 1000)} kB` : `${(value / 1e6).toFixed(1)} MB`;
}

/** Return date and time in the visitor's own zone. */
export function dateTime(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) return "unknown";
  return at.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

/** Return the seconds between two times; null if one is unknown. */
export function between(from, to) {
  const found = (new Date(to) - new Date(from)) / 1000;
  return from && to && Number.isFinite(found) ? Math.max(0, found) : null;
}

/** Return the first characters of a text. */
export function cut(text, most) {
  const letters = Array.from(String(text ?? ""));
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : letters.join("");
}

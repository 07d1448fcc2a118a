// Calls of Darkroom's API on this page's own origin.

import { apiKey } from "/console/session.js";

const TIMEOUT_MS = 60_000;
const TRIES = 4;
const MOST_DIRECT = 4_400_000; // bytes; larger files go to the bucket by a form
const MAY_PASS = new Set([0, 408, 429, 500, 502, 503, 504]);

/** An answer that is no success; `status` is 0 if there was no answer. */
export class ApiError extends Error {
  constructor(status, message, body = {}) {
    super(message);
    this.status = status;
    this.fields = Array.isArray(body.invalid_fields) ? body.invalid_fields : [];
    this.retryAfter = Number(body.retry_after) || 0;
  }

  /** Whether the same request may succeed later. */
  get mayPass() {
    return MAY_PASS.has(this.status);
  }
}

/** Wait for some milliseconds. Rejects when the signal aborts. */
export function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    if (signal?.aborted) stop();
    signal?.addEventListener("abort", stop, { once: true });
  });
}

async function once(method, path, { body, headers, signal, key: given }) {
  const key = given ?? apiKey();
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const isForm = body instanceof FormData;
  let answer, text;
  try {
    answer = await fetch(path, {
      method,
      body: body === undefined || isForm ? body : JSON.stringify(body),
      headers: {
        authorization: `Bearer ${key}`,
        ...(body === undefined || isForm ? {} : { "content-type": "application/json" }),
        ...headers,
      },
      cache: "no-store",
      credentials: "omit",
      redirect: "error", // the key goes to this origin only
      signal: signal ? AbortSignal.any([signal, limit]) : limit,
    });
    text = await answer.text();
  } catch {
    if (signal?.aborted) throw signal.reason;
    throw new ApiError(0, "The service cannot be reached. Check the connection and try again.");
  }
  // What was asked for before signing out is not shown to who signs in next.
  if (given === undefined && key !== apiKey()) throw new Error("You were signed out.");
  const found = parsed(text);
  if (answer.ok) return found;
  if (answer.status === 401 && key === apiKey()) {
    dispatchEvent(new Event("key-refused"));
  }
  throw new ApiError(answer.status, message(answer.status, found), found);
}

function parsed(text) {
  try {
    const found = JSON.parse(text);
    return found && typeof found === "object" ? found : {};
  } catch {
    return {}; // of a proxy, or empty
  }
}

function message(status, body) {
  if (typeof body.detail === "string" && body.detail.trim()) return body.detail.trim();
  if (typeof body.title === "string" && body.title) return body.title;
  return `The service answered ${status}. Try again later.`;
}

/** Call the API until it answers, but not more than four times. Raises ApiError. */
export async function call(method, path, options = {}) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await once(method, path, options);
    } catch (error) {
      const goesOn = error instanceof ApiError && error.mayPass && tries < TRIES;
      if (!goesOn) throw error;
      const wait = Math.max(error.retryAfter, 2 ** tries * (0.25 + Math.random() / 4));
      if (wait > 20) throw error;
      await pause(wait * 1000, options.signal);
    }
  }
}

/** Read a path of the API. */
export function get(path, signal) {
  return call("GET", path, { signal });
}

/** Return the account of an API key. */
export function account(key) {
  return call("GET", "/v1/account", { key });
}

/** Return the path of a prediction. */
export function predictionPath(id) {
  return `/v1/predictions/${encodeURIComponent(id)}`;
}

function modelPath(model) {
  return `/v1/models/${model.split("/").map(encodeURIComponent).join("/")}/predictions`;
}

/** Return what a prediction would cost at most; null if no price is known. */
export async function quote(model, input, signal) {
  const path = `${modelPath(model)}?dry_run=true`;
  const answer = await call("POST", path, { body: { input }, signal });
  return answer.darkroom?.most ?? null;
}

const unsettled = new Map();

/**
 * Create a prediction. Tries with the same body share one Idempotency-Key until it is known
 * whether the prediction was made, so that a lost answer never makes two. Whoever shows predictions
 * hears of it by the event `prediction-made`.
 */
export async function create(model, body) {
  const intent = JSON.stringify([model, body]);
  const key = unsettled.get(intent) ?? randomKey();
  unsettled.set(intent, key);
  try {
    const headers = { "idempotency-key": key };
    const made = await call("POST", modelPath(model), { body, headers });
    unsettled.delete(intent);
    dispatchEvent(new CustomEvent("prediction-made", { detail: made }));
    return made;
  } catch (error) {
    if (!(error instanceof ApiError && error.mayPass)) unsettled.delete(intent);
    throw error;
  }
}

function randomKey() {
  const drawn = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(drawn, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** Upload a file. Returns its URL for use in an input. */
export async function upload(file) {
  if (file.size <= MOST_DIRECT) {
    const form = new FormData();
    form.append("content", file, file.name || "file");
    const made = await call("POST", "/v1/files", { body: form });
    return made.urls.get;
  }
  const asked = { filename: file.name || "file" };
  if (file.type) asked.content_type = file.type;
  const made = await call("POST", "/v1/uploads", { body: asked });
  if (file.size > made.max_bytes) {
    throw new ApiError(413, `The file is larger than ${made.max_bytes / 1e6} MB.`);
  }
  const form = new FormData();
  for (const [name, value] of Object.entries(made.fields)) form.append(name, value);
  form.append("file", file);
  let answer;
  try {
    answer = await fetch(made.url, { method: "POST", body: form, credentials: "omit" });
  } catch {
    throw new ApiError(0, "The file could not be uploaded. Check the connection and try again.");
  }
  if (!answer.ok) throw new ApiError(answer.status, "The file was not accepted.");
  return made.urls.get;
}

/** Forget the requests whose outcome is unknown. */
export function forget() {
  unsettled.clear();
}

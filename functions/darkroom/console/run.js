// Predictions that are running: followed by the door `wait` where the deployment has it, and by
// polls where not.

import { ApiError, get, pause, predictionPath } from "/console/api.js";
import { announce } from "/console/dom.js";
import { statusName } from "/console/format.js";

const LONG_POLLS = 2; // at a time; a browser opens only six connections to an HTTP/1 server
const POLLED_AT_FULL_PACE = 8;
const WAIT_S = 20;
const followed = new Map();
let waiting = 0;

/** Whether a prediction can still change. */
export function isRunning(prediction) {
  return prediction.status === "starting" || prediction.status === "processing";
}

/**
 * Call `onChange` with each later state of a prediction, until it ends. Returns a function that
 * ends the following.
 */
export function follow(prediction, onChange) {
  if (!isRunning(prediction)) return () => {};
  let one = followed.get(prediction.id);
  if (!one) {
    one = { listeners: new Set(), stop: new AbortController() };
    followed.set(prediction.id, one);
    read(prediction, one).finally(() => {
      if (followed.get(prediction.id) === one) followed.delete(prediction.id);
    });
  }
  one.listeners.add(onChange);
  return () => {
    one.listeners.delete(onChange);
    if (!one.listeners.size) {
      one.stop.abort(new Error("not followed"));
      if (followed.get(prediction.id) === one) followed.delete(prediction.id);
    }
  };
}

/** End all following. */
export function unfollowAll() {
  for (const one of followed.values()) one.stop.abort(new Error("signed out"));
  followed.clear();
}

async function read(prediction, one) {
  const { signal } = one.stop;
  let known = prediction;
  let delay = 1000;
  try {
    while (isRunning(known)) {
      let next;
      try {
        next = await nextState(known, delay, signal);
      } catch (error) {
        if (!(error instanceof ApiError && error.mayPass)) throw error;
        delay = Math.min(delay * 2, 15_000);
        await pause(Math.max(error.retryAfter * 1000, delay), signal);
        continue;
      }
      const changed = JSON.stringify(shownOf(next)) !== JSON.stringify(shownOf(known));
      delay = changed ? 1000 : Math.min(delay * 1.4, 8000);
      known = next;
      if (changed) for (const tell of [...one.listeners]) tell(next);
    }
    announce(`${known.model}: ${statusName(known.status)}`);
  } catch (error) {
    if (!signal.aborted) for (const tell of [...one.listeners]) tell(known, error);
  }
}

async function nextState(known, delay, signal) {
  const path = predictionPath(known.id);
  const revision = known.darkroom?.revision;
  if (!known.urls?.watch || revision === undefined || waiting >= LONG_POLLS) {
    await pause(delay * Math.max(1, followed.size / POLLED_AT_FULL_PACE), signal);
    return get(path, signal);
  }
  waiting += 1;
  const began = Date.now();
  try {
    const next = await get(`${path}/wait?seconds=${WAIT_S}&revision=${revision}`, signal);
    // A wait that ends at once is not asked for again at once.
    if (next.darkroom?.revision === revision && Date.now() - began < 1000) {
      await pause(delay, signal);
    }
    return next;
  } finally {
    waiting -= 1;
  }
}

function shownOf(prediction) {
  const { status, logs, output, error, darkroom } = prediction;
  return [status, logs, output === null, error, darkroom?.state, darkroom?.revision];
}

// What is said to who cannot see it: few words, and not too often.

import { byId } from "./dom.js";

const GATHER_MS = 1000;
const REST_MS = 6000; // what comes meanwhile is told together
const MOST = 3;
let waiting = [];
let timer = null;
let saidAt = -Infinity;

/** Say something at once: it answers what somebody did. */
export function answer(text) {
  byId("announce").textContent = text;
}

/** Say what happened by itself; much of it is summed up. */
export function announce(texts) {
  if (!texts.length) return;
  waiting.push(...texts);
  timer ??= setTimeout(say, Math.max(GATHER_MS, saidAt + REST_MS - performance.now()));
}

function say() {
  const more = waiting.length - MOST;
  const told = waiting.slice(-MOST).reverse();
  answer(more > 0 ? `${told.join("; ")}; and ${more} more` : told.join("; "));
  waiting = [];
  timer = null;
  saidAt = performance.now();
}

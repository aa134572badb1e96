// Whether what is shown is live: the lamp, and a banner that cannot be overlooked.

import { byId, setText } from "./dom.js";
import { age, clock } from "./format.js";

const NAMES = {
  connecting: "Connecting",
  live: "Live",
  lost: "Connection lost",
  refused: "A token is wanted",
  full: "Refused",
  wrong: "Refused",
  away: "Not watched: let go",
};
let state = "connecting";
let since = 0;
let said = "";
let nextAt = 0;

export const connection = () => state;

/** Tell a state; `detail` is what the gateway said, or the seconds until the next try. */
export function showState(now, detail) {
  if (now !== state) since = Date.now();
  state = now;
  said = typeof detail === "string" ? detail : "";
  nextAt = Date.now() + 1000 * (typeof detail === "number" ? detail : 0);
  byId("status").dataset.state = state;
  setText(byId("status-text"), NAMES[state]);
  document.body.classList.toggle("is-stale", state !== "live");
  byId("login").hidden = state !== "refused";
  if (state === "refused") byId("token").focus();
  showBanner();
}

/** Say for how long it has been so; to be called each second. */
export function showBanner() {
  const text = banner();
  byId("banner").hidden = !text;
  setText(byId("banner-text"), text);
  byId("retry").hidden = state !== "lost";
}

function banner() {
  if (state === "full" || state === "wrong") return `The gateway refuses: ${said}`;
  if (state !== "lost") return "";
  const next = Math.ceil((nextAt - Date.now()) / 1000);
  const trying = next > 0 ? `Next try in ${next} s.` : "Trying now.";
  return `The gateway has not answered since ${clock(since)}, for ${age(Date.now() - since)}: what is shown is of then. ${trying}`;
}

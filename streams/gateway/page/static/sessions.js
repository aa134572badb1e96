// Conversations, each with what is known of it so far.

import { choice } from "./address.js";
import { Keyed, byId, el, row, setAttribute, setHint, setText } from "./dom.js";
import { age, moment, signed, words } from "./format.js";

const MOST = 100;
const known = new Map();
const order = byId("sessions-order");
const ORDERS = {
  newest: (one, other) => other.at_ms - one.at_ms,
  waiting: (one, other) => (one.asked_ms ?? Infinity) - (other.asked_ms ?? Infinity) || ORDERS.newest(one, other),
  mood: (one, other) => (one.mood ?? 2) - (other.mood ?? 2) || ORDERS.newest(one, other),
};
let find = () => {};

const rows = new Keyed(byId("sessions-rows"), (session) => {
  const { node, cells } = row("name", "n", "wide", "n few", "few", "asks", "n");
  const button = el("button", { type: "button", class: "plain", title: `Find the results of ${session}` }, session);
  button.addEventListener("click", () => find(session));
  cells[0].append(button);
  return { node, cells };
});

/** `search(session)` is called for a session that was chosen, `changed()` for another order. */
export function onSession(search, changed) {
  find = search;
  choice(order, "sessions", changed);
}

export function takeSessions({ sessions = [], sessions_gone: gone = [], whole }) {
  if (whole) known.clear();
  gone.forEach((name) => known.delete(name));
  for (const one of sessions) known.set(one.session, one);
}

/** Show them in the order that was chosen. */
export function showSessions(now) {
  const all = [...known.values()].sort(ORDERS[order.value]);
  const shown = all.slice(0, MOST);
  rows.show(shown.map((one) => one.session));
  for (const one of shown) fill(rows.get(one.session).cells, one, now);
  const waiting = all.filter((one) => one.asked_ms !== null).length;
  setText(byId("sessions-hint"), all.length ? `${all.length} in the last hour, ${waiting} with an open question` : "");
  setHint(byId("sessions-empty"), all.length ? "" : "None in the last hour.");
  byId("sessions-table").hidden = !all.length;
}

function fill(cells, one, now) {
  setText(cells[1], `${one.segments}`);
  setText(cells[2], one.intent === null ? "–" : words(one.intent));
  setAttribute(cells[2], "title", one.intents.map(([label, times]) => `${words(label)} ${times}×`).join("\n"));
  setText(cells[3], signed(one.mood, 2));
  setText(cells[4], one.speaker ?? "–");
  const asked = one.asked_ms === null ? "–" : `? ${age(one.event_ms - one.asked_ms + now - one.at_ms)}`;
  setText(cells[5], one.asked_by && one.asked_ms !== null ? `${asked}, ${one.asked_by}` : asked);
  setAttribute(cells[5], "data-open", one.asked_ms === null ? null : "");
  setText(cells[6], age(now - one.at_ms));
  setAttribute(cells[6], "title", moment(one.at_ms));
}

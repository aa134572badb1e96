// Alerts that are raised, and for a minute those that are over.

import { Keyed, byId, row, setAttribute, setHint, setText } from "./dom.js";
import { age, moment, number2, words } from "./format.js";

const MOST = 100;
const known = new Map();
const rows = new Keyed(byId("alerts-rows"), () => row("state", "subject", "rule", "n", "n few", "n"));

/** Take what changed; returns what to say of it. */
export function takeAlerts({ alerts = [], alerts_gone: gone = [], whole }) {
  if (whole) known.clear();
  gone.forEach((id) => known.delete(id));
  const told = [];
  for (const alert of alerts) {
    if (!whole && known.get(alert.id)?.state !== alert.state) {
      told.push(`${words(alert.rule)} of ${alert.scope} ${alert.subject} ${alert.state}`);
    }
    known.set(alert.id, alert);
  }
  return told;
}

/** The cameras and lines that an alert is raised about. */
export function alerted(scope) {
  const raised = [...known.values()].filter((one) => one.state === "raised" && one.scope === scope);
  return new Set(raised.map((one) => one.subject));
}

/** Show them, raised ones first, newest first; returns how many are raised. */
export function showAlerts(now) {
  const order = [...known.values()].sort(
    (one, other) => (one.state === "cleared") - (other.state === "cleared") || other.at_ms - one.at_ms,
  );
  const shown = order.slice(0, MOST);
  rows.show(shown.map((one) => one.id));
  for (const one of shown) {
    const { node, cells } = rows.get(one.id);
    setAttribute(node, "class", one.state);
    setText(cells[0], one.state === "raised" ? "▲ raised" : "✓ cleared");
    setText(cells[1], one.subject);
    setAttribute(cells[1], "title", `${one.scope} ${one.subject}`);
    setText(cells[2], words(one.rule));
    setText(cells[3], number2(one.value));
    setText(cells[4], number2(one.threshold));
    setText(cells[5], age(now - one.at_ms));
    setAttribute(cells[5], "title", moment(one.at_ms));
  }
  byId("alerts-table").hidden = !order.length;
  const raised = order.filter((one) => one.state === "raised").length;
  setText(byId("alerts-hint"), hint(raised, order.length));
  setHint(byId("alerts-empty"), order.length ? "" : "None raised. `headrace app alerts` watches cameras, `headrace app conversations` watches speech.");
  return raised;
}

function hint(raised, all) {
  const shown = all > MOST ? `, ${MOST} of ${all} shown` : "";
  return raised ? `${raised} raised${shown}` : "";
}

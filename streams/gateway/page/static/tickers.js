// Instruments, each with its newest signal.

import { choice, given, keep } from "./address.js";
import { line } from "./charts.js";
import { Keyed, byId, el, row, setAttribute, setHint, setText, svg } from "./dom.js";
import { age, moment, number2, signed } from "./format.js";

const ARROWS = { positive: "▲", negative: "▼", neutral: "◆" };
const MOST = 200;
const known = new Map();
const order = byId("tickers-order");
const watched = byId("tickers-watched");
const ORDERS = {
  name: (one, other) => (one.ticker < other.ticker ? -1 : 1),
  newest: (one, other) => other.at_ms - one.at_ms || ORDERS.name(one, other),
  strongest: (one, other) => other.strength - one.strength || ORDERS.name(one, other),
  surprising: (one, other) => Math.abs(other.surprise ?? 0) - Math.abs(one.surprise ?? 0) || ORDERS.name(one, other),
};
let find = () => {};

const rows = new Keyed(byId("tickers-rows"), (ticker) => {
  const { node, cells } = row("name", "direction", "n", "curve", "n", "n few", "n few", "n");
  const button = el("button", { type: "button", class: "plain", title: `Find the results of ${ticker}` }, ticker);
  button.addEventListener("click", () => find(ticker));
  cells[0].append(button);
  const path = svg("path", { class: "line" });
  const zero = svg("line", { class: "zero", x1: 0, x2: 60, y1: 8, y2: 8 });
  cells[3].append(svg("svg", { viewBox: "0 0 60 16", preserveAspectRatio: "none", "aria-hidden": "true" }, zero, path));
  return { node, cells, path };
});

/** `search(ticker)` is called for a ticker that was chosen, `changed()` for another choice of rows. */
export function onTicker(search, changed) {
  find = search;
  choice(order, "signals", changed);
  watched.value = given().get("tickers") ?? "";
  watched.addEventListener("input", () => {
    keep({ tickers: [watched.value.trim()] });
    changed();
  });
}

export function takeTickers({ tickers = [], tickers_gone: gone = [], whole }) {
  if (whole) known.clear();
  gone.forEach((name) => known.delete(name));
  for (const one of tickers) known.set(one.ticker, one);
}

/** Those whose names begin with one of the words that were given, in the order that was chosen. */
function chosen() {
  const begins = watched.value.toUpperCase().split(/[\s,]+/).filter(Boolean);
  const all = [...known.values()];
  const some = begins.length ? all.filter(({ ticker }) => begins.some((one) => ticker.toUpperCase().startsWith(one))) : all;
  return some.sort(ORDERS[order.value]);
}

export function showTickers(now) {
  const all = chosen();
  const shown = all.slice(0, MOST);
  rows.show(shown.map((one) => one.ticker));
  for (const one of shown) fill(rows.get(one.ticker), one, now);
  setText(byId("tickers-hint"), hint(all.length));
  setHint(byId("tickers-empty"), empty(all.length));
  byId("tickers-table").hidden = !all.length;
}

function fill({ cells, path }, one, now) {
  setText(cells[1], `${ARROWS[one.direction]} ${one.direction}`);
  setAttribute(cells[1], "class", `direction d-${one.direction}`);
  setText(cells[2], number2(one.strength));
  setAttribute(path, "d", line(one.curve, -1, 1, 60, 16));
  setAttribute(path, "class", `line d-${one.direction}`);
  setText(cells[4], number2(one.confidence));
  setText(cells[5], signed(one.surprise));
  setText(cells[6], `${one.evidence}`);
  setText(cells[7], age(now - one.at_ms));
  setAttribute(cells[7], "title", moment(one.at_ms));
}

function hint(count) {
  if (count > MOST) return `${MOST} of ${count}`;
  return count < known.size ? `${count} of ${known.size}` : `${count || ""}`;
}

function empty(count) {
  if (count) return "";
  if (known.size) return `None of the ${known.size} instruments begins so.`;
  return "None. `headrace app signals` makes them of news that names tickers.";
}

// Instruments, each with its newest signal.

import { line } from "./charts.js";
import { Keyed, byId, el, row, setAttribute, setHint, setText, svg } from "./dom.js";
import { age, number2, signed } from "./format.js";

const ARROWS = { positive: "▲", negative: "▼", neutral: "◆" };
const MOST = 200;
const known = new Map();
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

/** `search(ticker)` is called for a ticker that was chosen. */
export function onTicker(search) {
  find = search;
}

export function takeTickers({ tickers = [], tickers_gone: gone = [], whole }) {
  if (whole) known.clear();
  gone.forEach((name) => known.delete(name));
  for (const one of tickers) known.set(one.ticker, one);
}

/** Show them by name. */
export function showTickers(now) {
  const all = [...known.values()].sort((one, other) => (one.ticker < other.ticker ? -1 : 1));
  const shown = all.slice(0, MOST);
  rows.show(shown.map((one) => one.ticker));
  for (const one of shown) {
    const { cells, path } = rows.get(one.ticker);
    setText(cells[1], `${ARROWS[one.direction]} ${one.direction}`);
    setAttribute(cells[1], "class", `direction d-${one.direction}`);
    setText(cells[2], number2(one.strength));
    setAttribute(path, "d", line(one.curve, -1, 1, 60, 16));
    setAttribute(path, "class", `line d-${one.direction}`);
    setText(cells[4], number2(one.confidence));
    setText(cells[5], signed(one.surprise));
    setText(cells[6], `${one.evidence}`);
    setText(cells[7], age(now - one.at_ms));
  }
  setText(byId("tickers-hint"), all.length > MOST ? `${MOST} of ${all.length}` : "");
  setHint(byId("tickers-empty"), all.length ? "" : "None. `headrace app signals` makes them of news that names tickers.");
}

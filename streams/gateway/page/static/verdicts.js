// Verdicts: their names, their signs, and how many of each over the last minutes.

import { area } from "./charts.js";
import { byId, el, setAttribute, setText, svg } from "./dom.js";
import { ceiling, clock, count, rate, words } from "./format.js";

/** From the bottom of the pile to its top; each has a sign beside its colour. */
export const ORDER = ["on_time", "degraded", "late", "shed"];
export const SIGNS = { on_time: "●", degraded: "◐", late: "▲", shed: "✕" };
const RATE_S = 5;

const plot = byId("verdicts-plot");
const paths = ORDER.map((name) => plot.appendChild(svg("path", { class: `fill v-${name}` })));
const shares = ORDER.map((name) => {
  const value = el("b", {}, "–");
  byId("verdicts-legend").append(
    el("li", { class: `v-${name}` }, el("span", { "aria-hidden": "true" }, SIGNS[name]), ` ${words(name)} `, value, "/s"),
  );
  return value;
});

let shown = null;
let endedAt = 0;

/** With a pointer over the plot, tell the counts of the second under it. */
plot.addEventListener("pointermove", (event) => {
  if (!shown) return;
  const { left, width } = plot.getBoundingClientRect();
  const at = Math.min(shown[0].length - 1, Math.max(0, Math.floor(((event.clientX - left) / width) * shown[0].length)));
  const told = ORDER.map((name, number) => `${SIGNS[name]} ${count(shown[number][at])}`).join("  ");
  setText(byId("verdicts-moment"), `${clock(endedAt - 1000 * (shown[0].length - at))}  ${told}`);
  byId("verdicts-moment").hidden = false;
});
plot.addEventListener("pointerleave", () => (byId("verdicts-moment").hidden = true));

/** Show counts of each verdict, named in `names`, by second; the last of them is before `now`. */
export function showVerdicts(names, seconds, now) {
  const rows = ORDER.map((name) => seconds[names.indexOf(name)]);
  const piles = [new Array(rows[0].length).fill(0)];
  for (const row of rows) piles.push(piles.at(-1).map((below, at) => below + row[at]));
  const most = Math.max(...piles.at(-1));
  const top = ceiling(1.1 * Math.max(1, most));
  setText(byId("verdicts-top"), `${count(top)}/s`);
  setText(byId("verdicts-half"), top % 2 ? (top / 2).toFixed(1) : count(top / 2));
  shown = rows;
  endedAt = now;
  paths.forEach((path, at) => setAttribute(path, "d", area(piles[at], piles[at + 1], top, 100)));
  const rates = rows.map((row) => row.slice(-RATE_S).reduce((sum, one) => sum + one, 0) / RATE_S);
  rates.forEach((value, at) => setText(shares[at], rate(value)));
  const told = ORDER.map((name, at) => `${rate(rates[at])} ${words(name)}`).join(", ");
  setAttribute(plot, "aria-label", `Results per second now: ${told}; at most ${count(most)} in the last five minutes`);
}

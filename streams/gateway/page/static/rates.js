// Rates and shares of verdicts by topic.

import { line } from "./charts.js";
import { Keyed, byId, el, row, setAttribute, setHint, setText, svg } from "./dom.js";
import { percent, rate } from "./format.js";
import { ORDER } from "./verdicts.js";

const ALL = "all topics";
const rows = new Keyed(byId("rates-rows"), (key) => {
  const { node, cells } = row("name", "n strong", "curve", "n v-on_time", "n v-degraded", "n v-late", "n v-shed");
  const path = svg("path", { class: "line" });
  cells[2].append(svg("svg", { viewBox: "0 0 60 16", preserveAspectRatio: "none", "aria-hidden": "true" }, path));
  // A long name may break behind its dots.
  cells[0].append(...key.split(".").flatMap((part, at) => (at ? [".", el("wbr"), part] : [part])));
  cells[0].title = key;
  if (key === ALL) node.className = "sum";
  return { node, cells, path };
});

/** Show the topics; verdicts are named in `names`. Returns rate and share in budget of all. */
export function showRates(topics, names) {
  const all = {
    topic: ALL,
    rate: topics.reduce((sum, one) => sum + one.rate, 0),
    curve: topics.reduce((sum, one) => sum.map((value, at) => value + one.curve[at]), new Array(60).fill(0)),
    verdicts: names.map((_, at) => topics.reduce((sum, one) => sum + one.verdicts[at], 0)),
  };
  const shown = topics.length > 1 ? [...topics, all] : topics;
  rows.show(shown.map((one) => one.topic));
  byId("rates-table").hidden = !shown.length;
  setHint(byId("rates-empty"), shown.length ? "" : "No result yet.");
  for (const one of shown) {
    const { cells, path } = rows.get(one.topic);
    setText(cells[1], rate(one.rate));
    setAttribute(path, "d", line(one.curve, 0, 1.15 * Math.max(1, ...one.curve), 60, 15));
    const sum = one.verdicts.reduce((total, value) => total + value, 0);
    ORDER.forEach((name, at) => {
      const value = one.verdicts[names.indexOf(name)];
      setText(cells[3 + at], percent(value, sum));
      setAttribute(cells[3 + at], "data-zero", value ? null : "");
    });
  }
  const of = (name) => all.verdicts[names.indexOf(name)];
  const sum = all.verdicts.reduce((total, value) => total + value, 0);
  return { rate: all.rate, inBudget: percent(of("on_time") + of("degraded"), sum) };
}

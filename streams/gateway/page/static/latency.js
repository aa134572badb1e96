// Latencies of each modality against its budget, on a logarithmic scale.

import { bars } from "./charts.js";
import { Keyed, byId, el, setAttribute, setHint, setText, svg } from "./dom.js";
import { count, ms, percent } from "./format.js";

const HEIGHT = 40;
const TICKS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000];
const SHARES = ["p50", "p95", "p99"];
let scale = { buckets: 56, steps_per_doubling: 4 };

const at = (value) =>
  Math.min(scale.buckets, Math.max(0, Math.log2(Math.max(1, value)) * scale.steps_per_doubling));
const across = (value) => `${(100 * at(value)) / scale.buckets}%`;

const plots = new Keyed(byId("latency-plots"), (key) => {
  const values = SHARES.map(() => el("b"));
  const over = el("span", { class: "over" });
  const facts = el("span", { class: "facts" }, ...SHARES.flatMap((name, number) => [`${name} `, values[number], " "]), "ms", over);
  const inside = svg("path", { class: "fill bar" });
  const beyond = svg("path", { class: "fill v-late" });
  const budget = svg("line", { class: "budget", y1: 0, y2: HEIGHT });
  const drawing = svg(
    "svg",
    { viewBox: `0 0 ${scale.buckets} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
    inside,
    beyond,
    budget,
  );
  const name = el("span", { class: "budget-name", "aria-hidden": "true" });
  const node = el(
    "div",
    { class: "latency" },
    el("div", { class: "latency-head" }, el("h3", {}, key), facts),
    el("div", { class: "histogram" }, drawing, name),
    axis(),
  );
  return { node, values, over, inside, beyond, budget, drawing, name };
});

function axis() {
  const marks = TICKS.map((tick) => {
    const mark = el("span", {}, tick < 1000 ? `${tick}${tick === 1 ? " ms" : ""}` : `${tick / 1000} s`);
    mark.style.left = across(tick);
    return mark;
  });
  return el("p", { class: "ticks", "aria-hidden": "true" }, ...marks);
}

/** Learn the scale of the buckets. */
export function setScale(hello) {
  scale = hello;
}

/** Show what was measured, by modality. */
export function showLatency(modalities) {
  plots.show(Object.keys(modalities));
  for (const [name, one] of Object.entries(modalities)) show(plots.get(name), name, one);
  setHint(byId("latency-empty"), plots.children.size ? "" : "No result in the last minute.");
}

function show(plot, name, { budget_ms: budget, budgets, latency, over, percentiles }) {
  const counts = new Array(scale.buckets).fill(0);
  for (const [bucket, value] of latency) counts[bucket] = value;
  const all = counts.reduce((sum, one) => sum + one, 0);
  const top = Math.max(1, ...counts);
  const limit = at(budget);
  setAttribute(plot.inside, "d", bars(counts, top, HEIGHT, (bucket) => bucket < Math.floor(limit)));
  setAttribute(plot.beyond, "d", bars(counts, top, HEIGHT, (bucket) => bucket >= Math.floor(limit)));
  setAttribute(plot.budget, "x1", limit);
  setAttribute(plot.budget, "x2", limit);
  plot.name.style.left = across(budget);
  setText(plot.name, `${ms(budget)} ms${budgets > 1 ? " +" : ""}`);
  const told = percentiles.map(ms);
  told.forEach((text, number) => setText(plot.values[number], text));
  const beyond = all ? `${percent(over, all)} over budget` : "";
  setText(plot.over, beyond);
  setAttribute(plot.over, "data-zero", over ? null : "");
  const others = budgets > 1 ? `, the most frequent of ${budgets} budgets` : "";
  setAttribute(plot.drawing, "aria-label", `${name}: of ${count(all)} half within ${told[0]} ms, 99% within ${told[2]} ms; budget ${ms(budget)} ms${others}, ${beyond}`);
}

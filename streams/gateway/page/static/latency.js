// Latencies of each modality against its budget, on a logarithmic scale.

import { bars } from "./charts.js";
import { Keyed, byId, el, setAttribute, setText, svg } from "./dom.js";
import { ms } from "./format.js";

const HEIGHT = 40;
const TICKS = [1, 3, 10, 30, 100, 300, 1000, 3000, 10000];
let scale = { buckets: 56, steps_per_doubling: 4 };

const plots = new Keyed(byId("latency-plots"), (key) => {
  const facts = el("span", { class: "facts" });
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
    el("h3", {}, key, " ", facts),
    el("div", { class: "histogram" }, drawing, name),
  );
  return { node, facts, inside, beyond, budget, drawing, name };
});

const at = (value) =>
  Math.min(scale.buckets, Math.max(0, Math.log2(Math.max(1, value)) * scale.steps_per_doubling));

/** Learn the scale of the buckets, and draw its ticks. */
export function setScale(hello) {
  scale = hello;
  const axis = byId("latency-axis") ?? el("p", { id: "latency-axis", class: "ticks", "aria-hidden": "true" });
  axis.replaceChildren(
    ...TICKS.map((tick) => {
      const mark = el("span", {}, tick < 1000 ? `${tick}${tick === 1 ? " ms" : ""}` : `${tick / 1000} s`);
      mark.style.left = `${(100 * at(tick)) / scale.buckets}%`;
      return mark;
    }),
  );
  byId("latency-plots").after(axis);
}

/** Show what was measured, by modality. */
export function showLatency(modalities) {
  plots.show(Object.keys(modalities));
  for (const [name, one] of Object.entries(modalities)) show(plots.get(name), name, one);
}

function show(plot, name, { budget_ms: budget, budgets, latency, percentiles }) {
  const counts = new Array(scale.buckets).fill(0);
  for (const [bucket, value] of latency) counts[bucket] = value;
  const top = Math.max(1, ...counts);
  const limit = at(budget);
  setAttribute(plot.inside, "d", bars(counts, top, HEIGHT, (bucket) => bucket < Math.floor(limit)));
  setAttribute(plot.beyond, "d", bars(counts, top, HEIGHT, (bucket) => bucket >= Math.floor(limit)));
  setAttribute(plot.budget, "x1", limit);
  setAttribute(plot.budget, "x2", limit);
  plot.name.style.left = `${(100 * limit) / scale.buckets}%`;
  setText(plot.name, `${ms(budget)} ms`);
  const [p50, p95, p99] = percentiles.map(ms);
  setText(plot.facts, `p50 ${p50} · p95 ${p95} · p99 ${p99} ms`);
  const others = budgets > 1 ? `, the most frequent of ${budgets} budgets` : "";
  setAttribute(plot.drawing, "aria-label", `${name}: half within ${p50} ms, 99% within ${p99} ms, budget ${ms(budget)} ms${others}`);
}

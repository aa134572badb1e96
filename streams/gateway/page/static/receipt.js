// One result with everything that it says, and where its time went.

import { given, keep } from "./address.js";
import { byId, el, svg } from "./dom.js";
import { moment, ms, number2, percent, words } from "./format.js";
import { SIGNS } from "./verdicts.js";

const MOST_SCORES = 8;
const dialog = byId("receipt");
let json = "";
let asked = 0;

/** Show the result of a row. */
export function openRow({ topic, place: [partition, offset] }) {
  open(topic, partition, offset);
}

/** Show the result that the page's address names, if it names one. */
export function openAddressed() {
  const named = /^([\w.-]+):(\d+):(\d+)$/.exec(given().get("result") ?? "");
  if (named) open(...named.slice(1));
}

async function open(topic, partition, offset) {
  const number = ++asked;
  keep({ result: [`${topic}:${partition}:${offset}`] });
  json = "";
  tell("");
  byId("receipt-h").textContent = "Result";
  byId("receipt-body").replaceChildren(el("p", { class: "hint" }, `Reading ${topic}, partition ${partition}, offset ${offset}`));
  if (!dialog.open) dialog.showModal();
  const [found, why] = await read(new URLSearchParams({ topic, partition, offset }));
  if (number !== asked || !dialog.open) return;
  if (!found) byId("receipt-body").replaceChildren(el("p", { role: "alert" }, why));
  else show(found);
}

async function read(query) {
  try {
    const response = await fetch(`/v1/live/result?${query}`, { cache: "no-store" });
    const said = await response.json();
    return response.ok ? [said, ""] : [null, said.error];
  } catch {
    return [null, "The gateway does not answer; try again when it is back."];
  }
}

function show(found) {
  const { result } = found;
  json = JSON.stringify(found, null, 2);
  byId("receipt-h").textContent = `Result of ${result.event_id}`;
  const verdict = el("p", { class: `v-${result.verdict} strong` }, `${SIGNS[result.verdict]} ${words(result.verdict)}`);
  if (result.reason) verdict.append(el("span", { class: "why" }, `: ${result.reason}`));
  byId("receipt-body").replaceChildren(
    verdict,
    section("Time", times(result.latency)),
    section("Scores", scores(result)),
    section("Facts", facts(found)),
    el("details", {}, el("summary", {}, "JSON"), el("pre", { id: "receipt-json", tabindex: "0" }, json)),
  );
}

const counted = (number, thing) => `${number} ${thing}${number === 1 ? "" : "s"}`;

const section = (name, ...children) => el("section", {}, el("h3", {}, name), ...children);

/** Stages one behind the other, and the budget. */
function times({ budget_ms: budget, queue_ms: queue, model_ms: model, total_ms: total }) {
  const way = Math.max(0, total - queue - model);
  const stages = [["way", "on the way, read, published", way], ["queue", "waited in the queue", queue], ["model", "its batch ran", model]];
  const whole = 1.05 * Math.max(total, budget, 1);
  let at = 0;
  const drawing = svg("svg", { class: "stages", viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
  for (const [name, , took] of stages) {
    const width = (100 * took) / whole;
    drawing.append(svg("rect", { class: `s-${name}`, x: at, y: 1, width, height: 8 }));
    at += width;
  }
  const limit = (100 * budget) / whole;
  drawing.append(svg("line", { class: "budget", x1: limit, x2: limit, y1: 0, y2: 10 }));
  const used = `${Math.round((100 * total) / budget)}% of the budget`;
  const shares = [...stages.map(([, , took]) => percent(took, total)), used, ""];
  const rows = [...stages, ["total", "altogether", total], ["budget", "budget", budget]].map(([name, text, took], number) =>
    el("tr", {}, el("th", { scope: "row" }, el("span", { class: `key s-${name}`, "aria-hidden": "true" }), text),
      el("td", { class: "n" }, `${ms(took)} ms`), el("td", { class: "n" }, shares[number])),
  );
  const head = ["Stage", "Took", "Share"].map((name, number) => el("th", { scope: "col", class: number ? "n" : "" }, name));
  return el("div", {}, drawing, el("table", {}, el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)));
}

function scores({ scores: all, label }) {
  const best = Object.entries(all).sort(([, one], [, other]) => other - one);
  if (!best.length) return el("p", { class: "hint" }, "None: nothing was classified.");
  const lines = best.slice(0, MOST_SCORES).map(([name, score]) =>
    el("li", {}, el("span", { class: name === label ? "strong" : "" }, words(name)),
      svg("svg", { class: "share", "aria-hidden": "true" }, svg("rect", { class: "bar", height: "100%", width: `${100 * score}%` })),
      el("b", {}, number2(score))),
  );
  if (best.length > MOST_SCORES) lines.push(el("li", {}, el("span", { class: "hint" }, `${best.length - MOST_SCORES} more in the JSON`)));
  return el("ul", { class: "shares" }, ...lines);
}

function facts({ topic, partition, offset, key, traceparent, result }) {
  const { effort, model, source } = result;
  const time = (text) => moment(Date.parse(text));
  const told = [
    ["Tickers", result.tickers?.join(" ")],
    ["Companies", result.entities?.map(({ name, ticker, relation }) => `${name ?? ticker} (${ticker}, ${relation})`).join("; ")],
    ["Session", result.session_id && `${result.session_id}, segment ${result.segment ?? "–"}${result.speaker ? `, ${result.speaker}` : ""}`],
    ["Camera", result.camera_id],
    ["Answered from", words(result.answered_from)],
    ["Effort", effort.layers ? `left after ${counted(effort.layers, "layer")}, ${counted(effort.experts, "expert")} per token, ${percent(effort.active_share, 1)} of the parameters` : "none"],
    ["Model", `${model.name} ${model.version}, ${model.digest.slice(0, 19)}…`],
    ["Answer", result.revision ? "second, at full effort" : "first"],
    ["Happened", time(result.event_time)],
    ["Published", time(result.result_time)],
    ["Event", `${source.topic}, partition ${source.partition}, offset ${source.offset}`],
    ["Result", `${topic}, partition ${partition}, offset ${offset}`],
    ["Key", key],
    ["Trace", traceparent?.split("-")[1]],
  ];
  const lines = told.filter(([, text]) => text).map(([name, text]) => el("div", {}, el("dt", {}, name), el("dd", {}, text)));
  return el("dl", { class: "facts-of" }, ...lines);
}

function tell(text) {
  byId("receipt-told").textContent = text;
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
    tell(`${what} copied`);
  } catch { // a page without TLS from another machine has no clipboard
    tell(copyOldWay(text) ? `${what} copied` : `The browser does not let the page copy; take it from ${what === "Link" ? "the address" : "JSON"}`);
  }
}

function copyOldWay(text) {
  const field = el("textarea", { class: "unseen", readonly: "" });
  field.value = text;
  dialog.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}

byId("receipt-copy").addEventListener("click", () => copy(json, "JSON"));
byId("receipt-link").addEventListener("click", () => copy(location.href, "Link"));
dialog.addEventListener("close", () => keep({ result: [] }));

// What several streams say together of one thing.

import { Keyed, byId, el, row, setAttribute, setHint, setText } from "./dom.js";
import { age, moment, number2, words } from "./format.js";
import { SIGNS } from "./verdicts.js";

const MOST = 50;
const known = new Map();

const rows = new Keyed(byId("fused-rows"), () => {
  const { node, cells } = row("name", "wide", "", "n");
  const parts = el("ul", { class: "parts" });
  cells[1].append(parts);
  return { node, cells, parts: new Keyed(parts, () => ({ node: el("li") })) };
});

export function takeFused({ fused = [], fused_gone: gone = [], whole }) {
  if (whole) known.clear();
  gone.forEach((id) => known.delete(id));
  for (const one of fused) known.set(one.id, one);
}

/** Show them, newest first. */
export function showFused(now) {
  const all = [...known.values()].sort((one, other) => other.at_ms - one.at_ms);
  const shown = all.slice(0, MOST);
  rows.show(shown.map((one) => one.id));
  for (const one of shown) fill(rows.get(one.id), one, now);
  const lacking = all.filter((one) => one.reason !== null).length;
  setText(byId("fused-hint"), all.length ? `${all.length} newest of the last hour, ${lacking} incomplete` : "");
  setHint(byId("fused-empty"), all.length ? "" : "None in the last hour.");
  byId("fused-table").hidden = !all.length;
}

function fill({ node, cells, parts }, one, now) {
  setText(cells[0], one.key);
  parts.show(Object.keys(one.parts));
  for (const [modality, part] of Object.entries(one.parts)) {
    const answer = part.label === null ? `${SIGNS.shed} shed` : `${words(part.label)} ${number2(part.score)}`;
    setText(parts.get(modality).node, `${modality}: ${answer}`);
  }
  const lacks = one.missing.length ? `without ${one.missing.join(", ")}` : "";
  const state = one.reason === null ? "✓ complete" : `◌ ${[lacks, words(one.reason)].filter(Boolean).join(": ")}`;
  const notes = [one.is_ambiguous && "ambiguous", one.revision && `revision ${one.revision}`].filter(Boolean);
  setText(cells[2], notes.length ? `${state} (${notes.join(", ")})` : state);
  setAttribute(cells[2], "class", one.reason === null ? "wrap" : "wrap incomplete");
  setText(cells[3], age(now - one.at_ms));
  setAttribute(node, "title", `${one.id}\n${moment(one.event_ms)}`);
}

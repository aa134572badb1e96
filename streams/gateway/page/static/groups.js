// Consumer groups: who reads what, and how far behind.

import { Keyed, byId, row, setAttribute, setHint, setText } from "./dom.js";
import { age, count, ranges } from "./format.js";

const members = new Keyed(byId("members-rows"), () => row("name", "", "", "wrap", "n"));
const positions = new Keyed(byId("positions-rows"), () => row("name", "", "n", "", "n", "n", "n lag", "n"));
const shortened = (id) => (id.length > 26 ? `${id.slice(0, 16)}…${id.slice(-8)}` : id);
const end = (id) => (id.length > 12 ? `…${id.slice(-8)}` : id);
const tables = [byId("members-table"), byId("positions-table")];
const number = (value) => (value === null ? "–" : count(value));

/** Show them; returns the lag of all groups that have members, null without any. */
export function showGroups({ members: all, positions: places, states, left_out: leftOut = 0, problem }) {
  showMembers(all, states);
  tables[0].hidden = !all.length;
  tables[1].hidden = !places.length;
  positions.show(places.map((one) => `${one.group}\n${one.topic}\n${one.partition}`));
  for (const one of places) {
    const { node, cells } = positions.get(`${one.group}\n${one.topic}\n${one.partition}`);
    setText(cells[0], one.group);
    setText(cells[1], one.topic);
    setText(cells[2], `${one.partition}`);
    setText(cells[3], one.member === null ? "nobody" : end(one.member));
    setAttribute(cells[3], "title", one.member);
    setText(cells[4], number(one.committed));
    setText(cells[5], number(one.end));
    setText(cells[6], number(one.lag));
    setText(cells[7], one.still_s === null ? "" : age(one.still_s * 1000));
    setAttribute(node, "data-behind", one.lag ? "" : null);
  }
  const idle = Object.entries(states).filter(([name]) => !all.some((one) => one.group === name));
  const told = [problem ?? "", idle.length ? `Without members: ${idle.map(([name]) => name).join(", ")}.` : ""];
  if (leftOut) told.push(`${leftOut} more groups or partitions are left out.`);
  if (!problem && !Object.keys(states).length) told.push("No consumer group that this gateway may see. Start a worker: `headrace run`; or grant Describe on groups.");
  setHint(byId("groups-empty"), told.filter(Boolean).join(" "));
  const living = new Set(all.map((one) => one.group));
  setText(byId("groups-hint"), all.length ? `${all.length} ${all.length === 1 ? "member" : "members"} of ${living.size} ${living.size === 1 ? "group" : "groups"}` : "");
  if (!living.size) return null;
  return places.filter((one) => living.has(one.group)).reduce((sum, one) => sum + (one.lag ?? 0), 0);
}

function showMembers(all, states) {
  members.show(all.map((one) => one.id));
  for (const one of all) {
    const { cells } = members.get(one.id);
    setText(cells[0], states[one.group] === "Stable" ? one.group : `${one.group} (${states[one.group] ?? "?"})`);
    setText(cells[1], shortened(one.id));
    setAttribute(cells[1], "title", one.id);
    setText(cells[2], one.host);
    const parts = Object.entries(one.partitions).map(([topic, numbers]) => `${topic} ${ranges(numbers)}`);
    setText(cells[3], parts.join("; ") || "none");
    setText(cells[4], number(one.lag));
  }
}

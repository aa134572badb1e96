// How much of the network results took, and where they were answered from.

import { Keyed, byId, el, row, setHint, setShare, setText, svg } from "./dom.js";
import { percent, words } from "./format.js";

const PARTS = ["layers", "experts", "share", "from"];
const NAMES = {
  layers: (value) => `${value}`,
  experts: (value) => `${value}`,
  share: (value) => `${value * 10}–${value * 10 + 10}%`,
  from: words,
};

const rows = new Keyed(byId("effort-rows"), (key) => {
  const { node, cells } = row("name", ...PARTS.map((part) => `of-${part}`));
  setText(cells[0], key);
  const lists = PARTS.map((part, number) => {
    const list = el("ul", { class: "shares" });
    cells[number + 1].append(list);
    return new Keyed(list, (value) => bar(NAMES[part](value)));
  });
  return { node, lists };
});

function bar(name) {
  const fill = svg("rect", { height: "100%", class: "fill bar" });
  const share = el("b");
  const node = el(
    "li",
    {},
    el("span", {}, name),
    svg("svg", { "aria-hidden": "true", class: "share" }, fill),
    share,
  );
  return { node, fill, share };
}

/** Show the effort of each modality. */
export function showEffort(modalities) {
  const names = Object.keys(modalities);
  setHint(byId("effort-empty"), names.length ? "" : "No result in the last minute.");
  rows.show(names);
  byId("effort-table").hidden = !names.length;
  for (const name of names) {
    PARTS.forEach((part, number) => {
      const counted = modalities[name][part];
      const sum = counted.reduce((total, [, value]) => total + value, 0);
      const list = rows.get(name).lists[number];
      list.show(counted.map(([value]) => value));
      for (const [value, times] of counted) {
        const { fill, share } = list.get(value);
        setShare(fill, times / sum);
        setText(share, percent(times, sum));
      }
    });
  }
}

// The camera wall: a tile for each camera, drawn again when its camera has news.

import { bars } from "./charts.js";
import { Keyed, byId, el, setAttribute, setHint, setText, svg } from "./dom.js";
import { age, moment, number2, words } from "./format.js";
import { Rove } from "./rove.js";
import { SIGNS } from "./verdicts.js";

const SHARE = 100;
const SILENT_MS = 60_000; // without an image for so long a camera is worth a look
const SIZES = [[2.4, false], [2, false], [1.7, false], [1.4, false], [1.2, false], [1, false], [1.35, true], [1.2, true], [1.1, true], [1, true]];
const EDGE_PX = 20;
const byName = new Intl.Collator("en", { numeric: true }).compare;
const known = new Map();
const fresh = new Set();
const wall = byId("wall");
const rove = new Rove(wall);
let find = () => {};
let order = [];

const tiles = new Keyed(wall, (camera) => {
  const span = (name, ...children) => el("span", { class: name }, ...children);
  const parts = { when: span("when"), label: span("label"), sure: span("sure"), mark: span("mark"), verdict: span("verdict") };
  const good = svg("path", { class: "fill bar" });
  // Defects hang from the top: their colour is not all that tells them apart.
  const bad = svg("path", { class: "fill defect", transform: "matrix(1 0 0 -1 0 100)" });
  const strip = svg(
    "svg",
    { viewBox: "0 0 30 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    good,
    bad,
  );
  const button = el(
    "button",
    { type: "button", tabindex: "-1" },
    span("line-of", span("camera", camera), " ", parts.when),
    " ",
    span("line-of", parts.label, " ", parts.sure),
    " ",
    span("line-of last", span("marks", parts.mark, " ", parts.verdict), strip),
  );
  button.addEventListener("click", () => find(camera));
  return { node: el("li", {}, button), button, good, bad, ...parts };
});

/** `search(camera)` is called for a camera that was chosen. */
export function onCamera(search) {
  find = search;
}

export function takeCameras({ cameras = [], cameras_gone: gone = [], whole }) {
  if (whole) known.clear();
  gone.forEach((name) => known.delete(name));
  for (const one of cameras) {
    known.set(one.camera, one);
    fresh.add(one.camera);
  }
}

function arrange() {
  if (known.size === order.length && order.every((camera) => known.has(camera))) return;
  order = [...known.keys()].sort(byName);
  tiles.show(order);
  rove.to();
  fit();
}

/** Draw what has news; all tiles where `every`, as ages and alerts go on without. */
export function showCameras(now, alerted, every) {
  arrange();
  const drawn = every ? order : order.filter((camera) => fresh.has(camera));
  for (const camera of drawn) {
    const one = known.get(camera);
    const tile = tiles.get(camera);
    if (fresh.has(camera)) draw(tile, one);
    setText(tile.when, age(now - one.at_ms));
    mark(tile, one, alerted.has(camera), now - one.at_ms > SILENT_MS);
  }
  fresh.clear();
  setText(byId("cameras-hint"), order.length ? summary(now) : "");
  setHint(byId("cameras-empty"), order.length ? "" : "No camera yet: results of camera events appear here, a tile for each `camera_id`.");
}

function summary(now) {
  const all = [...known.values()];
  const defects = all.filter((one) => one.is_defect).length;
  const silent = all.filter((one) => now - one.at_ms > SILENT_MS).length;
  const told = [`${all.length} cameras, ${defects} with a defect in the last image`];
  if (silent) told.push(`${silent} without an image for a minute`);
  return told.join(", ");
}

function draw(tile, one) {
  const label = one.label === null ? "no answer" : words(one.label);
  setText(tile.label, `${one.is_defect ? "◆ " : ""}${label}`);
  setText(tile.sure, one.confidence === null ? "" : number2(one.confidence));
  setAttribute(tile.button, "title", `${one.camera}: ${label}\n${moment(one.at_ms)}`);
  const heights = one.strip.map(Math.abs);
  const from = 30 - heights.length;
  const placed = [...new Array(from).fill(0), ...heights];
  setAttribute(tile.good, "d", bars(placed, SHARE, 100, (at) => one.strip[at - from] > 0));
  setAttribute(tile.bad, "d", bars(placed, SHARE, 100, (at) => one.strip[at - from] < 0));
}

function mark(tile, one, isAlerted, isSilent) {
  const marks = [];
  if (isAlerted) marks.push("▲ alert");
  if (isSilent) marks.push("silent");
  const isOther = one.verdict !== "on_time";
  if (one.is_defect && !isOther && !marks.length) marks.push("defect");
  setText(tile.mark, marks.join(", "));
  setText(tile.verdict, isOther ? `${SIGNS[one.verdict]} ${words(one.verdict)}` : "");
  setAttribute(tile.verdict, "class", `verdict v-${one.verdict}`);
  const classes = { "is-defect": one.is_defect, "is-alerted": isAlerted, "is-silent": isSilent };
  setAttribute(tile.node, "class", Object.keys(classes).filter((name) => classes[name]).join(" "));
}

/** Where the wall is all that is shown: the largest tiles of which all can be seen. */
export function fit() {
  const isAlone = byId("main").dataset.only === "cameras";
  const sizes = isAlone ? SIZES : [[1, false]];
  for (const [size, isDense] of sizes) {
    wall.style.setProperty("--size", size);
    wall.classList.toggle("is-dense", isDense);
    if (wall.getBoundingClientRect().bottom + scrollY + EDGE_PX <= innerHeight) return;
  }
}

addEventListener("resize", fit);

/** Another tile may be the first that can be seen. */
export const rearranged = () => rove.to();

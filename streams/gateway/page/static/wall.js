// The camera wall: a tile for each camera, drawn again when its camera has news.

import { bars } from "./charts.js";
import { Keyed, byId, el, setAttribute, setHint, setText, svg } from "./dom.js";
import { age, number2, words } from "./format.js";
import { SIGNS } from "./verdicts.js";

const SHARE = 100;
const byName = new Intl.Collator("en", { numeric: true }).compare;
const known = new Map();
const fresh = new Set();
const wall = byId("wall");
let find = () => {};
let order = [];

const tiles = new Keyed(wall, (camera) => {
  const span = (name, ...children) => el("span", { class: name }, ...children);
  const parts = { when: span("when"), label: span("label"), mark: span("mark") };
  const good = svg("path", { class: "fill bar" });
  const bad = svg("path", { class: "fill defect" });
  const strip = svg(
    "svg",
    { viewBox: "0 0 30 100", preserveAspectRatio: "none", "aria-hidden": "true" },
    good,
    bad,
  );
  const button = el(
    "button",
    { type: "button", tabindex: "-1", title: `Find the results of ${camera}` },
    span("line-of", span("camera", camera), " ", parts.when),
    " ",
    span("line-of", parts.label),
    " ",
    span("line-of", parts.mark, strip),
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
  if (whole || gone.length || known.size !== order.length) {
    order = [...known.keys()].sort(byName);
    tiles.show(order);
    rove(wall.contains(document.activeElement) ? document.activeElement : null);
  }
}

/** Draw what has news; all tiles where `every`, as ages and alerts go on without. */
export function showCameras(now, alerted, every) {
  const drawn = every ? order : order.filter((camera) => fresh.has(camera));
  for (const camera of drawn) {
    const one = known.get(camera);
    const tile = tiles.get(camera);
    if (fresh.has(camera)) draw(tile, one);
    setText(tile.when, age(now - one.at_ms));
    mark(tile, one, alerted.has(camera));
  }
  fresh.clear();
  const defects = order.filter((camera) => known.get(camera).is_defect).length;
  setText(byId("cameras-hint"), order.length ? `${order.length} cameras, ${defects} with a defect in the last image` : "");
  setHint(byId("cameras-empty"), order.length ? "" : "No camera yet: results of camera events appear here, a tile for each `camera_id`.");
}

function draw(tile, one) {
  const label = one.label === null ? "no answer" : words(one.label);
  const sure = one.confidence === null ? "" : ` ${number2(one.confidence)}`;
  setText(tile.label, `${one.is_defect ? "◆ " : ""}${label}${sure}`);
  const heights = one.strip.map(Math.abs);
  const from = 30 - heights.length;
  const placed = [...new Array(from).fill(0), ...heights];
  setAttribute(tile.good, "d", bars(placed, SHARE, 100, (at) => one.strip[at - from] > 0));
  setAttribute(tile.bad, "d", bars(placed, SHARE, 100, (at) => one.strip[at - from] < 0));
}

function mark(tile, one, isAlerted) {
  const marks = [];
  if (isAlerted) marks.push("▲ alert");
  if (one.verdict !== "on_time") marks.push(`${SIGNS[one.verdict]} ${words(one.verdict)}`);
  if (one.is_defect && !marks.length) marks.push("defect");
  setText(tile.mark, marks.join(" "));
  const classes = [one.is_defect ? "is-defect" : "", isAlerted ? "is-alerted" : ""];
  setAttribute(tile.node, "class", classes.join(" ").trim());
}

/** One tile is in the tab order; arrows go from it to the others. */
function rove(to) {
  const buttons = [...wall.querySelectorAll("button")];
  for (const button of buttons) button.tabIndex = -1;
  const chosen = to ?? buttons.find((button) => button.offsetParent) ?? buttons[0];
  if (chosen) chosen.tabIndex = 0;
}

wall.addEventListener("keydown", (event) => {
  const shown = [...wall.querySelectorAll("button")].filter((button) => button.offsetParent);
  const from = shown.indexOf(document.activeElement);
  const next = neighbour(event.key, shown, from);
  if (from < 0 || !next) return;
  event.preventDefault();
  rove(next);
  next.focus();
});

function neighbour(key, shown, from) {
  if (key === "ArrowRight") return shown[from + 1];
  if (key === "ArrowLeft") return shown[from - 1];
  if (key === "Home") return shown[0];
  if (key === "End") return shown.at(-1);
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  const { left, top } = shown[from].getBoundingClientRect();
  const column = shown.filter((button) => Math.abs(button.getBoundingClientRect().left - left) < 2);
  const rows = column.map((button) => button.getBoundingClientRect().top);
  return key === "ArrowDown" ? column[rows.findIndex((one) => one > top)] : column[rows.findLastIndex((one) => one < top)];
}

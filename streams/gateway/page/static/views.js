// Which panels are shown: all, or those that the address names.

import { given, keep } from "./address.js";
import { byId, el } from "./dom.js";

/** In the order of the page; their numbers are their keys. */
export const SECTIONS = [
  "rates", "verdicts", "latency", "results", "alerts", "tickers", "cameras", "sessions", "fused", "effort", "groups",
];
const main = byId("main");
const buttons = new Map();
let changed = () => {};

/** Give each panel a button that shows it alone; `told()` is called when others are shown. */
export function bindViews(told) {
  changed = told;
  for (const id of SECTIONS) {
    const name = byId(`${id}-h`).textContent;
    const button = el("button", { type: "button", class: "alone", title: "Show this panel alone, or all" }, "⤢");
    button.setAttribute("aria-label", `Only ${name}`);
    button.addEventListener("click", () => toggle(id));
    byId(id).querySelector(".side").append(button);
    buttons.set(id, button);
  }
  show(given().getAll("only").filter((id) => SECTIONS.includes(id)));
}

/** Show the panel that has the focus alone, or all. */
export function toggleFocused() {
  const panel = document.activeElement.closest?.(".panel");
  toggle(panel ? panel.id : "");
}

/** Show all panels, if this one is hidden. */
export function reveal(id) {
  if (main.dataset.only && !byId(id).classList.contains("is-only")) toggle("");
}

function toggle(id) {
  const only = main.dataset.only || !id ? [] : [id];
  keep({ only });
  show(only);
}

function show(only) {
  main.dataset.only = only.join(" ");
  for (const id of SECTIONS) {
    byId(id).classList.toggle("is-only", only.includes(id));
    byId(id).classList.toggle("is-out", only.length > 0 && !only.includes(id));
    buttons.get(id).setAttribute("aria-pressed", `${only.includes(id)}`);
  }
  changed();
}

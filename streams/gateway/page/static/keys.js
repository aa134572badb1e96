// Single keys, which can be switched off, and the theme.

import { byId } from "./dom.js";
import { SECTIONS, reveal, toggleFocused } from "./views.js";

const THEMES = ["system", "light", "dark"];
const THEME = "headrace-theme";
const KEYS_OFF = "headrace-keys-off";
const DIGITS = { rates: 1, verdicts: 2, latency: 3, results: 4, alerts: 5, tickers: 6, cameras: 7, effort: 8, groups: 9, sessions: 0 };

/** Bind keys to `actions`, by key; those of the page itself are bound here. */
export function bindKeys(actions) {
  const all = {
    ...actions,
    "?": () => byId("help").showModal(),
    "/": () => {
      reveal("results");
      byId("filter-text").focus();
    },
    o: toggleFocused,
    t: nextTheme,
  };
  for (const id of SECTIONS) if (id in DIGITS) all[DIGITS[id]] = () => go(id);
  const isOn = byId("keys-on");
  isOn.checked = localStorage.getItem(KEYS_OFF) === null;
  isOn.addEventListener("change", () => {
    if (isOn.checked) localStorage.removeItem(KEYS_OFF);
    else localStorage.setItem(KEYS_OFF, "1");
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && isText(event.target)) event.target.blur();
    if (!isOn.checked || event.ctrlKey || event.metaKey || event.altKey || isText(event.target)) return;
    if (document.querySelector("dialog[open]") || !Object.hasOwn(all, event.key)) return;
    event.preventDefault();
    all[event.key]();
  });
  byId("help-open").addEventListener("click", all["?"]);
  byId("theme").addEventListener("click", nextTheme);
  nameTheme();
}

function go(id) {
  reveal(id);
  byId(id).scrollIntoView({ block: "nearest" });
  byId(id).focus({ preventScroll: true });
}

const isText = (target) =>
  target.matches("textarea, select, input:not([type=checkbox])") || target.isContentEditable;

const theme = () => document.documentElement.dataset.theme ?? "system";

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "system") {
    delete document.documentElement.dataset.theme;
    localStorage.removeItem(THEME);
  } else {
    document.documentElement.dataset.theme = next;
    localStorage.setItem(THEME, next);
  }
  nameTheme();
}

function nameTheme() {
  byId("theme").textContent = `Theme: ${theme()}`;
}

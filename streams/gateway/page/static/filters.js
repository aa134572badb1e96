// Filters of the newest results: a form, the page's address, and the gateway's query are one.

import { given, keep } from "./address.js";
import { byId, el } from "./dom.js";

const NAMES = ["text", "source", "label", "verdict", "min_confidence"];
const SETTLE_MS = 250;
const MOST_LABELS = 200;

export class Filters {
  /** `changed()` is called when others are set, a moment after the last key. */
  constructor(changed) {
    this.form = byId("filters");
    this.changed = changed;
    this.labels = new Set();
    this.read();
    let timer;
    this.form.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.apply(), SETTLE_MS);
    });
    this.form.addEventListener("submit", (event) => event.preventDefault());
    byId("filter-clear").addEventListener("click", () => this.clear());
    addEventListener("popstate", () => {
      this.read();
      changed();
    });
  }

  /** The query of the filters that are set, as the gateway takes it. */
  get query() {
    const kept = new URLSearchParams();
    for (const [name, value] of new FormData(this.form)) {
      if (value.trim()) kept.append(name, value.trim());
    }
    const text = kept.toString();
    return text ? `?${text}` : "";
  }

  /** The modality or topic that is asked for; empty for all. */
  get source() {
    return byId("filter-source").value;
  }

  /** Fill the form from the page's address. */
  read() {
    const asked = given();
    for (const name of NAMES) {
      for (const field of this.form.querySelectorAll(`[name=${name}]`)) {
        if (field.type === "checkbox") field.checked = asked.getAll(name).includes(field.value);
        else field.value = this.possible(field, asked.get(name) ?? "");
      }
    }
  }

  /** A choice may be of a topic that is not known yet. */
  possible(field, value) {
    if (field.tagName === "SELECT" && value) this.offerSources([value]);
    return value;
  }

  /** Keep the filters in the page's address, and use them. */
  apply() {
    const set = new URLSearchParams(this.query);
    keep(Object.fromEntries(NAMES.map((name) => [name, set.getAll(name)])));
    this.changed();
  }

  clear() {
    for (const field of this.form.elements) {
      if (field.type === "checkbox") field.checked = false;
      else if (field.name) field.value = "";
    }
    this.apply();
  }

  /** Look for one thing alone. */
  find(text) {
    byId("filter-text").value = text;
    this.apply();
  }

  /** Offer modalities and topics to choose from. */
  offerSources(names) {
    const select = byId("filter-source");
    const known = new Set([...select.options].map((option) => option.value));
    for (const name of names) if (!known.has(name)) select.append(el("option", { value: name }, name));
  }

  /** Offer labels that came. */
  offerLabels(rows) {
    for (const { label } of rows) {
      if (label === null || this.labels.has(label) || this.labels.size >= MOST_LABELS) continue;
      this.labels.add(label);
      byId("labels").append(el("option", { value: label }));
    }
  }
}

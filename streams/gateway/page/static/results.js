// The table of newest results: a fixed number of rows, refilled.

import { byId, el, row, setAttribute, setHint, setText } from "./dom.js";
import { clock, count, moment, ms, number2, rate, words } from "./format.js";
import { Rove } from "./rove.js";
import { SIGNS } from "./verdicts.js";

const SHOWN = 50;
const FLOOD_MS = 1000; // between two looks at what nobody could read at four a second
const HOLD_MS = 20_000; // without a move of the pointer or a key, nobody reads any more
const CLASSES = [
  "c-time", "c-topic", "c-id", "c-what", "c-label", "c-conf n",
  "c-verdict", "c-ms n", "c-budget n", "c-effort n", "c-effort n", "c-from",
];

export class Results {
  /** `open(row)` is called for a row that was chosen. */
  constructor(open) {
    this.rows = [];
    this.waiting = [];
    this.lines = [];
    this.passedOver = 0;
    this.passedOverPerS = 0;
    this.countedAt = 0;
    this.since = 0; // came since rows stand still
    this.drawnAt = 0;
    this.isFlood = false;
    this.isPaused = false;
    this.isFiltered = false;
    this.empty = "";
    this.open = open;
    this.body = byId("results-rows");
    this.rove = new Rove(this.body);
    this.heldUntil = 0;
    this.listen();
  }

  /** Rows stand still while one of them is pointed at or has the focus. */
  listen() {
    const hold = () => (this.heldUntil = performance.now() + HOLD_MS);
    const release = () => (this.heldUntil = 0);
    for (const name of ["pointerenter", "pointermove", "focusin", "keydown"]) this.body.addEventListener(name, hold);
    this.body.addEventListener("pointerleave", release);
    this.body.addEventListener("focusout", release);
  }

  get isHeld() {
    return performance.now() < this.heldUntil;
  }

  /** Take rows, oldest first; `whole` ones replace all. */
  take({ rows, passed_over: passedOver, whole }) {
    const newest = rows.reverse();
    if (whole) {
      this.rows = newest.slice(0, SHOWN);
      this.waiting = this.rows;
      this.passedOver = this.since = 0;
      this.draw();
      return;
    }
    this.passedOver += passedOver;
    this.isFlood = passedOver > 0;
    this.waiting = [...newest, ...this.waiting].slice(0, SHOWN);
    this.since += rows.length + passedOver;
  }

  /** Stop moving, or go on with the newest. */
  pause(isPaused) {
    this.isPaused = isPaused;
    this.draw();
  }

  /** Draw, unless so much comes that once a second is enough. */
  tick(now) {
    if (now - this.countedAt >= 1000) {
      this.passedOverPerS = (1000 * this.passedOver) / (now - this.countedAt);
      this.countedAt = now;
      this.passedOver = 0;
    }
    if (!this.isFlood || now - this.drawnAt >= FLOOD_MS) this.draw(now);
  }

  /** Fill the table as of a moment. */
  draw(now = this.drawnAt) {
    this.drawnAt = now;
    const stands = this.isPaused || this.isHeld;
    if (!stands) {
      this.rows = this.waiting;
      this.since = 0;
    }
    while (this.lines.length < this.rows.length) this.lines.push(this.line(this.lines.length));
    this.lines.forEach((line, at) => {
      const one = this.rows[at];
      line.node.hidden = !one;
      if (one) fill(line, one);
    });
    setAttribute(this.body, "class", stands ? "stands" : "");
    setHint(byId("results-empty"), this.rows.length ? "" : this.empty);
    setText(byId("results-hint"), this.hint());
  }

  line(at) {
    const { node, cells } = row(...CLASSES);
    const button = el("button", { type: "button", class: "plain" });
    cells[0].append(button);
    // The button is for the keyboard; with a pointer all of the row does.
    node.addEventListener("click", () => this.open(this.rows[at]));
    this.body.append(node);
    if (at === 0) button.tabIndex = 0;
    else button.tabIndex = -1;
    return { node, cells, button };
  }

  hint() {
    const since = this.since ? `; ${count(this.since)} came since` : "";
    if (this.isPaused) return `paused${since}`;
    if (this.isHeld) return `still while a row is pointed at${since}`;
    if (this.passedOverPerS) return `${rate(this.passedOverPerS)}/s more than can be shown`;
    return this.isFiltered ? "every match is here" : "";
  }
}

function fill({ node, cells, button }, one) {
  setText(button, clock(one.at_ms));
  setAttribute(button, "aria-label", `${clock(one.at_ms)}, details of ${one.id}`);
  setText(cells[1], one.topic);
  setText(cells[2], one.revision ? `${one.id} (second answer)` : one.id);
  setText(cells[3], one.what);
  setText(cells[4], one.label === null ? "–" : words(one.label));
  setText(cells[5], number2(one.confidence));
  setText(cells[6], `${SIGNS[one.verdict]} ${words(one.verdict)}`);
  setAttribute(cells[6], "class", `c-verdict v-${one.verdict}`);
  setText(cells[7], ms(one.total_ms));
  setAttribute(cells[7], "data-over", one.total_ms > one.budget_ms ? "" : null);
  setText(cells[8], ms(one.budget_ms));
  setText(cells[9], `${one.layers || "–"}`);
  setText(cells[10], `${one.experts || "–"}`);
  setText(cells[11], words(one.answered_from));
  const facts = [`${one.topic}, ${moment(one.at_ms)}`, one.id, one.what, one.reason];
  setAttribute(node, "title", facts.filter(Boolean).join("\n"));
}

// The table of newest results: a fixed number of rows, refilled.

import { byId, row, setAttribute, setHint, setText } from "./dom.js";
import { age, count, ms, number2, rate, words } from "./format.js";
import { SIGNS } from "./verdicts.js";

const SHOWN = 50;
const FLOOD_MS = 1000; // between two looks at what nobody could read at four a second
const CLASSES = [
  "c-age n", "c-topic", "c-id", "c-what", "c-label", "c-conf n",
  "c-verdict", "c-ms n", "c-budget n", "c-effort n", "c-effort n", "c-from",
];

export class Results {
  constructor() {
    this.rows = [];
    this.waiting = [];
    this.lines = [];
    this.passedOver = 0;
    this.passedOverPerS = 0;
    this.countedAt = 0;
    this.sincePause = 0;
    this.drawnAt = 0;
    this.isFlood = false;
    this.isPaused = false;
    this.isFiltered = false;
    this.empty = "";
  }

  /** Take rows, oldest first; `whole` ones replace all. */
  take({ rows, passed_over: passedOver, whole }) {
    const newest = rows.reverse();
    if (whole) {
      this.rows = newest.slice(0, SHOWN);
      this.waiting = this.rows;
      this.passedOver = this.sincePause = 0;
      this.draw();
      return;
    }
    this.passedOver += passedOver;
    this.isFlood = passedOver > 0;
    this.waiting = [...newest, ...this.waiting].slice(0, SHOWN);
    if (this.isPaused) this.sincePause += rows.length + passedOver;
    else this.rows = this.waiting;
  }

  /** Stop moving, or go on with the newest. */
  pause(isPaused) {
    this.isPaused = isPaused;
    this.sincePause = 0;
    if (!isPaused) this.rows = this.waiting;
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
    const body = byId("results-rows");
    while (this.lines.length < this.rows.length) {
      const line = row(...CLASSES);
      body.append(line.node);
      this.lines.push(line);
    }
    this.lines.forEach((line, at) => {
      const one = this.rows[at];
      line.node.hidden = !one;
      if (one) fill(line, one, now);
    });
    setHint(byId("results-empty"), this.rows.length ? "" : this.empty);
    setText(byId("results-hint"), this.hint());
  }

  hint() {
    if (this.isPaused) return `paused; ${count(this.sincePause)} came since`;
    if (this.passedOverPerS) return `${rate(this.passedOverPerS)}/s more than can be shown`;
    return this.isFiltered ? "every match is here" : "";
  }
}

function fill({ node, cells }, one, now) {
  setText(cells[0], age(now - one.at_ms));
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
  const title = one.reason ? `${one.id}: ${one.reason}` : one.id;
  setAttribute(node, "title", title);
}

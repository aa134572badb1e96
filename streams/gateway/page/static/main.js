// What the stream says goes to the panels; they are drawn once per picture of the screen.

import { given, keep } from "./address.js";
import { alerted, showAlerts, takeAlerts } from "./alerts.js";
import { announce, answer } from "./announce.js";
import { connection, showBanner, showState } from "./connection.js";
import { byId, setHint, setText } from "./dom.js";
import { showEffort } from "./effort.js";
import { Filters } from "./filters.js";
import { age, clock, count, moment, rate, zone } from "./format.js";
import { showFused, takeFused } from "./fused.js";
import { showGroups } from "./groups.js";
import { bindKeys } from "./keys.js";
import { setScale, showLatency } from "./latency.js";
import { login } from "./login.js";
import { emptyResults, notice } from "./notices.js";
import { showRates } from "./rates.js";
import { openAddressed, openRow } from "./receipt.js";
import { Results } from "./results.js";
import { onSession, showSessions, takeSessions } from "./sessions.js";
import { Stream } from "./stream.js";
import { onTicker, showTickers, takeTickers } from "./tickers.js";
import { showVerdicts } from "./verdicts.js";
import { bindViews, reveal } from "./views.js";
import { fit, onCamera, rearranged, showCameras, takeCameras } from "./wall.js";

const HIDDEN_MS = 30_000; // a tab that nobody sees lets go of the stream after so long
const WALL_MS = 450; // every other picture: hundreds of tiles may have changed
const CALM_MS = 2000; // between two pictures for who asked their system for less motion
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const results = new Results(openRow);
let names = [];
let totals = null;
let groups = null;
let broker = "";
let aheadMs = 0; // of the gateway's clock over this one
let newestMs = 0;
let isDue = false;
let lastDraw = 0;
let lastWhole = 0;
let lastWall = 0;

const handlers = {
  hello(data) {
    names = data.verdicts;
    broker = data.broker;
    setText(byId("fact-broker"), broker);
    setScale(data);
  },
  totals(data) {
    totals = data;
    aheadMs = data.now_ms - Date.now();
    newestMs = data.newest_ms;
    filters.offerSources([...Object.keys(data.modalities), ...data.topics.map((one) => one.topic)]);
  },
  boards(data) {
    takeCameras(data);
    takeTickers(data);
    takeSessions(data);
    takeFused(data);
    announce(takeAlerts(data));
  },
  rows(data) {
    filters.offerLabels(data.rows);
    results.take(data);
    if (data.whole && results.isFiltered) answer(`${data.rows.length} of the newest results match`);
  },
  groups(data) {
    groups = data;
  },
};

const stream = new Stream({
  event(name, data) {
    handlers[name]?.(data);
    drawSoon();
  },
  state: showState,
});

const filters = new Filters(follow);

function follow() {
  results.isFiltered = filters.query !== "";
  stream.open(filters.query);
}

function drawSoon() {
  if (isDue) return;
  isDue = true;
  const wait = calm.matches ? lastDraw + CALM_MS - performance.now() : 0;
  if (wait > 0) setTimeout(() => requestAnimationFrame(draw), wait);
  else requestAnimationFrame(draw);
}

function draw() {
  isDue = false;
  lastDraw = performance.now();
  const now = Date.now() + aheadMs;
  const isWhole = now - lastWhole >= 1000;
  if (isWhole) lastWhole = now;
  results.tick(now);
  drawAlerts(now);
  if (results.isPaused) return;
  if (totals) drawTotals();
  setText(byId("fact-newest"), newestMs ? age(now - newestMs) : "–");
  showTickers(now);
  showSessions(now);
  showFused(now);
  if (isWhole || now - lastWall >= WALL_MS) {
    lastWall = now;
    showCameras(now, alerted("camera"), isWhole);
  }
  if (groups) {
    const lag = showGroups(groups);
    setText(byId("fact-lag"), lag === null ? "–" : count(lag));
    groups = null;
  }
}

/** Alerts go on while all else is paused. */
function drawAlerts(now) {
  const raised = showAlerts(now);
  setText(byId("fact-alerts"), count(raised));
  byId("fact-alerts").parentNode.classList.toggle("is-raised", raised > 0);
  const title = `${raised ? `▲ ${raised} ` : ""}headrace live`;
  if (document.title !== title) document.title = title;
}

function drawTotals() {
  const all = showRates(totals.topics, names);
  setText(byId("fact-rate"), rate(all.rate));
  setText(byId("fact-budget"), all.inBudget);
  showVerdicts(names, totals.verdicts, totals.now_ms);
  showLatency(totals.modalities);
  showEffort(totals.modalities);
  setHint(byId("notice"), notice(totals, broker));
  for (const [id, prefix] of [["sessions", "sessions."], ["fused", "fused."]]) {
    byId(id).hidden = !totals.reading.some((topic) => topic.startsWith(prefix));
  }
  results.empty = emptyResults(results.isFiltered, filters.source, totals.reading);
  totals = null;
}

function togglePause() {
  const isPaused = !results.isPaused;
  const now = Date.now() + aheadMs;
  results.pause(isPaused);
  byId("pause").setAttribute("aria-pressed", `${isPaused}`);
  byId("paused").hidden = !isPaused;
  setText(byId("paused"), `Paused: the picture is of ${clock(now)}; alerts go on.`);
  answer(isPaused ? "Paused; alerts go on" : "Goes on");
  if (!isPaused) drawSoon();
}

function search(text) {
  reveal("results");
  filters.find(text);
  byId("results").scrollIntoView({ block: "nearest" });
  answer(`Newest results of ${text}`);
}

function bindTrouble() {
  const box = byId("cameras-trouble");
  box.checked = given().get("cameras") === "trouble";
  const apply = () => {
    byId("wall").classList.toggle("only-trouble", box.checked);
    keep({ cameras: box.checked ? ["trouble"] : [] });
    rearranged();
    fit();
  };
  box.addEventListener("change", apply);
  apply();
  return () => box.click();
}

byId("pause").addEventListener("click", togglePause);
byId("retry").addEventListener("click", () => stream.retry());
addEventListener("online", () => stream.retry());
byId("time-h").title = `local time, ${zone()}; now ${moment(Date.now())}`;
onCamera(search);
onTicker(search, drawSoon);
onSession(search, drawSoon);
bindViews(fit);
bindKeys({ p: togglePause, x: () => filters.clear(), d: bindTrouble() });
login(follow);

let hiding;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      stream.close();
      showState("away");
    }, HIDDEN_MS);
  } else if (connection() === "away") follow();
});

// Ages go on where nothing else does.
setInterval(() => {
  showBanner();
  if (connection() !== "live") drawSoon();
}, 1000);

follow();
openAddressed();

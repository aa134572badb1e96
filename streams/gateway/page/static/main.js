// What the stream says goes to the panels; they are drawn once per picture of the screen.

import { alerted, showAlerts, takeAlerts } from "./alerts.js";
import { byId, setHint, setText } from "./dom.js";
import { showEffort } from "./effort.js";
import { Filters } from "./filters.js";
import { count, rate } from "./format.js";
import { showGroups } from "./groups.js";
import { bindKeys } from "./keys.js";
import { setScale, showLatency } from "./latency.js";
import { showRates } from "./rates.js";
import { Results } from "./results.js";
import { Stream } from "./stream.js";
import { onTicker, showTickers, takeTickers } from "./tickers.js";
import { showVerdicts } from "./verdicts.js";
import { onCamera, showCameras, takeCameras } from "./wall.js";

const HIDDEN_MS = 30_000; // a tab that nobody sees lets go of the stream after so long
const WALL_MS = 450; // every other picture: hundreds of tiles may have changed
const results = new Results();
let names = [];
let totals = null;
let groups = null;
let broker = "";
let aheadMs = 0; // of the gateway's clock over this one
let isDue = false;
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
    filters.offerSources([...Object.keys(data.modalities), ...data.topics.map((one) => one.topic)]);
  },
  boards(data) {
    takeCameras(data);
    takeTickers(data);
    takeAlerts(data).forEach(announce);
  },
  rows(data) {
    filters.offerLabels(data.rows);
    results.take(data);
    if (data.whole && results.isFiltered) announce(`${data.rows.length} of the newest results match`);
  },
  groups(data) {
    groups = data;
  },
};

const stream = new Stream({
  event(name, data) {
    handlers[name]?.(data);
    if (!isDue) {
      isDue = true;
      requestAnimationFrame(draw);
    }
  },
  state: showState,
});

const filters = new Filters(follow);

function follow() {
  results.isFiltered = filters.query !== "";
  stream.open(filters.query);
}

function draw() {
  isDue = false;
  const now = Date.now() + aheadMs;
  const isWhole = now - lastWhole >= 1000;
  if (isWhole) lastWhole = now;
  if (totals) drawTotals();
  results.tick(now);
  setText(byId("fact-alerts"), count(showAlerts(now)));
  showTickers(now);
  if (isWhole || now - lastWall >= WALL_MS) {
    lastWall = now;
    showCameras(now, alerted("camera"), isWhole);
  }
  if (groups) {
    setText(byId("fact-lag"), count(showGroups(groups)));
    groups = null;
  }
}

function drawTotals() {
  const all = showRates(totals.topics, names);
  setText(byId("fact-rate"), rate(all.rate));
  setText(byId("fact-budget"), all.inBudget);
  showVerdicts(names, totals.verdicts);
  showLatency(totals.modalities);
  showEffort(totals.modalities);
  setHint(byId("notice"), notice(totals));
  results.empty = emptyResults();
  totals = null;
}

/** What to do where nothing can be seen. */
function notice({ problem, is_ready: isReady, reading, results: seen }) {
  if (problem) return problem;
  if (!isReady) return `Asking ${broker} for its topics.`;
  const at = `--bootstrap-servers ${broker}`;
  if (!reading.length) {
    return `${broker} has no topic of results yet. A worker makes them: \`headrace run ${at}\``;
  }
  if (!seen) {
    return `Nothing came in the last 5 minutes. Send events, such as a log: \`headrace replay headlines.jsonl --to events.news ${at}\``;
  }
  return "";
}

function emptyResults() {
  return results.isFiltered ? "None of the newest results matches; x clears the filters." : "No result yet.";
}

const STATES = {
  connecting: () => "Connecting",
  live: () => "Live",
  lost: (seconds) => `Connection lost; the next try in ${seconds} s. What is shown is old.`,
  refused: () => "A token is wanted",
  full: (why) => `Refused: ${why}`,
  wrong: (why) => `Refused: ${why}`,
  away: () => "Not watched: let go",
};

function showState(state, detail) {
  byId("status").dataset.state = state;
  setText(byId("status-text"), STATES[state](detail));
  document.body.classList.toggle("is-stale", state !== "live");
  byId("login").hidden = state !== "refused";
  if (state === "refused") byId("token").focus();
}

/** Exchange a token for a cookie that no script can read; returns what went wrong. */
async function login(token) {
  try {
    const headers = { Authorization: `Bearer ${token}` };
    const { ok, status } = await fetch("/v1/session", { method: "POST", headers });
    if (ok) return "";
    return status === 401 ? "That is none of its tokens." : `The gateway answered ${status}.`;
  } catch {
    return "The gateway does not answer.";
  }
}

function announce(text) {
  byId("announce").textContent = text;
}

function togglePause() {
  const isPaused = !results.isPaused;
  results.pause(isPaused);
  byId("pause").setAttribute("aria-pressed", `${isPaused}`);
  byId("pause").textContent = isPaused ? "Go on" : "Pause";
  announce(isPaused ? "Newest results paused" : "Newest results go on");
}

function search(text) {
  filters.find(text);
  byId("results").scrollIntoView({ block: "nearest" });
  announce(`Newest results of ${text}`);
}

function bindTrouble() {
  const box = byId("cameras-trouble");
  box.checked = new URLSearchParams(location.search).get("cameras") === "trouble";
  const apply = () => {
    byId("wall").classList.toggle("only-trouble", box.checked);
    const own = new URLSearchParams(location.search);
    if (box.checked) own.set("cameras", "trouble");
    else own.delete("cameras");
    history.replaceState(null, "", `${location.pathname}${own.size ? `?${own}` : ""}`);
  };
  box.addEventListener("change", apply);
  apply();
  return () => box.click();
}

byId("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = await login(byId("token").value.trim());
  setText(byId("login-error"), answer);
  if (answer) return;
  byId("login").reset();
  follow();
});
byId("pause").addEventListener("click", togglePause);
onCamera(search);
onTicker(search);
bindKeys({ p: togglePause, x: () => filters.clear(), d: bindTrouble() });

let hiding;
document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      stream.close();
      showState("away");
    }, HIDDEN_MS);
  } else if (byId("status").dataset.state === "away") follow();
});

// Ages go on where nothing else does.
setInterval(() => byId("status").dataset.state !== "live" && draw(), 1000);

follow();

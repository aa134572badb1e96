// What to do where nothing can be seen.

/** About all of the page. */
export function notice({ problem, is_ready: isReady, reading, missing, results: seen }, broker) {
  if (problem) return problem;
  if (!isReady) return `Asking ${broker} for its topics.`;
  const at = `--bootstrap-servers ${broker}`;
  if (missing.length) {
    return `${broker} has no topic ${missing.join(", ")}, which \`gateway.topics\` names; it is shown as soon as it is made.`;
  }
  if (!reading.length) {
    return `${broker} has no topic of results yet. A worker makes them: \`headrace run ${at}\``;
  }
  if (!seen) {
    return `Nothing came in the last 5 minutes. Send events, such as a log: \`headrace replay headlines.jsonl --to events.news ${at}\``;
  }
  return "";
}

/** About the table of newest results; `source` is the modality or topic that is asked for. */
export function emptyResults(isFiltered, source, reading) {
  if (!isFiltered) return "No result yet.";
  if (source.includes(".") && !reading.includes(source)) {
    return `There is no topic ${source} here; the page reads ${reading.join(", ") || "none"}. \`x\` clears the filters.`;
  }
  return "None of the newest results matches. `x` clears the filters.";
}

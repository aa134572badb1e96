// Numbers and times, as short as they can be read.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

export const count = (value) => whole.format(value);

export const rate = (value) => (value >= 100 || value === 0 ? count(value) : value.toFixed(1));

/** 0 and 100 are shown for none and all alone. */
export function percent(part, all) {
  if (!all) return "–";
  const share = (100 * part) / all;
  if (part === 0 || part === all) return `${share}%`;
  if (share < 0.1) return "<0.1%";
  if (share > 99.9) return ">99.9%";
  return `${share.toFixed(1)}%`;
}

export function ms(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 ? value.toFixed(1) : count(value);
}

export const number2 = (value) =>
  value === null || value === undefined ? "–" : value.toFixed(2);

/** With its sign; what is shown as zero has none. */
export function signed(value, digits = 1) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return `${value < 0 ? "−" : "+"}${text}`;
}

const STEPS = [
  [60, 1, "s"],
  [3600, 60, "m"],
  [86400, 3600, "h"],
  [Infinity, 86400, "d"],
];

/** How long ago, in the largest unit that fits. */
export function age(milliseconds) {
  const seconds = Math.max(0, milliseconds / 1000);
  const [, unit, name] = STEPS.find(([below]) => seconds < below);
  return `${Math.floor(seconds / unit)} ${name}`;
}

const clocks = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const days = new Intl.DateTimeFormat("sv-SE", { dateStyle: "short" });
const zones = new Intl.DateTimeFormat("en", { timeZoneName: "shortOffset" });

/** The browser's time zone, such as GMT+1, at a moment. */
export const zone = (at = Date.now()) => zones.formatToParts(at).find(({ type }) => type === "timeZoneName").value;

/** Time of the day in the browser's zone. */
export const clock = (at) => clocks.format(at);

/** Day and time to the millisecond, with its zone. */
export const moment = (at) =>
  `${days.format(at)} ${clock(at)}.${`${new Date(at).getMilliseconds()}`.padStart(3, "0")} ${zone(at)}`;

export const words = (text) => text.replaceAll("_", " ");

/** 0, 1, 2, 5, 6, 7 as 0–2, 5–7. */
export function ranges(numbers) {
  const parts = [];
  for (const one of numbers) {
    const last = parts.at(-1);
    if (last && last[1] === one - 1) last[1] = one;
    else parts.push([one, one]);
  }
  return parts.map(([first, last]) => (first === last ? `${first}` : `${first}–${last}`)).join(", ");
}

/** The next round number at or above a value. */
export function ceiling(value) {
  const scale = 10 ** Math.floor(Math.log10(Math.max(1, value)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * scale).find((step) => step >= value);
}

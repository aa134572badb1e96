// Paths of small drawings.

/** A line through values between two bounds, over a width and height. */
export function line(values, low, high, width, height) {
  if (values.length < 2) return "";
  const step = width / (values.length - 1);
  const scale = height / (high - low || 1);
  return values
    .map((value, at) => `${at ? "L" : "M"}${(at * step).toFixed(1)} ${y(value)}`)
    .join("");

  function y(value) {
    return (height - (Math.min(high, Math.max(low, value)) - low) * scale).toFixed(1);
  }
}

/** Bars of heights from 0 to `top`, each of width 1, where `shown(number)` holds. */
export function bars(heights, top, height, shown = () => true) {
  let path = "";
  heights.forEach((value, at) => {
    if (value > 0 && shown(at)) {
      const tall = Math.max(height * 0.02, (Math.min(value, top) / top) * height).toFixed(2);
      path += `M${at} ${height}v-${tall}h.85v${tall}z`;
    }
  });
  return path;
}

/** An area between two rows of steps, each of width 1. */
export function area(lower, upper, top, height) {
  const y = (value) => (height - (Math.min(value, top) / top) * height).toFixed(1);
  let path = `M0 ${y(lower[0])}`;
  upper.forEach((value, at) => (path += `L${at} ${y(value)}H${at + 1}`));
  for (let at = lower.length - 1; at >= 0; at--) path += `L${at + 1} ${y(lower[at])}H${at}`;
  return `${path}z`;
}

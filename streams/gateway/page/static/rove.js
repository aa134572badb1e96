// One button of many is in the tab order; arrows go from it to the others.

/** Let arrows, Home and End go from button to button within a parent. */
export class Rove {
  constructor(parent) {
    this.parent = parent;
    parent.addEventListener("keydown", (event) => {
      const shown = this.shown();
      const from = shown.indexOf(document.activeElement);
      const next = from < 0 ? undefined : neighbour(event.key, shown, from);
      if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      this.to(next);
      next.focus();
    });
  }

  shown() {
    return [...this.parent.querySelectorAll("button")].filter((button) => button.offsetParent);
  }

  /** Have one button in the tab order: this, else the one that has the focus, else the first. */
  to(wanted = null) {
    const all = [...this.parent.querySelectorAll("button")];
    const active = all.find((button) => button === document.activeElement);
    const chosen = wanted ?? active ?? this.shown()[0] ?? all[0];
    for (const button of all) button.tabIndex = button === chosen ? 0 : -1;
  }
}

function neighbour(key, shown, from) {
  if (key === "ArrowRight") return shown[from + 1];
  if (key === "ArrowLeft") return shown[from - 1];
  if (key === "Home") return shown[0];
  if (key === "End") return shown.at(-1);
  if (key !== "ArrowDown" && key !== "ArrowUp") return undefined;
  const { left, top } = shown[from].getBoundingClientRect();
  const column = shown.filter((button) => Math.abs(button.getBoundingClientRect().left - left) < 2);
  const rows = column.map((button) => button.getBoundingClientRect().top);
  const at = key === "ArrowDown" ? rows.findIndex((one) => one > top) : rows.findLastIndex((one) => one < top);
  return column[at];
}

// Elements, made and changed without markup in strings.

const SVG = "http://www.w3.org/2000/svg";

/** Make an element; children are elements or texts. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** Make an element of a drawing. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

/** Change a text, if it is another: what stays the same costs no layout. */
export function setText(node, text) {
  if (node.shownText !== text) {
    node.shownText = text;
    node.textContent = text;
  }
}

/** Change an attribute, if it is another; null takes it away. */
export function setAttribute(node, name, value) {
  node.shownAttributes ??= {};
  if (node.shownAttributes[name] === value) return;
  node.shownAttributes[name] = value;
  if (value === null) node.removeAttribute(name);
  else node.setAttribute(name, value);
}

/**
 * Keeps one child for each key, in the order of the keys.
 *
 * `make(key)` returns what is kept of a child; its `node` goes into the parent.
 */
export class Keyed {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.children = new Map();
  }

  /** Have children for these keys and no others. */
  show(keys) {
    const wanted = new Set(keys);
    for (const [key, child] of this.children) {
      if (!wanted.has(key)) {
        child.node.remove();
        this.children.delete(key);
      }
    }
    const active = this.parent.contains(document.activeElement) ? document.activeElement : null;
    let place = this.parent.firstChild;
    for (const key of keys) {
      let child = this.children.get(key);
      if (!child) {
        child = this.make(key);
        this.children.set(key, child);
      }
      if (child.node === place) place = place.nextSibling;
      else this.parent.insertBefore(child.node, place);
    }
    // What is moved loses the focus.
    if (active?.isConnected && document.activeElement !== active) active.focus({ preventScroll: true });
  }

  get(key) {
    return this.children.get(key);
  }
}

/** A table row whose first cell is its header; returns the row and its cells. */
export function row(...classes) {
  const cells = classes.map((name, number) =>
    number ? el("td", name ? { class: name } : {}) : el("th", { scope: "row", class: name }),
  );
  return { node: el("tr", {}, ...cells), cells };
}

/** A bar of a given share of its cell. */
export function setShare(node, share) {
  setAttribute(node, "width", `${(100 * Math.min(1, Math.max(0, share))).toFixed(1)}%`);
}

/** Show what to do where there is nothing, with commands as code: "text `command` text". */
export function setHint(node, text) {
  if (node.shownText === text) return;
  node.shownText = text;
  node.hidden = !text;
  node.replaceChildren(
    ...text.split("`").map((part, number) => (number % 2 ? el("code", {}, part) : part)),
  );
}

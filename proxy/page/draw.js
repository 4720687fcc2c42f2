// Elements, tables that keep what has the focus, and the few shapes that are drawn.

/** Make an element; children are elements or text, never markup. */
export function el(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
}

function filled(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** A cell with a number. */
export const number = (text, more = "") => el("td", { class: `n ${more}`.trim() }, text);

/** Bring a table's body to these rows, `[key, cells]` each; rows and cells that stay the same stay in place. */
export function rows(body, wanted, empty) {
  const [focused, old] = [document.activeElement, new Map([...body.rows].map((row) => [row.dataset.key, row]))];
  const found = wanted.map(([key, cells]) => updated(old.get(key) ?? el("tr", { "data-key": key }), cells));
  if (!found.length) {
    const columns = body.parentElement.tHead.rows[0]?.cells.length ?? 1;
    found.push(updated(old.get("") ?? el("tr", { "data-key": "" }), [el("td", { colspan: columns, class: "empty" }, empty)]));
  }
  const kept = new Set(found);
  for (const row of old.values()) if (!kept.has(row)) row.remove();
  found.forEach((row, place) => body.rows[place] === row || body.insertBefore(row, body.rows[place] ?? null));
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}

function updated(row, cells) {
  cells.forEach((cell, place) => {
    const there = row.cells[place];
    if (!there) row.append(cell);
    else if (there.outerHTML !== cell.outerHTML) there.replaceWith(cell);
  });
  return row;
}

/** Replace what a node shows, unless it shows it already. */
export function show(node, ...children) {
  const fresh = el("div", {}, ...children);
  if (node.innerHTML !== fresh.innerHTML) node.replaceChildren(...fresh.childNodes);
}

/** Terms and what they are. */
export const facts = (pairs) => pairs.map(([term, ...said]) => el("div", {}, el("dt", {}, term), el("dd", {}, ...said)));

const WIDTH = 1000;

/** A drawing of bars `{from, to, kind}` in 0..1, side by side or apart; `title` says the same in words. */
export function bars(title, parts, mark = null) {
  const drawn = parts.map(({ from, to, kind }) => svg("rect", {
    x: Math.min(from, to) * WIDTH, width: Math.max(Math.abs(to - from) * WIDTH, 2), y: 0, height: 20, class: kind,
  }));
  const line = mark === null ? [] : [svg("rect", { x: mark * WIDTH - 2, width: 4, y: -4, height: 28, class: "mark" })];
  const frame = { viewBox: `0 0 ${WIDTH} 20`, preserveAspectRatio: "none", role: "img", class: "bars", "aria-label": title };
  return svg("svg", frame, svg("title", {}, title), svg("rect", { width: WIDTH, height: 20, class: "track" }), ...drawn, ...line);
}

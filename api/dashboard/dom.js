/** Small helpers for elements. Text always goes in as text, never as markup. */

/** @returns {HTMLElement} the element with this id, which index.html has. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element.
 * @param {string} tag
 * @param {Record<string, string | number | boolean | null>} attributes null and false leave one out
 * @param {...(Node | string)} children
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children);
  return element;
}

/** Names with their values; those without a value are left out. @param {[string, Node | string | null][]} facts */
export function factList(facts) {
  const known = facts.filter(([, value]) => value !== null);
  const rows = known.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value)));
  return h("dl", { class: "facts" }, ...rows);
}

/**
 * A table in a place of its own that scrolls.
 * @param {(Node | string)[]} heads one for each column
 * @param {(Node | string)[][]} rows their cells; the first cell of a row is its name
 * @param {Record<string, string>} scroll attributes of the place
 */
export function scrolledTable(caption, heads, rows, scroll, attributes = {}) {
  const head = h("tr", {}, ...heads.map((one) => h("th", { scope: "col" }, one)));
  const body = rows.map(([name, ...cells]) =>
    h("tr", {}, h("th", { scope: "row" }, name), ...cells.map((one) => h("td", {}, one))),
  );
  const parts = [h("caption", { class: "unseen" }, caption), h("thead", {}, head), h("tbody", {}, ...body)];
  return h("div", { class: "table-scroll", tabindex: "0", ...scroll }, h("table", attributes, ...parts));
}

/** The button that shows and hides the controls on narrow screens. */
export function foldControls() {
  const toggle = byId("controls-toggle");
  toggle.addEventListener("click", () => {
    toggle.setAttribute("aria-expanded", String(byId("controls").classList.toggle("open")));
  });
}

/** Say `text` to screen readers. */
export function announce(text) {
  byId("live").textContent = text;
}

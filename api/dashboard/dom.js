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

/** Let the button fold the controls and unfold them, where they are folded, as on a phone. */
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

/**
 * Reading single values of a drawing: by pointer, by touch and by arrow keys, with one tip for all drawings. A click, a
 * second touch and Enter choose the value.
 *
 * The drawing is a slider over its values to assistive technology, which speaks the value that is read.
 */

import { byId, h } from "./dom.js";

const GAP = 12;

export class Reader {
  /**
   * @param {HTMLElement} element the drawing
   * @param {(event: PointerEvent) => number} find the position under the pointer, or -1
   */
  constructor(element, find) {
    this.element = element;
    this.find = find;
    this.tip = byId("tip");
    this.values = null;
    for (const name of ["pointermove", "pointerdown"]) {
      element.addEventListener(name, (event) => this.values && this.read(find(event)));
    }
    element.addEventListener("click", (event) => this.onClick(event));
    element.addEventListener("pointerleave", () => this.read(-1));
    element.addEventListener("blur", () => this.read(-1));
    element.addEventListener("focus", () => {
      if (element.matches(":focus-visible")) this.read(this.at === -1 ? this.values.length - 1 : this.at);
    });
    element.addEventListener("keydown", (event) => this.onKey(event));
  }

  /**
   * @param {object} values
   * @param {string} values.summary what the drawing shows, as text
   * @param {number} values.length how many values there are
   * @param {Record<string, number>} values.steps how far each arrow key goes
   * @param {(position: number) => string[]} values.lines what the tip says of one value, its name first
   * @param {(position: number) => DOMRect} values.place where the value is drawn, in the window
   * @param {(position: number) => void} values.choose somebody wants to see more of that value
   * @param {(position: number) => void} values.mark shows which value is read; -1 is none
   */
  show(values) {
    this.values = values;
    this.at = -1;
    this.touched = -1;
    const attributes = { role: "slider", tabindex: "0", "aria-label": values.summary, "aria-valuemin": "0" };
    for (const [name, value] of Object.entries(attributes)) this.element.setAttribute(name, value);
    this.element.setAttribute("aria-valuemax", String(values.length - 1));
    this.say(values.length - 1);
    this.read(-1);
  }

  /** The first touch of a value reads it. */
  onClick(event) {
    const position = this.values ? this.find(event) : -1;
    const again = event.pointerType !== "touch" || position === this.touched;
    this.touched = position;
    if (again && position !== -1) this.values.choose(position);
  }

  onKey(event) {
    if (!this.values) return;
    if (event.key === "Enter" && this.at !== -1) {
      event.preventDefault();
      this.values.choose(this.at);
      return;
    }
    const end = this.values.length - 1;
    const start = this.at === -1 ? end : this.at;
    const jumps = { Home: -end, End: end, Escape: 0, ...this.values.steps };
    if (!(event.key in jumps)) return;
    event.preventDefault();
    this.read(event.key === "Escape" ? -1 : Math.min(end, Math.max(0, start + jumps[event.key])));
  }

  read(position) {
    if (!this.values) return;
    this.at = position;
    this.values.mark(position);
    this.tip.hidden = position === -1;
    if (position === -1) return;
    const [name, ...lines] = this.values.lines(position);
    this.tip.replaceChildren(h("strong", {}, name), ...lines.map((line) => h("span", {}, line)));
    this.putTip(this.values.place(position));
    this.say(position);
  }

  say(position) {
    this.element.setAttribute("aria-valuenow", String(position));
    this.element.setAttribute("aria-valuetext", this.values.lines(position).join(", "));
  }

  /** Above the value, or below it where there is no room, and always inside the window. */
  putTip(place) {
    const { width, height } = this.tip.getBoundingClientRect();
    const left = (place.left + place.right) / 2 - width / 2;
    const above = place.top - height - GAP;
    this.tip.style.left = `${Math.max(GAP, Math.min(left, document.documentElement.clientWidth - width - GAP))}px`;
    this.tip.style.top = `${above < GAP ? place.bottom + GAP : above}px`;
  }
}

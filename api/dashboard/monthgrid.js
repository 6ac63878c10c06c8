/** A date picker next to a text field: a dialog with the grid of a month, after the ARIA pattern. */

import { h } from "./dom.js";

const WEEK = [0, 1, 2, 3, 4, 5, 6];

export class MonthGrid {
  /**
   * @param {HTMLInputElement} field the text field next to the button
   * @param {() => number} dayOf the number of the day that the field names, or one to begin with
   * @param {(day: number) => void} onChoose
   */
  constructor(field, dayOf, onChoose) {
    Object.assign(this, { dayOf, onChoose });
    const button = (name) => h("button", { type: "button", class: `calendar-${name}` });
    [this.button, this.before, this.after] = ["open", "before", "after"].map(button);
    this.button.setAttribute("aria-haspopup", "dialog");
    this.title = h("p", { class: "calendar-title", id: `${field.id}-month`, "aria-live": "polite" });
    this.heads = h("tr");
    this.weeks = h("tbody");
    const grid = { role: "grid", "aria-labelledby": this.title.id };
    this.popup = h(
      "div",
      { class: "popup calendar", role: "dialog" },
      h("div", { class: "calendar-head" }, this.before, this.title, this.after),
      h("table", grid, h("thead", {}, this.heads), this.weeks),
    );
    field.after(this.button, this.popup);
    this.close();
    this.button.addEventListener("click", () => (this.popup.hidden ? this.open() : this.close()));
    this.before.addEventListener("click", () => this.turn(-1));
    this.after.addEventListener("click", () => this.turn(1));
    this.weeks.addEventListener("click", (event) => this.choose(event.target.closest("button")));
    this.popup.addEventListener("keydown", (event) => this.onKey(event));
    for (const elsewhere of ["focusin", "pointerdown"]) {
      document.addEventListener(elsewhere, ({ target }) => {
        if (!this.popup.contains(target) && !this.button.contains(target)) this.close();
      });
    }
  }

  /** @param {import("./periods.js").Days | null} days that one may choose, when known */
  use(days, locale) {
    if (days !== this.days) this.close();
    Object.assign(this, { days, locale });
    this.button.hidden = days === null;
    this.button.setAttribute("aria-label", locale.t("chooseDay"));
    this.popup.setAttribute("aria-label", locale.t("chooseDay"));
    this.before.setAttribute("aria-label", locale.t("monthBefore"));
    this.after.setAttribute("aria-label", locale.t("monthAfter"));
  }

  open() {
    const { days, locale } = this;
    this.chosen = this.dayOf();
    const names = WEEK.map((weekday) => locale.weekday(days.date(weekday - days.weekday(0))));
    this.heads.replaceChildren(...names.map((name) => h("th", { scope: "col" }, name)));
    this.popup.hidden = false;
    this.button.setAttribute("aria-expanded", "true");
    this.show(this.chosen);
    this.weeks.querySelector('[tabindex="0"]').focus();
  }

  close() {
    this.popup.hidden = true;
    this.button.setAttribute("aria-expanded", "false");
  }

  /** Show the month of `day`, which is the one that Tab leads to. */
  show(day) {
    const { days, locale } = this;
    const [first, last] = this.month(day);
    this.day = day;
    this.title.textContent = locale.monthOf(this.date(day));
    // Not the attribute, which would take the focus away.
    this.before.setAttribute("aria-disabled", String(first === 0));
    this.after.setAttribute("aria-disabled", String(last === days.keys.length - 1));
    const rows = [];
    for (let begin = first - days.weekday(first); begin <= last; begin += WEEK.length) {
      rows.push(h("tr", {}, ...WEEK.map((weekday) => this.cell(begin + weekday, first, last))));
    }
    this.weeks.replaceChildren(...rows);
  }

  cell(day, first, last) {
    if (day < first || day > last) return h("td");
    const number = this.locale.digits(String(Number(this.days.keys[day].slice(-2))));
    const name = { "data-day": day, "aria-label": this.locale.date(this.date(day)) };
    const button = h("button", { type: "button", tabindex: day === this.day ? 0 : -1, ...name }, number);
    return h("td", { "aria-selected": String(day === this.chosen) }, button);
  }

  date(day) {
    return this.days.date(day).toISOString().slice(0, 10);
  }

  /** The first and the last day of the month of `day`. */
  month(day) {
    const month = this.days.month(day);
    const isIn = (key) => key.startsWith(month);
    return [this.days.keys.findIndex(isIn), this.days.keys.findLastIndex(isIn)];
  }

  /** Show the month before or after, if there is one. @param {-1 | 1} step */
  turn(step) {
    const { keys } = this.days;
    const [first, last] = this.month(this.day);
    const other = step < 0 ? first - 1 : last + 1;
    if (!(other in keys)) return;
    // The same day of that month, or the last before it: a shorter month does not have it, or what is published.
    const same = this.days.month(other) + keys[this.day].slice(-3);
    const day = keys.findLastIndex((key) => key <= same);
    this.show(Math.max(this.month(other)[0], day));
  }

  choose(button) {
    if (!button) return;
    this.close();
    this.onChoose(Number(button.dataset.day));
    this.button.focus();
  }

  onKey(event) {
    if (event.key === "Escape") {
      event.stopPropagation();
      this.close();
      this.button.focus();
      return;
    }
    if (!this.weeks.contains(event.target) || event.altKey || event.ctrlKey || event.metaKey) return;
    const weekday = this.days.weekday(this.day);
    const right = this.locale.rtl ? -1 : 1;
    const steps = { ArrowRight: right, ArrowLeft: -right, ArrowDown: 7, ArrowUp: -7, Home: -weekday, End: 6 - weekday };
    const months = { PageUp: -1, PageDown: 1 }[event.key];
    if (!months && !(event.key in steps)) return;
    event.preventDefault();
    if (months) this.turn(months);
    else this.show(Math.max(0, Math.min(this.day + steps[event.key], this.days.keys.length - 1)));
    this.weeks.querySelector('[tabindex="0"]').focus();
  }
}

/** The choice of a range: presets, or two keys. */

import { byId, h } from "./dom.js";
import { MonthGrid } from "./monthgrid.js";
import { positions, readPeriod } from "./periods.js";
import { PRESETS, rangeText, readRange } from "./state.js";

const PRESET_TEXT = { daily: "lastDaily", weekly: "lastWeekly", monthly: "lastMonthly", created: "lastCreated" };
const CUSTOM = "custom";

export class RangeChoice {
  /**
   * @param {(range: import("./state.js").Range) => void} onChoose
   * @param {{ presets: keyof typeof PRESETS | null, outside: string }} kind which presets it offers, those of the mode
   *   unless others are named; and what it says of days of which nothing is known
   */
  constructor(onChoose, { presets = null, outside = "rangeOutside" } = {}) {
    Object.assign(this, { onChoose, outside, kind: presets });
    this.select = byId("range");
    this.fields = byId("custom");
    this.from = byId("from");
    this.to = byId("to");
    this.error = byId("range-error");
    this.calendars = [this.from, this.to].map(
      (field) =>
        new MonthGrid(
          field,
          () => this.dayIn(field),
          (day) => this.writeDay(field, day),
        ),
    );
    this.select.addEventListener("change", () => this.onSelect());
    byId("controls").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.fields.hidden) this.apply();
    });
  }

  /**
   * @param {string[] | null} keys of all published periods of the mode, when known
   * @param {import("./periods.js").Days | null} days
   */
  show({ mode, range }, keys, days, locale) {
    Object.assign(this, { mode, keys, days, locale });
    for (const calendar of this.calendars) calendar.use(keys && days, locale);
    const number = (n) => locale.integer(BigInt(n));
    this.presets = this.kind ?? mode;
    const text = PRESET_TEXT[this.presets];
    const presets = PRESETS[this.presets].map((n) => [`last-${n}`, locale.t(text, { n: number(n) })]);
    const others = ["year", "all", CUSTOM].map((name) => [name, locale.t(name)]);
    this.select.replaceChildren(...[...presets, ...others].map(([value, text]) => h("option", { value }, text)));
    const custom = range.kind === CUSTOM || range.kind === "days";
    this.select.value = custom ? CUSTOM : rangeText(range);
    this.fields.hidden = !custom;
    this.say("");
    // Do not change a field that has the focus.
    if (range.kind === CUSTOM && !this.fields.contains(document.activeElement)) this.write(range.from, range.to);
  }

  write(from, to) {
    this.from.value = this.locale.digits(from);
    this.to.value = this.locale.digits(to);
  }

  /** The day that a field names: of a longer period its first or last; the latest where it names none. */
  dayIn(field) {
    const { key } = readPeriod(field.value, this.mode, this.keys, this.days);
    const position = this.keys.indexOf(key);
    if (position === -1) return this.days.keys.length - 1;
    const { first, last } = this.days.covered(this.mode, this.keys, { first: position, last: position });
    return field === this.from ? first : last;
  }

  writeDay(field, day) {
    field.value = this.locale.digits(this.days.touched(this.mode, this.keys, { first: day, last: day }).from);
  }

  onSelect() {
    this.say("");
    this.fields.hidden = this.select.value !== CUSTOM;
    if (this.fields.hidden) {
      this.onChoose(readRange(this.select.value, this.presets));
    } else {
      if (this.shown) this.write(this.shown.from, this.shown.to);
      this.from.focus();
    }
  }

  /** The keys that are shown now: where a choice of own keys begins. */
  begin(from, to) {
    this.shown = { from, to };
  }

  apply() {
    if (!this.keys) return;
    const [from, to] = [this.from, this.to].map((field) => readPeriod(field.value, this.mode, this.keys, this.days));
    const range = { kind: CUSTOM, from: from.key, to: to.key };
    if (from.wrong) this.refuse(from.wrong, [this.from]);
    else if (to.wrong) this.refuse(to.wrong, [this.to]);
    else if (range.from > range.to) this.refuse("Reversed", [this.from, this.to]);
    else if (positions(range, this.keys) === null) this.refuse("Outside", [this.from, this.to]);
    else {
      this.say("");
      this.write(range.from, range.to);
      this.onChoose(range);
    }
  }

  /** @param {"Missing" | "Malformed" | "Impossible" | "Outside" | "Reversed"} why */
  refuse(why, fields) {
    const [first, last] = [this.keys[0], this.keys.at(-1)].map((key) => this.locale.digits(key));
    const date = this.locale.digits(
      this.days
        .date(this.days.keys.length - 1)
        .toISOString()
        .slice(0, 10),
    );
    const values = { first, last, date, from: this.from.value, to: this.to.value, text: fields[0].value.trim() };
    this.say(this.locale.t(why === "Outside" ? this.outside : `range${why}`, values), fields);
    fields[0].focus();
  }

  say(error, fields = []) {
    this.error.textContent = error;
    for (const field of [this.from, this.to]) field.setAttribute("aria-invalid", String(fields.includes(field)));
  }
}

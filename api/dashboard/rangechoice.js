/** The choice of a range: presets, or two keys. */

import { byId, h } from "./dom.js";
import { plainKey, positions } from "./periods.js";
import { PRESETS, rangeText, readRange } from "./state.js";

const PRESET_TEXT = { daily: "lastDaily", weekly: "lastWeekly", monthly: "lastMonthly" };
const CUSTOM = "custom";

export class RangeChoice {
  /** @param {(range: import("./state.js").Range) => void} onChoose */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.select = byId("range");
    this.fields = byId("custom");
    this.from = byId("from");
    this.to = byId("to");
    this.error = byId("range-error");
    this.select.addEventListener("change", () => this.onSelect());
    byId("controls").addEventListener("submit", (event) => {
      event.preventDefault();
      if (!this.fields.hidden) this.apply();
    });
  }

  /** @param {string[] | null} keys of all published periods of the mode, when known */
  show({ mode, range }, keys, locale) {
    Object.assign(this, { mode, keys, locale });
    const number = (n) => locale.integer(BigInt(n));
    const presets = PRESETS[mode].map((n) => [`last-${n}`, locale.t(PRESET_TEXT[mode], { n: number(n) })]);
    const others = ["year", "all", CUSTOM].map((name) => [name, locale.t(name)]);
    this.select.replaceChildren(...[...presets, ...others].map(([value, text]) => h("option", { value }, text)));
    const custom = range.kind === CUSTOM || range.kind === "days";
    this.select.value = custom ? CUSTOM : rangeText(range);
    this.fields.hidden = !custom;
    this.say("");
    // What somebody is typing stays.
    if (range.kind === CUSTOM && !this.fields.contains(document.activeElement)) this.write(range.from, range.to);
  }

  write(from, to) {
    this.from.value = this.locale.digits(from);
    this.to.value = this.locale.digits(to);
  }

  onSelect() {
    this.say("");
    this.fields.hidden = this.select.value !== CUSTOM;
    if (this.fields.hidden) {
      this.onChoose(readRange(this.select.value, this.mode));
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
    const range = { kind: CUSTOM, from: plainKey(this.from.value), to: plainKey(this.to.value) };
    if (this.isRight(range)) {
      this.say("");
      this.onChoose(range);
    } else {
      const [example, first, last] = [this.keys.at(-1), this.keys[0], this.keys.at(-1)].map((key) =>
        this.locale.digits(key),
      );
      this.say(this.locale.t("rangeWrong", { example, first, last }));
      this.from.focus();
    }
  }

  /** All keys from the first to the last published are known; beyond those the form alone can be judged. */
  isRight(range) {
    const [first, last] = [this.keys[0], this.keys.at(-1)];
    const form = new RegExp(`^${first.replace(/\d/g, "\\d")}$`);
    const exists = (key) => form.test(key) && (key < first || key > last || this.keys.includes(key));
    return exists(range.from) && exists(range.to) && positions(range, this.keys) !== null;
  }

  say(error) {
    this.error.textContent = error;
    for (const field of [this.from, this.to]) field.setAttribute("aria-invalid", String(error !== ""));
  }
}

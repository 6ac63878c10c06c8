/** The controls above the figures: which merchant, periods, figure and range. */

import { MerchantChoice } from "./combobox.js";
import { byId, foldControls } from "./dom.js";
import { RangeChoice } from "./rangechoice.js";
import { rangeIn } from "./state.js";

export class Choices {
  /** @param {(state: import("./state.js").State) => void} onChoose */
  constructor(onChoose) {
    this.onChoose = onChoose;
    this.shown = null;
    this.merchant = new MerchantChoice((merchant) => onChoose({ ...this.state, merchant }));
    this.range = new RangeChoice((range) => onChoose({ ...this.state, range }));
    this.toggle = byId("controls-toggle");
    foldControls();
    for (const input of document.querySelectorAll("input[name=mode]")) {
      input.addEventListener("change", () => this.chooseMode(input.value));
    }
    for (const input of document.querySelectorAll("input[name=type]")) {
      input.addEventListener("change", () => onChoose({ ...this.state, type: input.value }));
    }
  }

  /** Show `state` in another language, or before the figures are loaded. */
  translate(state, locale) {
    this.state = state;
    this.locale = locale;
    for (const name of ["mode", "type"]) {
      for (const input of document.querySelectorAll(`input[name=${name}]`)) input.checked = input.value === state[name];
    }
    const { keys, days } = this.shown?.mode === state.mode ? this.shown : { keys: null, days: null };
    this.range.show(state, keys, days, locale);
    this.refresh();
  }

  /** Show the names of merchants that are known so far. */
  refresh() {
    this.merchant.refresh();
    this.sumUp();
  }

  /** Show the selection as text if the controls are collapsed, as on a phone. */
  sumUp() {
    const { mode, type } = this.state;
    const range = this.range.select.selectedOptions[0].textContent;
    const parts = [this.merchant.name(), this.locale.t(mode), this.locale.t(type), range];
    this.toggle.textContent = parts.filter(Boolean).join(`${this.locale.t("comma")} `);
  }

  /** Offer the merchants of `me`. @param {string | null | undefined} merchant the one that is asked for */
  meet(me, merchant) {
    this.merchant.show(merchant, me.scopes.includes("summaries"), this.locale);
    this.sumUp();
  }

  /**
   * @param {{ keys: string[], days: import("./periods.js").Days, report: object } | null} shown null without figures
   */
  show(state, shown) {
    this.shown = shown && { ...shown, mode: state.mode };
    this.translate(state, this.locale);
    if (shown) this.range.begin(shown.report.points[0].key, shown.report.points.at(-1).key);
  }

  chooseMode(mode) {
    const { range, mode: before } = this.state;
    const covered = this.shown?.report.daysCovered;
    const days = covered && { from: this.shown.days.keys[covered.first], to: this.shown.days.keys[covered.last] };
    this.onChoose({ ...this.state, mode, range: rangeIn(mode, range, before, days ?? {}) });
  }
}

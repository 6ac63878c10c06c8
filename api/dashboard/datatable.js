/** The same figures as a drawing, as a table that a button opens. */

import { byId, scrolledTable } from "./dom.js";

export class DataTable {
  /** @param {string} name the prefix of the ids of the button and of the table's place */
  constructor(name) {
    this.button = byId(`${name}-toggle`);
    this.place = byId(`${name}-table`);
    this.rows = [];
    this.button.addEventListener("click", () => this.open(this.place.hidden));
  }

  /**
   * @param {string} caption
   * @param {string[]} heads one for each column
   * @param {string[][]} rows their cells; the first cell of a row is its name
   */
  show(caption, heads, rows, locale) {
    Object.assign(this, { caption, heads, rows, locale });
    this.open(!this.place.hidden);
  }

  /** Build the rows on demand: there may be thousands. */
  open(wanted) {
    this.place.hidden = !wanted;
    this.button.setAttribute("aria-expanded", String(wanted));
    this.button.textContent = this.locale.t(wanted ? "hideTable" : "asTable");
    this.place.replaceChildren(...(wanted ? [this.table()] : []));
  }

  table() {
    const scroll = { role: "region", "aria-label": this.locale.t("tableOf", { name: this.caption }) };
    return scrolledTable(this.caption, this.heads, this.rows, scroll);
  }
}

/** The panels of the series and of the days: headings, legend, drawing, and the table of the same figures. */

import { byId, h, scrolledTable } from "./dom.js";
import { HeatMap } from "./heatmap.js";
import { sharePermille, span } from "./report.js";
import { SeriesChart } from "./serieschart.js";
import { COMPARISONS } from "./state.js";

/** The same figures as a drawing, as a table that a button opens. */
class DataTable {
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

export class SeriesPanel {
  /** @param {(compare: import("./state.js").Compare) => void} onCompare */
  constructor(onCompare) {
    this.chart = new SeriesChart();
    this.table = new DataTable("series");
    this.compare = byId("compare");
    this.compare.addEventListener("change", () => onCompare(this.compare.value));
  }

  /** @param {(key: string) => void} choose a period, to see more of it */
  show(report, state, locale, choose) {
    const { points, reference } = report;
    byId("series-title").textContent = `${locale.t(state.type)} ${locale.t(`series_${state.mode}`)}`;
    byId("series-note").textContent = span(points, locale);
    this.offer(state, locale);
    byId("series-legend").replaceChildren(...legend(report, state, locale));
    const figure = (point) => (point ? locale.exact(point.value, state.type) : "—");
    const share = ({ value }) => (report.total > 0n ? locale.share(sharePermille(value, report.total)) : "—");
    const columns = [
      [locale.t("period"), (point) => point.label],
      [locale.measure(state.type), figure],
      [locale.t("share"), share],
      [locale.t("comparedPeriod"), (_, at) => reference[at]?.label ?? "—"],
      [locale.t("comparedValue"), (_, at) => figure(reference[at])],
    ].slice(0, reference ? 5 : 3);
    this.table.show(
      byId("series-title").textContent,
      columns.map(([head]) => head),
      points.map((point, at) => columns.map(([, cell]) => cell(point, at))),
      locale,
    );
    this.chart.show(report, state, locale, choose);
  }

  /** What the series may be compared with. */
  offer({ compare, mode }, locale) {
    const name = (one) => locale.t(one === "year" ? `compare_year_${mode}` : `compare_${one}`);
    this.compare.replaceChildren(...COMPARISONS.map((one) => h("option", { value: one }, name(one))));
    this.compare.value = compare;
  }
}

/** What the colours and lines of the chart are. */
function legend({ points, before, reference, incomplete, average }, { mode, type, compare }, locale) {
  const n = locale.integer(BigInt(points.length));
  const known = reference?.filter(Boolean);
  const entries = [
    ["now", locale.t("thisPeriod")],
    known && [
      "before",
      compare === "year" ? locale.t("yearBefore") : locale.t(`before_${mode}`, { n }),
      span(known, locale),
    ],
    !known && compare === "before" && before === null && [null, locale.t("noBefore", { n })],
    !known && compare === "year" && [null, locale.t("noYearBefore")],
    average !== null && ["average", locale.t(`averageOf_${mode}`), locale.figure(average, type)],
    incomplete.length > 0 && ["incomplete", locale.t("incompleteLegend"), span(incomplete, locale)],
  ];
  return entries.filter(Boolean).map(([swatch, text, value]) => {
    const mark = swatch === null ? [] : [h("i", { class: `swatch ${swatch}` })];
    const words = value === undefined ? [text] : [text, " ", h("bdi", { class: "muted" }, value)];
    return h("li", {}, ...mark, h("span", {}, ...words));
  });
}

export class DaysPanel {
  constructor() {
    this.map = new HeatMap();
    this.table = new DataTable("days");
  }

  /** @param {(key: string) => void} choose a day, to see more of it */
  show(report, state, days, locale, choose) {
    byId("days-title").textContent = locale.t("days");
    byId("days-note").textContent = `${locale.measure(state.type)}${locale.t("comma")} ${span(report.days, locale)}`;
    const rows = report.days.map(({ label, value }) => [label, locale.exact(value, state.type)]);
    this.table.show(locale.t("days"), [locale.t("date"), locale.measure(state.type)], rows, locale);
    this.map.show(report, state, days, locale, choose);
  }
}

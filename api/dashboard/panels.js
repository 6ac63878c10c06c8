/** The panels of the series and of the days: headings, legend, drawing, and the table of the same figures. */

import { DataTable } from "./datatable.js";
import { byId, h } from "./dom.js";
import { HeatMap } from "./heatmap.js";
import { span } from "./report.js";
import { SeriesChart } from "./serieschart.js";

export class SeriesPanel {
  constructor() {
    this.chart = new SeriesChart();
    this.table = new DataTable("series");
  }

  /** @param {(key: string) => void} choose a period, to see more of it */
  async show(report, state, locale, choose) {
    const { points, before, incomplete } = report;
    byId("series-title").textContent = `${locale.t(state.type)} ${locale.t(`series_${state.mode}`)}`;
    byId("series-note").textContent = span(points, locale);
    const n = locale.integer(BigInt(points.length));
    const legend = [
      ["now", locale.t("thisPeriod"), points],
      ["before", locale.t(`before_${state.mode}`, { n }), before],
      ["incomplete", locale.t("incompleteLegend"), incomplete.length === 0 ? null : incomplete],
    ];
    byId("series-legend").hidden = before === null && incomplete.length === 0;
    byId("series-legend").replaceChildren(
      ...legend
        .filter(([, , shown]) => shown)
        .map(([name, text, shown]) =>
          h(
            "li",
            {},
            h("i", { class: `swatch ${name}` }),
            h("span", {}, text, " ", h("bdi", { class: "muted" }, span(shown, locale))),
          ),
        ),
    );
    const heads = [locale.t("period"), locale.measure(state.type)];
    const figure = ({ value }) => locale.integer(value);
    const rows = points.map((point, at) =>
      before ? [point.label, figure(point), before[at].label, figure(before[at])] : [point.label, figure(point)],
    );
    this.table.show(
      byId("series-title").textContent,
      before ? [...heads, locale.t("periodBefore"), locale.t("valueBefore")] : heads,
      rows,
      locale,
    );
    byId("series-chart").hidden = false;
    try {
      await this.chart.show(report, state, locale, choose);
    } catch {
      // Without the library the same figures still stand in the table.
      byId("series-chart").hidden = true;
      byId("series-note").textContent = locale.t("chartFailed");
      this.table.open(true);
    }
  }
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
    const rows = report.days.map(({ label, value }) => [label, locale.integer(value)]);
    this.table.show(locale.t("days"), [locale.t("date"), locale.measure(state.type)], rows, locale);
    this.map.show(report, state, days, locale, choose);
  }
}

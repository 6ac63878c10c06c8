/** The calendar of days: a column a week, a row a weekday, the darker the more. A strip a year when there are several. */

import { byId, h } from "./dom.js";
import { Reader } from "./reader.js";
import { monthOf } from "./report.js";

const ONE_STRIP_DAYS = 371;
const LEVELS = 5;
const NAMED_WEEKDAYS = [0, 2, 4, 6];

export class HeatMap {
  constructor() {
    this.element = byId("days-map");
    this.cells = [];
    this.reader = new Reader(this.element, (event) => this.cells.indexOf(event.target));
  }

  /** @param {import("./periods.js").Days} days */
  show(report, state, days, locale) {
    const { first, last } = report.daysCovered;
    const bounds = levelBounds(report.days);
    this.cells = report.days.map(({ value }) => h("i", { class: `cell ${levelOf(value, bounds)}` }));
    this.element.replaceChildren(
      ...strips(days, first, last).map((strip) => this.strip(strip, first, report, days, locale)),
      legend(report.days, locale),
    );
    for (const strip of this.element.querySelectorAll(".strip-scroll")) strip.scrollLeft = locale.rtl ? -1e6 : 1e6;
    const next = locale.rtl ? -7 : 7;
    this.reader.show({
      summary: locale.t("daysSummary", {
        figure: locale.measure(state.type),
        from: report.days[0].label,
        to: report.days.at(-1).label,
      }),
      length: this.cells.length,
      steps: { ArrowUp: -1, ArrowDown: 1, ArrowLeft: -next, ArrowRight: next },
      lines: (position) => [report.days[position].label, locale.figure(report.days[position].value, state.type)],
      place: (position) => this.cells[position].getBoundingClientRect(),
      mark: (position) => this.mark(position),
    });
  }

  strip([first, last], offset, report, days, locale) {
    const week = days.week(first);
    const grid = h("div", { class: "strip" });
    grid.style.setProperty("--weeks", String(days.week(last) - week + 1));
    for (const weekday of NAMED_WEEKDAYS) {
      const name = h("span", { class: "weekday" }, locale.weekday(days.date(weekday - days.weekday(0))));
      grid.append(at(name, 1, weekday + 2));
    }
    let named = -Infinity;
    for (let day = first; day <= last; day += 1) {
      const column = days.week(day) - week + 2;
      const starts = day === first || days.month(day) !== days.month(day - 1);
      if (starts && column - named >= 3) {
        grid.append(at(h("span", { class: "month" }, monthOf(report.days[day - offset].label)), column, 1));
        named = column;
      }
      grid.append(at(this.cells[day - offset], column, days.weekday(day) + 2));
    }
    return h("div", { class: "strip-scroll" }, grid);
  }

  mark(position) {
    this.element.querySelector(".cell.read")?.classList.remove("read");
    const cell = this.cells[position];
    cell?.classList.add("read");
    if (cell && this.element.matches(":focus-visible")) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

function at(element, column, row) {
  element.style.gridColumn = String(column);
  element.style.gridRow = String(row);
  return element;
}

/** First and last day of each strip: one for all, or one for each year, the latest first. */
function strips(days, first, last) {
  if (last - first < ONE_STRIP_DAYS) return [[first, last]];
  const year = (day) => days.keys[day].slice(0, 4);
  const found = [];
  for (let day = first; day <= last; day += 1) {
    if (day === first || year(day) !== year(day - 1)) found.unshift([day, day]);
    else found[0][1] = day;
  }
  return found;
}

/** The values above which the next level begins: each level has about as many days. */
function levelBounds(points) {
  const values = points.map(({ value }) => value).filter((value) => value > 0n);
  values.sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  return Array.from({ length: LEVELS - 1 }, (_, level) => values[Math.floor(((level + 1) * values.length) / LEVELS)]);
}

function levelOf(value, bounds) {
  if (value < 0n) return "below";
  return value === 0n ? "none" : `level-${1 + bounds.filter((bound) => value >= bound).length}`;
}

function legend(points, locale) {
  const levels = Array.from({ length: LEVELS }, (_, level) => h("i", { class: `cell level-${level + 1}` }));
  const below = points.some(({ value }) => value < 0n)
    ? [h("i", { class: "cell below" }), h("span", {}, locale.t("negative"))]
    : [];
  return h("p", { class: "levels", "aria-hidden": "true" }, locale.t("less"), h("i", { class: "cell none" }), ...levels,
    locale.t("more"), ...below);
}

/** The calendar of days, in which darker days have larger values: grids of months, or strips of weeks for each year. */

import { byId, h } from "./dom.js";
import { Reader } from "./reader.js";
import { dayOf, monthOf, readingLines, span } from "./report.js";

const LEAVES_DAYS = 186;
const STRIP_MONTHS = 4; // which a phone has the width for
const LEVELS = 5;
const WEEKDAYS = [0, 1, 2, 3, 4, 5, 6];
const MONTH_NAME_WEEKS = 4; // the width of the name of a month

export class HeatMap {
  constructor() {
    this.element = byId("days-map");
    this.cells = [];
    this.reader = new Reader(this.element, (event) => this.cells.indexOf(event.target.closest(".cell")));
  }

  /** @param {import("./periods.js").Days} days */
  show(report, state, days, locale, choose) {
    const { first, last } = report.daysCovered;
    const bounds = levelBounds(report.days.map(({ value }) => value));
    const leaves = last - first < LEAVES_DAYS;
    this.cells = report.days.map(({ value, plain, complete }) =>
      h(
        "span",
        { class: `cell ${levelOf(value, bounds)}${complete ? "" : " incomplete"}` },
        ...(leaves ? [dayOf(plain)] : []),
      ),
    );
    const drawing = { days, locale, cells: this.cells, points: report.days, offset: first };
    this.element.replaceChildren(
      ...(leaves ? [monthLeaves(drawing, first, last)] : yearStrips(drawing, first, last)),
      legend(report.days, bounds, state.type, locale),
    );
    byId("panel-days").classList.toggle("wide", !leaves);
    this.reader.show({
      summary: locale.t("daysSummary", {
        figure: locale.measure(state.type),
        range: span(report.days, locale, "fromTo"),
      }),
      length: this.cells.length,
      steps: steps(leaves ? 1 : 7, leaves ? 7 : 1, locale.rtl),
      lines: (position) => readingLines(report.days[position], null, report, state, locale),
      choose: (position) => choose(report.days[position].key),
      place: (position) => this.cells[position].getBoundingClientRect(),
      mark: (position) => this.mark(position),
    });
  }

  mark(position) {
    this.element.querySelector(".cell.read")?.classList.remove("read");
    const cell = this.cells[position];
    cell?.classList.add("read");
    if (cell && this.element.matches(":focus-visible")) cell.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}

/** How many days the arrow keys go: `across` in the direction of writing, and `down`. */
function steps(across, down, rtl) {
  const right = rtl ? -across : across;
  return { ArrowUp: -down, ArrowDown: down, ArrowLeft: -right, ArrowRight: right };
}

/** A grid for each month: one row per week, one column per weekday. */
function monthLeaves({ days, locale, cells, points, offset }, first, last) {
  const heads = WEEKDAYS.map((weekday) => h("span", { class: "weekday" }, weekdayName(days, weekday, locale)));
  const leaves = runs(first, last, (day) => days.month(day)).map(([from, to]) => {
    const grid = h("div", { class: "leaf-days" }, ...heads.map((head) => head.cloneNode(true)));
    for (let day = from; day <= to; day += 1) {
      const row = days.week(day) - days.week(from) + 2;
      grid.append(at(cells[day - offset], days.weekday(day) + 1, row));
    }
    return h("div", { class: "leaf" }, h("span", { class: "leaf-name" }, monthOf(points[from - offset].plain)), grid);
  });
  return h("div", { class: "leaves", "aria-hidden": "true" }, ...leaves);
}

/** The latest year first; of each year strips of some months, as many in a line as there is room for. */
function yearStrips(drawing, first, last) {
  const { days, locale } = drawing;
  const part = (day) => Math.ceil(Number(days.month(day).slice(-2)) / STRIP_MONTHS);
  const years = runs(first, last, (day) => days.year(day)).reverse();
  return years.flatMap(([from, to]) => {
    const strips = runs(from, to, part).map(([begin, end]) => strip(drawing, begin, end));
    return [
      h("p", { class: "strip-year", "aria-hidden": "true" }, locale.digits(days.year(from))),
      h("div", { class: "strips", "aria-hidden": "true" }, ...strips),
    ];
  });
}

/** One column per week, one row per weekday. */
function strip({ days, locale, cells, points, offset }, first, last) {
  const week = days.week(first);
  const grid = h("div", { class: "strip" });
  const weeks = days.week(last) - week + 1;
  grid.style.setProperty("--weeks", String(weeks));
  for (const weekday of WEEKDAYS) {
    const name = weekday % 2 === 0 ? weekdayName(days, weekday, locale) : "";
    grid.append(at(h("span", { class: "weekday" }, name), 1, weekday + 2));
  }
  let named = -Infinity;
  for (let day = first; day <= last; day += 1) {
    const column = days.week(day) - week + 2;
    const begins = day === first || days.month(day) !== days.month(day - 1);
    if (begins && column - named >= MONTH_NAME_WEEKS) {
      const [name] = monthOf(points[day - offset].plain).split(" ");
      grid.append(
        at(
          h("span", { class: "month" }, name),
          `${column} / span ${Math.min(MONTH_NAME_WEEKS, weeks + 2 - column)}`,
          1,
        ),
      );
      named = column;
    }
    grid.append(at(cells[day - offset], column, days.weekday(day) + 2));
  }
  return grid;
}

function weekdayName(days, weekday, locale) {
  return locale.weekday(days.date(weekday - days.weekday(0)));
}

function at(element, column, row) {
  element.style.gridColumn = String(column);
  element.style.gridRow = String(row);
  return element;
}

/** First and last of each run of days for which `name` is the same. */
function runs(first, last, name) {
  const found = [];
  for (let day = first; day <= last; day += 1) {
    if (day === first || name(day) !== name(day - 1)) found.push([day, day]);
    else found.at(-1)[1] = day;
  }
  return found;
}

/** What each shade begins with: rounded, as on an axis. */
function legend(points, bounds, type, locale) {
  const pair = (shade, text) => h("span", {}, h("span", { class: `cell ${shade}` }), text);
  const from = bounds.filter((bound) => bound !== undefined);
  const levels = from.map((bound, level) =>
    pair(`level-${level + 2}`, locale.t("levelFrom", { value: locale.compact(Number(bound), type) })),
  );
  const least = from.length > 0 ? [pair("level-1", locale.t("levelAbove", { value: locale.integer(0n) }))] : [];
  const below = points.some(({ value }) => value < 0n) ? [pair("below", locale.t("negative"))] : [];
  const all = [...below, pair("none", locale.integer(0n)), ...least, ...levels];
  return h("p", { class: "levels", "aria-hidden": "true" }, ...all);
}

/**
 * The values at which the next level begins: each level has about as many of the values above zero, so that one
 * huge day does not make all others pale.
 * @param {bigint[]} values
 * @returns {bigint[]}
 */
function levelBounds(values) {
  const ranked = values.filter((value) => value > 0n).sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  return Array.from({ length: LEVELS - 1 }, (_, level) => ranked[Math.floor(((level + 1) * ranked.length) / LEVELS)]);
}

/** The class of a day with `value`. */
function levelOf(value, bounds) {
  if (value < 0n) return "below";
  return value === 0n ? "none" : `level-${1 + bounds.filter((bound) => value >= bound).length}`;
}

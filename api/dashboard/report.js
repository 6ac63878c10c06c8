/**
 * The figures of a page, computed exactly from series.
 *
 * @typedef {{ key: string, label: string, value: bigint, complete: boolean }} Point as the API gives it; a point of a
 *   report has its label as `plain`, and in `label` also that it is incomplete, where it is
 * @typedef {{ amount: Point[], count: Point[], days: Point[], all: Point[] | null }} Data the whole published series of
 *   one merchant; in `all` the one of all merchants, of which that merchant has a share, where it may be seen
 */

import { positions } from "./periods.js";

/** @param {Point[]} points */
export const sum = (points) => points.reduce((total, { value }) => total + value, 0n);

/** `numerator / denominator` rounded to the nearest integer, halves away from zero. The denominator is positive. */
export function rounded(numerator, denominator) {
  const size = numerator < 0n ? -numerator : numerator;
  const quotient = (2n * size + denominator) / (2n * denominator);
  return numerator < 0n ? -quotient : quotient;
}

/** The change from `before` to `now` in permille of the size of `before`, or null when that is zero. */
export function changePermille(now, before) {
  if (before === 0n) return null;
  return rounded((now - before) * 1000n, before < 0n ? -before : before);
}

/**
 * Everything the panels show of the chosen range.
 * @param {Data} data
 * @param {import("./state.js").State} state
 * @param {import("./periods.js").Days} days
 *   whose range covers a period
 * @param {(label: string) => string} mark gives the label of an incomplete period
 */
export function makeReport(data, state, days, mark) {
  const named = (point) => ({ ...point, plain: point.label, label: point.complete ? point.label : mark(point.label) });
  const series = data[state.type];
  const keys = series.map(({ key }) => key);
  const covered = positions(state.range, keys);
  const { first, last } = covered;
  const length = last - first + 1;
  const points = series.slice(first, last + 1).map(named);
  const before = first >= length ? series.slice(first - length, first).map(named) : null;
  const yearBefore = aYearBefore(points, new Map(series.map((point) => [point.key, point])), named);
  const complete = points.filter((point) => point.complete);
  const total = sum(points);
  const count = sum(data.count.slice(first, last + 1));
  const daysCovered = days.covered(state.mode, keys, covered);
  return {
    points,
    before,
    yearBefore,
    reference: { before, year: yearBefore, none: null }[state.compare],
    total,
    whole: data.all && sum(data.all.slice(first, last + 1)),
    incomplete: points.filter((point) => !point.complete),
    comparison: before && compare(points, before),
    yearComparison: yearBefore && compare(points, yearBefore),
    count,
    averageSale: count > 0n ? rounded(sum(data.amount.slice(first, last + 1)), count) : null,
    average: complete.length > 0 ? rounded(sum(complete), BigInt(complete.length)) : null,
    best: points.reduce((best, point) => (point.value > best.value ? point : best)),
    daysCovered,
    days: data.days.slice(daysCovered.first, daysCovered.last + 1).map(named),
  };
}

/**
 * For each of `points` the period of the same number a year before, or null where that is not published, such as the
 * last day of a leap year's; null when none is.
 * @param {Point[]} points
 * @param {Map<string, Point>} published by key
 * @param {(point: Point) => Point} named
 * @returns {(Point | null)[] | null}
 */
function aYearBefore(points, published, named) {
  const found = points.map(({ key }) => {
    const point = published.get(key.replace(/^\d+/, (year) => String(Number(year) - 1).padStart(year.length, "0")));
    return point ? named(point) : null;
  });
  return found.some(Boolean) ? found : null;
}

/**
 * The change from the periods `before` to as many `points`, only of the pairs in which both periods are complete.
 * @param {Point[]} points
 * @param {(Point | null)[]} before
 * @returns {{ before: Point[], totalBefore: bigint, change: bigint | null } | null} null when there is no such pair
 */
function compare(points, before) {
  const both = points.map((point, at) => point.complete && before[at]?.complete);
  const earlier = before.filter((_, at) => both[at]);
  if (earlier.length === 0) return null;
  const totalBefore = sum(earlier);
  return { before: earlier, totalBefore, change: changePermille(sum(points.filter((_, at) => both[at])), totalBefore) };
}

/** The share of `part` in a positive `total` in permille. */
export const sharePermille = (part, total) => rounded(part * 1000n, total);

/**
 * What is read of one period: its name, its value, its share of the range, and the period that it is compared with.
 * @param {Point | null | undefined} reference
 */
export function readingLines(point, reference, { total }, { type }, locale) {
  const lines = [point.label, locale.figure(point.value, type)];
  if (total > 0n) lines.push(locale.t("ofRange", { share: locale.share(sharePermille(point.value, total)) }));
  if (reference) {
    const change = changePermille(point.value, reference.value);
    const compared = `${reference.label}: ${locale.figure(reference.value, type)}`;
    const both = point.complete && reference.complete && change !== null;
    lines.push(both ? locale.t("comparedWith", { compared, change: locale.percent(change) }) : compared);
  }
  return lines;
}

/** The names of the first and last period; only one name for one period. */
export function span(points, locale, words = "between") {
  const [from, to] = [points[0].label, points.at(-1).label];
  return from === to ? from : locale.t(words, { from, to });
}

/** The number of the day in its label. */
export const dayOf = (label) => label.split(" ")[0];

/** The words of a day's label without its day: the month and year. */
export const monthOf = (label) => label.split(" ").slice(1).join(" ");

/** How many years the ascending points span. @param {Point[]} points */
export const yearsOf = (points) => 1 + Number(points.at(-1).key.slice(0, 4)) - Number(points[0].key.slice(0, 4));

/**
 * Labels for an axis: without their year where all are of one.
 * @param {Point[]} points
 */
export function shortLabels(mode, points) {
  if (yearsOf(points) > 1) return points.map(({ plain }) => plain);
  const [first, last] = mode === "weekly" ? [1, undefined] : [0, -1]; // only the label of a week begins with its year
  return points.map(({ plain }) => plain.split(" ").slice(first, last).join(" "));
}

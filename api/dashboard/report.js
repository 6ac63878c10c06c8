/**
 * The figures of a page, computed exactly from series.
 *
 * @typedef {{ key: string, label: string, value: bigint, complete: boolean }} Point as the API gives it; a point of a
 *   report has its label as `plain`, and in `label` also that it is incomplete, where it is
 * @typedef {{ amount: Point[], count: Point[], days: Point[] }} Data the whole published series of one merchant
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
  const total = sum(points);
  const count = sum(data.count.slice(first, last + 1));
  const daysCovered = days.covered(state.mode, keys, covered);
  return {
    points,
    before,
    total,
    incomplete: points.filter(({ complete }) => !complete),
    comparison: before && compare(points, before),
    count,
    average: count > 0n ? rounded(sum(data.amount.slice(first, last + 1)), count) : null,
    best: points.reduce((best, point) => (point.value > best.value ? point : best)),
    daysCovered,
    days: data.days.slice(daysCovered.first, daysCovered.last + 1).map(named),
  };
}

/**
 * The change from the periods `before` to as many `points`, of those pairs alone in which both periods are complete.
 * @returns {{ before: Point[], totalBefore: bigint, change: bigint | null } | null} null when there is no such pair
 */
function compare(points, before) {
  const both = points.map((point, at) => point.complete && before[at].complete);
  const earlier = before.filter((_, at) => both[at]);
  if (earlier.length === 0) return null;
  const totalBefore = sum(earlier);
  return { before: earlier, totalBefore, change: changePermille(sum(points.filter((_, at) => both[at])), totalBefore) };
}

/** The share of `part` in a positive `total` in permille. */
export const sharePermille = (part, total) => rounded(part * 1000n, total);

/** First and last period in words; one period alone by its own name. */
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
  const [first, last] = mode === "weekly" ? [1, undefined] : [0, -1]; // the week's label alone begins with its year
  return points.map(({ plain }) => plain.split(" ").slice(first, last).join(" "));
}

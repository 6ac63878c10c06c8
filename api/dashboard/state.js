/**
 * What the page shows, kept in the address after `#`, so that a link shows the same to another person.
 *
 * @typedef {"daily" | "weekly" | "monthly"} Mode
 * @typedef {"before" | "year" | "none"} Compare with the periods before, with those of the year before, or with none
 * @typedef {{ merchant: string | null, mode: Mode, type: "amount" | "count", range: Range, compare: Compare }} State
 * @typedef {{ kind: "last", periods: number } | { kind: "year" } | { kind: "all" }
 *   | { kind: "custom", from: string, to: string }
 *   | { kind: "days", from: string, to: string }} Range keys of the mode (custom) or of days, which become keys of the
 *   mode once its series is known
 */

export const MODES = ["daily", "weekly", "monthly"];
export const TYPES = ["amount", "count"];
export const COMPARISONS = ["before", "year", "none"];

/** For each mode, and for days of creation, the numbers of latest periods that one can choose; the second is the default. */
export const PRESETS = { daily: [30, 90, 365], weekly: [13, 26, 52], monthly: [6, 12, 24], created: [1, 7, 30, 90] };

const BETWEEN = "..";

/** @returns {State} the state in the address; missing or invalid parts have their defaults. */
export function readState() {
  const said = new URLSearchParams(location.hash.slice(1));
  const mode = MODES.find((one) => one === said.get("mode")) ?? MODES[0];
  return {
    merchant: said.get("merchant") || null,
    mode,
    type: TYPES.find((one) => one === said.get("type")) ?? TYPES[0],
    range: readRange(said.get("range") ?? "", mode),
    compare: COMPARISONS.find((one) => one === said.get("compare")) ?? COMPARISONS[0],
  };
}

/**
 * @param {State} state
 * @param {"push" | "replace"} how whether the way back leads to the state before
 */
export function writeState(state, how) {
  const said = new URLSearchParams({ mode: state.mode, type: state.type, range: rangeText(state.range) });
  if (state.merchant !== null) said.set("merchant", state.merchant);
  if (state.compare !== COMPARISONS[0]) said.set("compare", state.compare);
  const hash = `#${said}`;
  if (hash !== location.hash) history[`${how}State`](null, "", hash);
}

/**
 * The range after a change of mode: a preset stays in its place, and a range of keys covers the same days.
 * @param {Range} range in the mode before
 * @param {{ from: string, to: string }} days the days that it covers
 */
export function rangeIn(mode, range, modeBefore, days) {
  if (range.kind === "custom") return { kind: "days", ...days };
  if (range.kind !== "last") return range;
  return { kind: "last", periods: PRESETS[mode][PRESETS[modeBefore].indexOf(range.periods)] };
}

/** @param {Range} range */
export function rangeText(range) {
  if (range.kind === "last") return `last-${range.periods}`;
  return range.kind === "custom" ? `${range.from}${BETWEEN}${range.to}` : range.kind;
}

/** @returns {Range} */
export function readRange(text, mode) {
  if (text === "year" || text === "all") return { kind: text };
  const [from, to] = text.split(BETWEEN);
  if (to !== undefined) return { kind: "custom", from, to };
  const periods = PRESETS[mode].find((number) => text === `last-${number}`);
  return { kind: "last", periods: periods ?? PRESETS[mode][1] };
}

/** How dark a day is drawn: by its rank among the days shown, so that one huge day does not make all others pale. */

/**
 * The values at which the next level begins: each of `levels` has about as many of the values above zero.
 * @param {bigint[]} values
 * @returns {bigint[]}
 */
export function levelBounds(values, levels) {
  const ranked = values.filter((value) => value > 0n).sort((one, other) => (one < other ? -1 : one > other ? 1 : 0));
  return Array.from({ length: levels - 1 }, (_, level) => ranked[Math.floor(((level + 1) * ranked.length) / levels)]);
}

/** The class of a day with `value`. */
export function levelOf(value, bounds) {
  if (value < 0n) return "below";
  return value === 0n ? "none" : `level-${1 + bounds.filter((bound) => value >= bound).length}`;
}

/** The days of the last ten years: what a range may consist of where no series says which days there are. */

import { Days, keyWriter } from "./periods.js";

const DAY_MS = 86_400_000;
const LENGTH = 3_653;

/**
 * @param {"jalali" | "gregorian"} calendar of the keys
 * @param {string} timeZone IANA name: there it is today
 */
export function recentDays(calendar, timeZone) {
  const last = Date.parse(`${keyWriter("gregorian", timeZone)(new Date())}T00:00:00Z`);
  const first = last - (LENGTH - 1) * DAY_MS;
  const key = keyWriter(calendar, "UTC");
  const keys = Array.from({ length: LENGTH }, (_, day) => key(first + day * DAY_MS));
  return new Days(keys, new Date(first).toISOString().slice(0, 10), calendar);
}

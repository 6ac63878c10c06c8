/**
 * Which periods a range covers, and which days, weeks and months those are.
 *
 * Keys of one mode sort as text, and a series filled with zeros has every period from the first published to the last:
 * positions are enough, and no calendar is needed in addition to the keys and the date of the first day.
 */

const DAY_MS = 86_400_000;
const RECENT_DAYS = 3_653;
const MONTH_LENGTH = 7; // of 1403/04 and of 2024-06
const YEAR_LENGTH = 4;
const JALALI = /^1[2-5]\d\d\/\d\d\/\d\d$/;
const GREGORIAN = /^(1[6-9]\d\d|2\d\d\d)-(\d\d)-(\d\d)$/;

/** Latin digits for Persian and Arabic ones; what people type around a key goes. */
function plainKey(text) {
  const digit = (character) => String((character.codePointAt(0) - 0x0660) % 0x90);
  return text
    .replace(/[\u0660-\u0669\u06f0-\u06f9]/g, digit)
    .trim()
    .toUpperCase();
}

/**
 * The positions that a range covers in the ascending `keys`.
 * @returns {{ first: number, last: number } | null} null when it covers none
 */
export function positions(range, keys) {
  const end = keys.length - 1;
  if (range.kind === "all") return { first: 0, last: end };
  if (range.kind === "last") return { first: Math.max(0, keys.length - range.periods), last: end };
  if (range.kind === "year") {
    const year = keys[end].slice(0, YEAR_LENGTH);
    return { first: keys.findIndex((key) => key.startsWith(year)), last: end };
  }
  const first = keys.findIndex((key) => key >= range.from);
  const last = keys.findLastIndex((key) => key <= range.to);
  return first === -1 || last < first ? null : { first, last };
}

/**
 * The key of the period of `mode` that somebody's text names: by the key itself, or by a day in the period, as a date of
 * either calendar.
 * @param {string[]} keys of all published periods of the mode
 * @param {Days} days
 * @returns {{ key: string } | { wrong: "Missing" | "Malformed" | "Impossible" | "Outside" }}
 */
export function readPeriod(text, mode, keys, days) {
  const plain = plainKey(text);
  if (plain === "") return { wrong: "Missing" };
  if (hasForm(plain, keys[0])) return exists(plain, keys) ? { key: plain } : { wrong: "Impossible" };
  const date = GREGORIAN.exec(plain);
  let day = null;
  if (date) day = isDate(date.slice(1).map(Number)) ? days.numberOf(plain) : null;
  else if (hasForm(plain, days.keys[0])) day = exists(plain, days.keys) ? days.keys.indexOf(plain) : null;
  else if (JALALI.test(plain)) day = days.numberOfJalali(plain);
  else return { wrong: "Malformed" };
  if (day === null) return { wrong: "Impossible" };
  return day in days.keys ? { key: days.touched(mode, keys, { first: day, last: day }).from } : { wrong: "Outside" };
}

const hasForm = (text, key) => new RegExp(`^${key.replace(/\d/g, "\\d")}$`).test(text);

/** Whether there is a period with `key`; beyond those published, whether months, days and weeks may have such numbers. */
function exists(key, keys) {
  if (key >= keys[0] && key <= keys.at(-1)) return keys.includes(key);
  const [year, ...numbers] = key.split(/[/-]/);
  if (numbers[0].startsWith("W")) return inside(Number(numbers[0].slice(1)), 53);
  const [month, day] = numbers.map(Number);
  if (key.includes("-")) return isDate([Number(year), month, day ?? 1]);
  return inside(month, 12) && (day === undefined || inside(day, month <= 6 ? 31 : 30));
}

const inside = (number, most) => number >= 1 && number <= most;

function isDate([year, month, day]) {
  const date = new Date(Date.UTC(year, month - 1, day));
  return date.getUTCMonth() === month - 1 && date.getUTCDate() === day;
}

/** Writes the dates of instants as keys of days are. @param {"jalali" | "gregorian"} calendar */
function keyWriter(calendar, timeZone) {
  const [name, separator] = calendar === "jalali" ? ["persian", "/"] : ["gregory", "-"];
  const numbers = { year: "numeric", month: "2-digit", day: "2-digit", timeZone };
  const format = new Intl.DateTimeFormat(`en-u-ca-${name}-nu-latn`, numbers);
  return (instant) => {
    const parts = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, value]));
    return [parts.year, parts.month, parts.day].join(separator);
  };
}

/** The published days: their keys, their dates, and how they fall into weeks and months. */
export class Days {
  /**
   * @param {string[]} keys of all published days
   * @param {string} firstDate the date of the first, such as 2024-03-20
   * @param {"jalali" | "gregorian"} calendar
   */
  constructor(keys, firstDate, calendar) {
    this.keys = keys;
    this.calendar = calendar;
    this.start = Date.parse(`${firstDate}T00:00:00Z`);
    this.offset = this.weekday(0);
  }

  /** The date at UTC midnight. */
  date(day) {
    return new Date(this.start + day * DAY_MS);
  }

  /** The number of the day with this date, which may not be published. @param {string} date such as 2024-06-24 */
  numberOf(date) {
    return (Date.parse(`${date}T00:00:00Z`) - this.start) / DAY_MS;
  }

  /** The number of the day with this Jalali date, which may not be published; null where there is no such date. */
  numberOfJalali(key) {
    const [year, month, day] = key.split("/").map(Number);
    const of = keyWriter("jalali", "UTC");
    // Six months of 31 days, then of 30; the year begins a day or two from March 20.
    const about = Date.UTC(year + 621, 2, 20) + ((month - 1) * 31 - Math.max(0, month - 7) + day - 1) * DAY_MS;
    const found = [-2, -1, 0, 1, 2].map((days) => about + days * DAY_MS).find((instant) => of(instant) === key);
    return found === undefined ? null : (found - this.start) / DAY_MS;
  }

  /** 0 to 6, from Saturday in the Jalali calendar and from Monday in the Gregorian. */
  weekday(day) {
    return (this.date(day).getUTCDay() + (this.calendar === "jalali" ? 1 : 6)) % 7;
  }

  /** The number of the day's week, counted from the week of the first day. */
  week(day) {
    return Math.floor((day + this.offset) / 7);
  }

  month(day) {
    return this.keys[day].slice(0, MONTH_LENGTH);
  }

  year(day) {
    return this.keys[day].slice(0, YEAR_LENGTH);
  }

  /** The days that the periods from `first` to `last` of `mode` cover, as far as they are published. */
  covered(mode, keys, { first, last }) {
    if (mode === "daily") return { first, last };
    const end = this.keys.length - 1;
    if (mode === "weekly") {
      return { first: Math.max(0, first * 7 - this.offset), last: Math.min(end, last * 7 + 6 - this.offset) };
    }
    return {
      first: this.keys.findIndex((_, day) => this.month(day) >= keys[first]),
      last: this.keys.findLastIndex((_, day) => this.month(day) <= keys[last]),
    };
  }

  /** The keys of the first and last period of `mode` that the days from `first` to `last` touch. */
  touched(mode, keys, { first, last }) {
    const key = {
      daily: (day) => this.keys[day],
      weekly: (day) => keys[this.week(day)],
      monthly: (day) => this.month(day),
    };
    return { from: key[mode](first), to: key[mode](last) };
  }
}

/**
 * The days of the last ten years: what a range may consist of where no series says which days there are.
 * @param {"jalali" | "gregorian"} calendar of the keys
 * @param {string} timeZone IANA name: there it is today
 */
export function recentDays(calendar, timeZone) {
  const last = Date.parse(`${keyWriter("gregorian", timeZone)(new Date())}T00:00:00Z`);
  const first = last - (RECENT_DAYS - 1) * DAY_MS;
  const key = keyWriter(calendar, "UTC");
  const keys = Array.from({ length: RECENT_DAYS }, (_, day) => key(first + day * DAY_MS));
  return new Days(keys, new Date(first).toISOString().slice(0, 10), calendar);
}

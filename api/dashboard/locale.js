/**
 * How one language says things: texts, numbers, times. Integers are BigInt and are written exactly.
 *
 * texts.json has each text in both languages. `{name}` is a place for a value, `{name:day|days}` for a word after it.
 */

import TEXTS from "./texts.json" with { type: "json" };

const TAGS = { en: "en-US", fa: "fa-IR" };
const CALENDARS = { jalali: "persian", gregorian: "gregory" };
/** What is written by until the caller is known. */
const UNKNOWN = { currency: "IRR", scale: 0, time_zone: "UTC", calendar: "jalali" };
const LONG_S = 86_400;
const AGES = [
  ["year", 31_556_952],
  ["month", 2_629_746],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
  ["second", 1],
];

export class Locale {
  /**
   * @param {"en" | "fa"} language
   * @param {object} me of /api/me: the unit of amounts, their decimal places, the time zone, and the calendar of dates
   */
  constructor(language, { currency, scale, time_zone: timeZone, calendar } = UNKNOWN) {
    const tag = TAGS[language];
    this.language = language;
    this.rtl = language === "fa";
    this.currency = TEXTS[`currency_${currency}`]?.[language] ?? currency;
    this.scale = Number(scale);
    this.numbers = new Intl.NumberFormat(tag);
    this.amounts = new Intl.NumberFormat(tag, { minimumFractionDigits: this.scale });
    this.rounded = new Intl.NumberFormat(tag, { notation: "compact", maximumFractionDigits: 1 });
    this.percents = new Intl.NumberFormat(tag, {
      style: "percent",
      minimumFractionDigits: 1,
      signDisplay: "exceptZero",
    });
    this.shares = new Intl.NumberFormat(tag, { style: "percent", minimumFractionDigits: 1 });
    this.ages = new Intl.RelativeTimeFormat(tag, { numeric: "auto" });
    this.longAges = new Intl.RelativeTimeFormat(tag); // "1 year ago": last year may be yesterday
    this.weekdays = new Intl.DateTimeFormat(tag, { weekday: this.rtl ? "narrow" : "short", timeZone: "UTC" });
    const date = { day: "numeric", month: "long", year: "numeric", calendar: CALENDARS[calendar] };
    const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone };
    this.dates = new Intl.DateTimeFormat(tag, { ...date, timeZone: "UTC" });
    this.times = new Intl.DateTimeFormat(tag, { ...date, ...clock });
    this.moments = new Intl.DateTimeFormat(tag, { ...date, ...clock, second: "2-digit" });
  }

  /**
   * The text `name` with `values` in its places. `{n}` is a place; `{n:day|days}` is the first word where the value
   * is one, else the second.
   */
  t(name, values = {}) {
    const one = this.integer(1n);
    return TEXTS[name][this.language].replace(/\{(\w+)(?::([^|}]*)\|([^}]*))?\}/g, (_, place, single, several) => {
      const value = String(values[place]);
      return single === undefined ? value : value === one ? single : several;
    });
  }

  /** Whether there is a text of that name. */
  has(name) {
    return Object.hasOwn(TEXTS, name);
  }

  /** @param {bigint} value */
  integer(value) {
    return this.numbers.format(value);
  }

  /** A value of that type without its unit; an amount in major units, with all its decimals. @param {bigint} value */
  exact(value, type) {
    // As text, whose digits are all written: numbers are rounded above 2^53.
    return type === "amount" ? this.amounts.format(`${value}e-${this.scale}`) : this.integer(value);
  }

  /** Short, for axes only. @param {number} value */
  compact(value, type) {
    return this.rounded.format(type === "amount" ? value / 10 ** this.scale : value);
  }

  /** @param {bigint} permille with its sign */
  percent(permille) {
    return this.percents.format(Number(permille) / 1000);
  }

  /** @param {bigint} permille without a plus sign */
  share(permille) {
    return this.shares.format(Number(permille) / 1000);
  }

  /** `text` with the digits of the language, for keys. */
  digits(text) {
    return this.rtl ? text.replace(/\d/g, (digit) => String.fromCodePoint(0x06f0 + Number(digit))) : text;
  }

  /** `text` in the direction of the language, also inside text of the other direction. */
  isolated(text) {
    return `${this.rtl ? "\u2067" : "\u2066"}${text}\u2069`;
  }

  /** `text` in its own direction: for text of users inside a sentence of the page. */
  apart(text) {
    return `\u2068${text}\u2069`;
  }

  /** An exact value with its unit. @param {bigint} value */
  figure(value, type) {
    return type === "amount" ? `${this.exact(value, type)} ${this.currency}` : this.exact(value, type);
  }

  /** What is measured: the amount with its unit, or the count. */
  measure(type) {
    return type === "amount" ? `${this.t("amount")} (${this.currency})` : this.t("count");
  }

  /** How long ago: such as "3 hours ago". @param {string} instant ISO 8601 */
  ago(instant) {
    return this.distance(Math.max(0, Date.now() - Date.parse(instant)), -1);
  }

  /** How far ahead: such as "in 3 hours"; what is past is now. @param {string} instant ISO 8601 */
  ahead(instant) {
    return this.distance(Math.max(0, Date.parse(instant) - Date.now()), 1);
  }

  distance(milliseconds, direction) {
    const seconds = milliseconds / 1000;
    const [unit, length] = AGES.find(([, one]) => seconds >= one) ?? AGES.at(-1);
    const ages = length > LONG_S ? this.longAges : this.ages;
    return ages.format(direction * Math.floor(seconds / length), unit);
  }

  /** A date as the labels of days are. @param {string} date such as 2024-06-24 */
  date(date) {
    return this.written(this.dates, `${date}T00:00:00Z`);
  }

  /** The month and the year of a date. @param {string} date such as 2024-06-24 */
  monthOf(date) {
    return this.date(date).split(" ").slice(1).join(" ");
  }

  /** @param {string} instant ISO 8601 */
  time(instant) {
    return this.written(this.times, instant);
  }

  /** To the second. @param {string} instant ISO 8601 */
  moment(instant) {
    return this.written(this.moments, instant);
  }

  /** Day, month and year, and the time where `format` has it. */
  written(format, instant) {
    const parts = format.formatToParts(new Date(instant)).map(({ type, value }) => [type, value]);
    const { day, month, year, hour, minute, second } = Object.fromEntries(parts);
    const date = [day, month, year].join(" ");
    const clock = [hour, minute, second].filter((part) => part !== undefined).join(":");
    return clock === "" ? date : `${date}${this.t("comma")} ${clock}`;
  }

  /** @param {Date} date at UTC midnight */
  weekday(date) {
    return this.weekdays.format(date);
  }
}

/** Put the texts of `locale` into every element that names one. */
export function translate(locale) {
  for (const element of document.querySelectorAll("[data-t]")) element.textContent = locale.t(element.dataset.t);
  for (const element of document.querySelectorAll("[data-t-label]")) {
    element.setAttribute("aria-label", locale.t(element.dataset.tLabel));
  }
  document.documentElement.dataset.translated = locale.language;
}

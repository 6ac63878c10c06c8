/** The headline figures. */

import { byId, h } from "./dom.js";
import { sharePermille, span } from "./report.js";

const LONG = 16; // characters, of which more do not fit a line in large type

export function showCards(report, state, locale) {
  const { points, incomplete, total, count, averageSale, best, whole } = report;
  const number = (list) => locale.integer(BigInt(list.length));
  const inAll = locale.t(`inPeriods_${state.mode}`, { n: number(points) });
  const periods = incomplete.length === 0 ? inAll : locale.t("inIncomplete", { inAll, n: number(incomplete) });
  const each = averageSale === null ? "" : locale.t("average", { value: locale.figure(averageSale, "amount") });
  const share = state.merchant !== null && whole > 0n ? locale.share(sharePermille(total, whole)) : "";
  const ofAll = share && locale.t("ofAllMerchants", { share });
  const cards = [];
  if (state.type === "amount") {
    cards.push(card(locale.t("totalAmount"), locale.figure(total, "amount"), periods, ofAll));
    cards.push(card(locale.t("totalCount"), locale.integer(count), each));
  } else {
    cards.push(card(locale.t("totalCount"), locale.integer(count), periods, ofAll));
  }
  cards.push(card(locale.t(`best_${state.mode}`), best.label, locale.figure(best.value, state.type)));
  const none = report.before === null ? locale.t("noBefore", { n: number(points) }) : locale.t("noComplete");
  cards.push(changeCard(locale.t("change"), report.comparison, none, points, locale, state));
  const noYear = locale.t(report.yearBefore === null ? "noYearBefore" : "noComplete");
  cards.push(changeCard(locale.t("yearChange"), report.yearComparison, noYear, points, locale, state));
  byId("cards").replaceChildren(...cards);
}

/** @param {string} none why there is no comparison, if it is null */
function changeCard(name, comparison, none, points, locale, { type, mode }) {
  if (comparison === null) return card(name, "—", none);
  const { before, totalBefore, change } = comparison;
  const compared = locale.t("against", { range: span(before, locale) });
  const n = locale.integer(BigInt(before.length));
  const only = before.length < points.length ? locale.t(`onlyComplete_${mode}`, { n }) : "";
  const against = [only, compared].filter(Boolean).join(`${locale.t("comma")} `);
  const was = locale.t("wasBefore", { value: locale.figure(totalBefore, type) });
  if (change === null) return card(name, "—", locale.t("zeroBefore"), was);
  const direction = change > 0n ? "up" : change < 0n ? "down" : "same";
  return card(name, h("span", { class: `change ${direction}` }, locale.percent(change)), against, was);
}

function card(name, value, ...notes) {
  const long = typeof value === "string" && value.length > LONG;
  return h(
    "div",
    { class: "card" },
    h("dt", {}, name),
    h("dd", { class: long ? "card-value long" : "card-value" }, value),
    ...notes.filter(Boolean).map((note) => h("dd", { class: "card-note muted" }, note)),
  );
}

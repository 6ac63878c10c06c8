/** The headline figures. */

import { byId, h } from "./dom.js";
import { span } from "./report.js";

const LONG = 20; // characters, of which more do not fit a line in large type

export function showCards(report, state, locale) {
  const { points, incomplete, total, count, average, best } = report;
  const number = (list) => locale.integer(BigInt(list.length));
  const inAll = locale.t(`inPeriods_${state.mode}`, { n: number(points) });
  const periods = incomplete.length === 0 ? inAll : locale.t("inIncomplete", { inAll, n: number(incomplete) });
  const each = average === null ? "" : locale.t("average", { value: locale.figure(average, "amount") });
  const cards = [card(locale.t("totalCount"), locale.integer(count), state.type === "amount" ? each : periods)];
  if (state.type === "amount") cards.unshift(card(locale.t("totalAmount"), locale.figure(total, "amount"), periods));
  cards.push(card(locale.t(`best_${state.mode}`), best.label, locale.figure(best.value, state.type)));
  cards.push(changeCard(report, locale, state));
  byId("cards").replaceChildren(...cards);
}

function changeCard({ points, before: published, comparison }, locale, { type, mode }) {
  const name = locale.t("change");
  const number = (list) => locale.integer(BigInt(list.length));
  if (published === null) return card(name, "—", locale.t("noBefore", { n: number(points) }));
  if (comparison === null) return card(name, "—", locale.t("noComplete"));
  const { before, totalBefore, change } = comparison;
  const compared = locale.t("against", { range: span(before, locale) });
  const only = before.length < points.length ? locale.t(`onlyComplete_${mode}`, { n: number(before) }) : "";
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

/** The headline figures. */

import { byId, h } from "./dom.js";

const LONG = 20; // characters, of which more do not fit a line in large type

export function showCards(report, state, locale) {
  const { points, total, count, average, best } = report;
  const periods = locale.t(`inPeriods_${state.mode}`, { n: locale.integer(BigInt(points.length)) });
  const each = average === null ? "" : locale.t("average", { value: locale.figure(average, "amount") });
  const cards = [card(locale.t("totalCount"), locale.integer(count), state.type === "amount" ? each : periods)];
  if (state.type === "amount") cards.unshift(card(locale.t("totalAmount"), locale.figure(total, "amount"), periods));
  cards.push(card(locale.t(`best_${state.mode}`), best.label, locale.figure(best.value, state.type)));
  cards.push(changeCard(report, locale, state.type));
  byId("cards").replaceChildren(...cards);
}

function changeCard({ points, before, totalBefore, change }, locale, type) {
  const name = locale.t("change");
  if (before === null) return card(name, "—", locale.t("noBefore", { n: locale.integer(BigInt(points.length)) }));
  const against = locale.t("against", { from: before[0].label, to: before.at(-1).label });
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

/** The state of the service: what is published, whether its numbers add up, what was rejected, what failed or runs. */

import { getDocument } from "./api.js";
import { byId, factList, h } from "./dom.js";
import { span } from "./report.js";

/** How old the latest day may be before somebody should look: exports are often made monthly. */
const OLD_MS = 31 * 86_400_000;

const PARTS = {
  read: "transactionsRead",
  counted: "transactionsCounted",
  rejected: "transactionsRejected",
  filtered: "transactionsFiltered",
  out_of_range: "transactionsOutOfRange",
};

export async function showStatus(me, locale, signal) {
  const body = byId("status-body");
  if (!me.scopes.includes("operate")) {
    body.replaceChildren();
    return;
  }
  try {
    const status = await getDocument("/api/status", signal);
    if (!signal.aborted) body.replaceChildren(...parts(status, me.published, locale));
  } catch {
    if (!signal.aborted) body.replaceChildren(h("p", { class: "muted" }, locale.t("statusFailed")));
  }
}

function parts(status, days, locale) {
  const age = days?.last_day_date ? Date.now() - Date.parse(`${days.last_day_date}T00:00:00Z`) : 0;
  const state = status.state === "ok" && age > OLD_MS ? "degraded" : status.state;
  const shown = [h("p", { class: `state ${state}` }, locale.t(`state_${state}`))];
  if (age > OLD_MS) shown.push(old(days, locale));
  if (status.running) shown.push(running(status.running, locale));
  if (status.last_failure) shown.push(failure(status.last_failure, status.failures_in_a_row, locale));
  if (status.degraded_by.includes("missed_refreshes")) shown.push(missed(status.refreshes, locale));
  if (status.published) shown.push(published(status.published, days, locale));
  if (status.conservation) shown.push(...conservation(status.conservation, locale));
  if (status.rejects) shown.push(...rejects(status.rejects, locale));
  return shown;
}

function running(run, locale) {
  const counted = locale.integer(run.counted ?? 0n);
  return h(
    "p",
    { class: "small" },
    locale.t("running", { run: locale.digits(String(run.run_id)), phase: locale.t(`phase_${run.phase}`), counted }),
  );
}

function failure(run, inARow, locale) {
  const values = {
    run: locale.digits(String(run.run_id)),
    ago: run.ended_at ? locale.ago(run.ended_at) : "",
    error: locale.apart(run.error ?? ""),
    n: locale.integer(inARow),
  };
  return h("p", { class: "small warning" }, locale.t(inARow > 1n ? "lastFailures" : "lastFailure", values));
}

function missed(refreshes, locale) {
  const values = { missed: locale.integer(refreshes.missed), ago: locale.ago(refreshes.due_at) };
  return h("p", { class: "small warning" }, locale.t("missedRefreshes", values));
}

function old({ last_day_date: date }, locale) {
  const values = { day: locale.date(date), ago: locale.ago(`${date}T00:00:00Z`) };
  return h("p", { class: "small warning" }, locale.t("oldData", values));
}

function published(one, days, locale) {
  const label = (date) => ({ label: locale.date(date) });
  const covered = days?.first_day_date ? [label(days.first_day_date), label(days.last_day_date)] : [];
  const facts = [
    [locale.t("publishedAt"), `${locale.time(one.published_at)} (${locale.ago(one.published_at)})`],
    [locale.t("lastRead"), `${locale.time(one.as_of)} (${locale.ago(one.as_of)})`],
    [locale.t("runNumber"), locale.digits(String(one.run_id))],
    [locale.t("daysCovered"), covered.length ? span(covered, locale) : "—"],
    ...one.filters.map(({ field, value }) => [locale.t("filters"), h("bdi", { dir: "ltr" }, `${field} = ${value}`)]),
  ];
  return factList(facts);
}

function conservation(numbers, locale) {
  const facts = Object.entries(PARTS).map(([name, text]) => [locale.t(text), locale.integer(numbers[name])]);
  const verdict = numbers.holds ? ["small holds", "holds"] : ["small warning", "broken"];
  return [factList(facts), h("p", { class: verdict[0] }, locale.t(verdict[1]))];
}

function rejects({ count, by_reason: byReason }, locale) {
  if (count === 0n) return [h("p", { class: "small muted" }, locale.t("noRejects"))];
  const facts = Object.entries(byReason).map(([reason, number]) => [h("bdi", {}, reason), locale.integer(number)]);
  return [h("h3", {}, locale.t("rejects")), factList(facts)];
}

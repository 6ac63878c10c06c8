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
  const { running, last_failure: failure, failures_in_a_row: failures, refreshes } = status;
  const line = (kind, name, values) => h("p", { class: kind }, locale.t(name, values));
  const run = ({ run_id: id }) => locale.digits(String(id));
  const lastDay = days?.last_day_date && `${days.last_day_date}T00:00:00Z`;
  const isOld = Boolean(lastDay) && Date.now() - Date.parse(lastDay) > OLD_MS;
  const state = status.state === "ok" && isOld ? "degraded" : status.state;
  const shown = [line(`state ${state}`, `state_${state}`)];
  if (isOld) {
    shown.push(line("small warning", "oldData", { day: locale.date(days.last_day_date), ago: locale.ago(lastDay) }));
  }
  if (running) {
    const counted = locale.integer(running.counted ?? 0n);
    shown.push(line("small", "running", { run: run(running), phase: locale.t(`phase_${running.phase}`), counted }));
  }
  if (failure) {
    const ago = failure.ended_at ? locale.ago(failure.ended_at) : "";
    const values = { run: run(failure), ago, error: locale.apart(failure.error ?? ""), n: locale.integer(failures) };
    shown.push(line("small warning", failures > 1n ? "lastFailures" : "lastFailure", values));
  }
  if (status.degraded_by.includes("missed_refreshes")) {
    const values = { missed: locale.integer(refreshes.missed), ago: locale.ago(refreshes.due_at) };
    shown.push(line("small warning", "missedRefreshes", values));
  }
  if (status.published) shown.push(published(status.published, days, locale));
  if (status.conservation) shown.push(...conservation(status.conservation, locale));
  if (status.rejects) shown.push(...rejects(status.rejects, locale));
  return shown;
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
  const [kind, text] = numbers.holds ? ["small holds", "holds"] : ["small warning", "broken"];
  return [factList(facts), h("p", { class: kind }, locale.t(text))];
}

function rejects({ count, by_reason: byReason }, locale) {
  if (count === 0n) return [h("p", { class: "small muted" }, locale.t("noRejects"))];
  const facts = Object.entries(byReason).map(([reason, number]) => [h("bdi", {}, reason), locale.integer(number)]);
  return [h("h3", {}, locale.t("rejects")), factList(facts)];
}

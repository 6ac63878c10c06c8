/** What happened to a log, event by event. */

import { h } from "./dom.js";
import { instant, theirs } from "./notificationswords.js";

/** @param {object[]} history the events of a log, the first one first */
export function timeline(history, locale) {
  if (history.length === 0) return h("p", { class: "muted small" }, locale.t("noHistory"));
  return h("ol", { class: "timeline" }, ...told(history).map((one) => item(one, locale)));
}

/** Each event with what is said of it, which depends on those before. */
function told(history) {
  let [attempts, sending, cancelling] = [0n, false, false];
  return history.map((event, at) => {
    const last = at === history.length - 1;
    const texts = {
      cancel: { text: sending ? "event_cancelMeanwhile" : "event_cancel" },
      attempt: { text: "event_attempt", until: last && "event_attemptUntil" },
      failed: cancelling ? { text: "event_failedLast" } : { text: "event_failed", until: "event_failedUntil" },
      maybe: cancelling ? { text: "event_maybeLast" } : { text: "event_maybe", until: "event_failedUntil" },
    };
    if (event.kind === "attempt") attempts += 1n;
    cancelling = sending && event.kind === "cancel";
    sending = event.kind === "attempt" || cancelling;
    return { event, attempts, ...(texts[event.kind] ?? { text: `event_${event.kind}` }) };
  });
}

function item({ event, text, attempts, until }, locale) {
  const lines = [
    h("span", { class: "event-name" }, locale.t(text, { n: locale.integer(attempts) })),
    h("span", { class: "event-at muted" }, instant(event.at, locale.moment(event.at), locale)),
  ];
  if (until && event.until) {
    lines.push(h("span", { class: "event-note muted" }, locale.t(until, { time: locale.moment(event.until) })));
  }
  if (event.sender) {
    lines.push(h("span", { class: "event-note muted" }, `${locale.t("sender")}: `, theirs(event.sender)));
  }
  if (event.error) lines.push(theirs(event.error, { class: "event-note event-error", dir: "auto" }));
  if (event.reference) {
    lines.push(h("span", { class: "event-note muted" }, `${locale.t("reference")}: `, theirs(event.reference)));
  }
  return h("li", { class: `event ${event.kind}` }, ...lines);
}

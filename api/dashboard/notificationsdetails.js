/** One notification: its text, its status on each channel, and its history. */

import { byId, factList, h } from "./dom.js";
import { timeline } from "./notificationshistory.js";
import { hashOf } from "./notificationsstate.js";
import { badge, channelName, instant, theirs } from "./notificationswords.js";
import { renew } from "./renew.js";

const OPEN = ["pending", "sending", "retrying"];
/** The statuses of logs that somebody may have sent again. */
export const RETRIED = ["dead", "unknown", "printed"];
const OPERATOR = "operator";
const NOTES = ["dead", "unknown", "printed"];
/** A long message scrolls, also by keyboard. */
const MESSAGE = { class: "message", dir: "auto", role: "group", tabindex: "0", "aria-labelledby": "details-title" };

/** Whether something is still to be done for the log. */
export const isOpen = (log) => OPEN.includes(log.status);

/** The logs that somebody may have sent again. */
export function retriable(notification) {
  return isPast(notification.expires_at) ? [] : notification.logs.filter(({ status }) => RETRIED.includes(status));
}

/** The logs that somebody may cancel. */
export function cancellable(notification) {
  return notification.logs.filter((log) => isOpen(log) && !log.cancelling);
}

export class DetailsPanel {
  /**
   * @param {(channel: string | null) => void} onRetry of one channel, or of all
   * @param {() => void} onCancel
   */
  constructor(onRetry, onCancel) {
    this.place = byId("details");
    this.place.addEventListener("click", (event) => {
      const { key } = event.target.closest("button[data-key]")?.dataset ?? {};
      if (key === "cancel") onCancel();
      else if (key) onRetry(key === "retry" ? null : key.slice("retry:".length));
    });
  }

  /** @param {object | null | undefined} one null when there is none of that id, undefined while it is on the way */
  show(one, state, locale) {
    this.place.hidden = state.id === null;
    const close = h("a", { class: "link close", href: hashOf({ ...state, id: null }) }, locale.t("close"));
    const body = one ? parts(one, state, locale) : [title(locale.t(one === null ? "gone" : "loading"))];
    renew(this.place, this.place.hidden ? [] : [close, ...body]);
  }

  focus() {
    byId("details-title").focus();
  }
}

function title(content) {
  return h("h2", { id: "details-title", tabindex: "-1" }, content);
}

function parts(one, state, locale) {
  const { locale: lang } = one;
  return [
    h("header", {}, badge("notification", one.status, locale), title(theirs(one.title, { lang }))),
    h("p", { ...MESSAGE, lang }, one.body),
    actions(one, locale),
    factList(facts(one, state, locale)),
    ...one.logs.map((log) => logPart(one, log, locale)),
  ];
}

function actions(one, locale) {
  const button = (key, text) => h("button", { type: "button", class: "button", "data-key": key }, locale.t(text));
  const again = retriable(one).length > 1 ? [button("retry", "retryAll")] : [];
  const cancel = cancellable(one).length > 0 ? [button("cancel", "cancel")] : [];
  return h("div", { class: "actions" }, ...again, ...cancel);
}

function facts(one, state, locale) {
  const user = { href: hashOf({ ...state, user: one.user_id, cursor: null }), "aria-describedby": "details-user-note" };
  const note = h("span", { id: "details-user-note", class: "unseen" }, locale.t("allOfUser"));
  const [expiry, distance] = isPast(one.expires_at) ? ["expiredAt", "ago"] : ["expiresAt", "ahead"];
  return [
    [locale.t("user"), h("span", {}, h("a", user, theirs(one.user_id)), note)],
    [locale.t("tenant"), one.tenant === OPERATOR ? null : theirs(one.tenant)],
    [locale.t("createdAt"), when(one.created_at, locale.ago(one.created_at), locale)],
    [locale.t(expiry), one.expires_at && when(one.expires_at, locale[distance](one.expires_at), locale)],
    [locale.t("identity"), theirs(one.id, { class: "code", dir: "ltr" })],
  ];
}

function logPart(one, log, locale) {
  const name = channelName(log.channel, locale);
  const id = `log-${log.channel}`;
  const again = { type: "button", class: "button small", "data-key": `retry:${log.channel}` };
  const header = h("header", {}, h("h3", { id }, theirs(name)), badge("log", log.status, locale));
  if (retriable(one).includes(log)) {
    header.append(h("button", again, locale.t("retryOne", { channel: locale.apart(name) })));
  }
  return h(
    "section",
    { class: "log", "aria-labelledby": id },
    header,
    ...note(log, locale),
    ...(log.error_message ? [h("p", { class: "error", dir: "auto" }, log.error_message)] : []),
    factList(logFacts(log, one.addresses[log.channel], locale)),
    h("h4", { class: "unseen" }, locale.t("history")),
    timeline(log.history, locale),
  );
}

function note(log, locale) {
  const name = log.cancelling ? "cancelling" : NOTES.find((status) => status === log.status);
  return name ? [h("p", { class: "small muted" }, locale.t(`logNote_${name}`))] : [];
}

function logFacts(log, address, locale) {
  const since = (at) => at && when(at, locale.ago(at), locale);
  const until = (at) => at && when(at, isPast(at) ? locale.t("dueNow") : locale.ahead(at), locale);
  const due = log.status === "sending" ? "attemptEnds" : "nextAttempt";
  const sender = log.history.findLast(({ kind }) => kind === "attempt")?.sender ?? null;
  return [
    [locale.t("recipient"), address === undefined ? locale.t("noAddress") : theirs(address, { dir: "ltr" })],
    [locale.t("sender"), sender && theirs(sender)],
    [locale.t("attempts"), locale.integer(log.attempts)],
    [locale.t("lastAttempt"), since(log.last_attempt_at)],
    [locale.t(due), until(log.due_at)],
    [locale.t("endedAt"), since(log.finished_at)],
    [locale.t("reference"), log.reference && theirs(log.reference, { class: "code" })],
  ];
}

function when(at, distance, locale) {
  return h(
    "span",
    {},
    instant(at, locale.time(at), locale),
    " ",
    h("span", { class: "muted distance" }, `(${distance})`),
  );
}

function isPast(at) {
  return at !== null && Date.parse(at) <= Date.now();
}

/** The page of messages: how many there are, a list of notifications, and the one that is open. */

import { ApiError, getDocument } from "./api.js";
import { byId, h } from "./dom.js";
import { Counts, showCounts } from "./notificationscounts.js";
import { DetailsPanel, isOpen } from "./notificationsdetails.js";
import { getList, ListPanel, nothing } from "./notificationslist.js";
import { askRetryAll, retriableStatuses } from "./notificationsretryall.js";
import {
  countsAddress,
  goTo,
  hashOf,
  isFiltered,
  listAddress,
  oneAddress,
  STATUSES,
  unfiltered,
} from "./notificationsstate.js";
import { badge, channelName, instant, theirs } from "./notificationswords.js";

const EXAMPLE = "POST /api/notifications";
const WORDS = { older: "older", newest: "newest" };
/** Counting is to take at most this part of the time. */
const COUNTING = 0.05;

export class NotificationsView {
  title = "notificationsTitle";

  /** @param {import("./notificationspage.js").NotificationsPage} page */
  constructor(page) {
    this.page = page;
    this.counted = null;
    this.listPanel = new ListPanel();
    this.details = new DetailsPanel(
      (channel) => page.question.retry(page.shown.opened, channel, page.locale),
      () => page.question.cancel(page.shown.opened, page.locale),
    );
    byId("retry-all").addEventListener("click", () => this.retryAll());
    addEventListener("keydown", (event) => this.onKey(event));
  }

  async load(state, { keys }, signal) {
    const [list, opened] = await Promise.all([getList(listAddress(state, keys), signal), getOne(state.id, signal)]);
    return { ...list, opened };
  }

  /** The numbers come after the list, as they may take longer. */
  async loaded(state, { keys }, signal) {
    const url = countsAddress(state, keys);
    const begin = performance.now();
    if (this.counted?.url === url && begin < this.counted.next) return;
    if (this.counted?.url !== url) byId("counts").setAttribute("aria-busy", "true");
    let counts = null;
    try {
      counts = new Counts(await getDocument(url, signal));
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof ApiError)) throw error;
      if (error.slug === "not-built-yet") counts = new Counts({ counts: [], complete: true });
    }
    const end = performance.now();
    this.counted = { url, counts, next: end + (end - begin) / COUNTING };
    byId("counts").setAttribute("aria-busy", "false");
    this.showCounts(state, this.page.locale);
  }

  nothing(state) {
    return { items: [], next: null, opened: state.id === null ? undefined : null };
  }

  show({ items, next, opened }, state, locale) {
    const rows = items.map((one) => row(one, state, locale));
    this.listPanel.show(rows, none(state, locale), next, WORDS, state, locale);
    this.details.show(opened, state, locale);
    this.showCounts(state, locale);
  }

  showCounts(state, locale) {
    if (this.counted === null) return;
    const { counts } = this.counted;
    showCounts(counts, state, locale);
    byId("retry-all").hidden = counts === null || retriableStatuses(counts, state).length === 0;
    byId("retry-all").textContent = locale.t("retryShown");
    const statuses = state.status && STATUSES[state.status];
    const n = counts && locale.integer(counts.notifications(state.channel, statuses));
    byId("list-title").textContent = counts?.found.complete ? locale.t("listOf", { n }) : locale.t("list");
  }

  /** Ask with current numbers. */
  async retryAll() {
    const { page } = this;
    byId("retry-all").disabled = true;
    this.forgetCounts();
    await this.loaded(page.state, page.days, page.loading.signal);
    byId("retry-all").disabled = false;
    const counts = this.counted?.counts;
    if (counts && retriableStatuses(counts, page.state).length > 0) {
      askRetryAll(page.question, counts, page.state, page.locale);
    }
  }

  /** Something was done that changes the numbers. */
  forgetCounts() {
    if (this.counted) this.counted.next = 0;
  }

  chosen(before, state) {
    if (state.id !== before.id && state.id !== null) this.details.focus();
    if (state.id === null && before.id !== null) this.listPanel.focus(before.id);
  }

  underWay({ items, opened }) {
    return items.some(({ status }) => status === "pending") || !!opened?.logs.some(isOpen);
  }

  /** The announcement for screen readers. */
  words({ items, opened }, locale) {
    return opened
      ? locale.t("openedIs", { status: locale.t(`notification_${opened.status}`) })
      : locale.t("listed", { n: locale.integer(BigInt(items.length)) });
  }

  onKey(event) {
    const { state } = this.page;
    const elsewhere = document.querySelector("dialog[open]") || event.target.matches?.("input, select");
    if (event.key === "Escape" && state.id !== null && !elsewhere) goTo({ ...state, id: null });
  }
}

/** The notification; null when there is none of that id, undefined when none is asked for. */
async function getOne(id, signal) {
  if (id === null) return undefined;
  try {
    return await getDocument(oneAddress(id), signal);
  } catch (error) {
    if (error.slug === "unknown-notification") return null;
    throw error;
  }
}

function row(one, state, locale) {
  const open = one.id === state.id;
  const channels = one.channels.map((channel) => channelName(channel, locale)).join(locale.t("listComma"));
  const parts = [
    badge("notification", one.status, locale),
    theirs(one.title, { class: "row-title" }),
    h("span", { class: "row-user muted" }, `${locale.t("to_user")} `, theirs(one.user_id)),
    h("span", { class: "row-channels muted" }, theirs(channels)),
    h("span", { class: "row-time muted" }, instant(one.created_at, locale.ago(one.created_at), locale)),
  ];
  const link = { href: hashOf({ ...state, id: one.id }), "data-key": one.id, "aria-current": open ? "true" : null };
  return h("li", {}, h("a", link, ...parts));
}

function none(state, locale) {
  if (!isFiltered(state)) return nothing("noNotifications", h("pre", { dir: "ltr" }, h("code", {}, EXAMPLE)), locale);
  const name = isFiltered({ ...state, range: { kind: "all" } }) ? "noMatch" : "noneThen";
  return nothing(name, h("a", { class: "button", href: hashOf(unfiltered(state)) }, locale.t("showAll")), locale);
}

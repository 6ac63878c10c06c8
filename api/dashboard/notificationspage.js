/** The page of notifications as a whole: what is chosen, what is loaded for it, and what is shown of that. */

import { ApiError, get, getDocument, key, nextPage } from "./api.js";
import { announce, byId } from "./dom.js";
import { parseExact } from "./exact.js";
import { KeyDialog } from "./keydialog.js";
import { Locale, translate } from "./locale.js";
import { KINDS, hideNotice, showNotice } from "./notices.js";
import { DetailsPanel, isOpen } from "./notificationsdetails.js";
import { Filter } from "./notificationsfilter.js";
import { ListPanel } from "./notificationslist.js";
import { Question } from "./notificationsquestion.js";
import { goTo, listAddress, oneAddress, readState } from "./notificationsstate.js";
import { language } from "./preferences.js";
import { Tools } from "./tools.js";

/** How soon to look again: while a message is under way, and otherwise. */
const UNDER_WAY_MS = 3_000;
const QUIET_MS = 20_000;
const UNKNOWN = { currency: "IRR", time_zone: "UTC" };

const keyKind = { name: "notificationsKey", button: "keyEnter", again: false };
const NOTICES = {
  ...KINDS,
  "no-key": keyKind,
  "bad-key": keyKind,
  "bad-parameter": { name: "filter", button: "startOver", again: false },
  "store-unavailable": { name: "notificationsStore", button: "retry", again: true },
};

export class NotificationsPage {
  constructor() {
    this.state = readState();
    this.me = null;
    this.list = null;
    this.opened = undefined;
    this.loading = new AbortController();
    this.tools = new Tools(() => this.changeLanguage());
    this.filter = new Filter((filter) => goTo({ ...this.state, ...filter, cursor: null }));
    this.listPanel = new ListPanel();
    this.details = new DetailsPanel(
      (channel) => this.question.retry(this.opened, channel, this.locale),
      () => this.question.cancel(this.opened, this.locale),
    );
    this.question = new Question(
      (said) => this.acted(said),
      (error) => this.fail(error),
    );
    this.keyDialog = new KeyDialog(() => this.load());
  }

  start() {
    byId("retry").addEventListener("click", () =>
      this.startsOver ? goTo({ status: null, user: null, cursor: null, id: null }) : this.load(),
    );
    addEventListener("hashchange", () => this.choose(readState()));
    addEventListener("online", () => this.load());
    addEventListener("keydown", (event) => this.onKey(event));
    document.addEventListener("visibilitychange", () => document.hidden || this.keyDialog.isOpen || this.load());
    this.speak();
    this.load();
  }

  /** Show `state`, which somebody chose. */
  async choose(state) {
    const before = this.state;
    this.state = state;
    if (state.id !== before.id) this.opened = undefined;
    this.render();
    byId("list-panel").setAttribute("aria-busy", "true");
    if (state.id !== before.id && state.id !== null) this.details.focus();
    if (state.id === null && before.id !== null) this.listPanel.focus(before.id);
    if (state.cursor !== before.cursor) byId("list-title").focus();
    await this.load();
  }

  /** Use the language of the page, also for what is shown already. */
  speak() {
    const { currency, time_zone: timeZone } = this.me ?? UNKNOWN;
    this.locale = new Locale(language(), currency, timeZone);
    translate(this.locale);
    this.tools.show(this.locale, this.me);
    if (this.me) this.locale.useCalendar(this.me.calendar);
    this.render();
  }

  changeLanguage() {
    this.speak();
    this.load();
  }

  /** Load what the state needs, and show it or what went wrong. The latest load alone does. */
  async load() {
    clearTimeout(this.again);
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    try {
      if (this.me === null) {
        const me = await getDocument("/api/me", signal);
        if (signal.aborted) return;
        this.me = me;
        this.speak();
      }
      if (!this.me.scopes.includes("notifications")) {
        this.showNoScope();
        return;
      }
      const [list, opened] = await Promise.all([getList(this.state, signal), getOne(this.state.id, signal)]);
      if (!signal.aborted) this.show(list, opened);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  show(list, opened) {
    Object.assign(this, { list, opened });
    hideNotice();
    document.body.dataset.view = "list";
    byId("list-panel").setAttribute("aria-busy", "false");
    this.render();
    this.tell();
    const underWay = this.underWay();
    byId("follows").textContent = this.locale.t(underWay ? "followsUnderWay" : "follows");
    this.lookAgain(underWay ? UNDER_WAY_MS : QUIET_MS);
  }

  underWay() {
    return this.list.notifications.some(({ status }) => status === "pending") || !!this.opened?.logs.some(isOpen);
  }

  /** What is hidden from view needs no news: it is loaded when it is seen again. */
  lookAgain(afterMs) {
    this.again = setTimeout(() => document.hidden || this.load(), afterMs);
  }

  render() {
    const { list, locale, opened, state } = this;
    this.filter.show(state);
    document.body.classList.toggle("opened", state.id !== null);
    if (list === null) return;
    this.listPanel.show(list.notifications, list.next, state, locale);
    this.details.show(opened, state, locale);
    byId("follows").textContent = locale.t(this.underWay() ? "followsUnderWay" : "follows");
  }

  /** Say to screen readers what there is, once. */
  tell() {
    const { list, locale, opened } = this;
    const count = locale.t("listed", { n: locale.integer(BigInt(list.notifications.length)) });
    const said = opened ? locale.t("openedIs", { status: locale.t(`notification_${opened.status}`) }) : count;
    if (said !== this.told) announce(said);
    this.told = said;
  }

  showNoScope() {
    this.list = null;
    hideNotice();
    document.body.dataset.view = "empty";
  }

  /** Say what went wrong. What is shown stays: it was right when it came. */
  fail(error) {
    if (!(error instanceof ApiError)) throw error;
    byId("list-panel").setAttribute("aria-busy", "false");
    if (error.slug === "out-of-scope") {
      this.showNoScope();
      return;
    }
    if (error.slug === "not-built-yet" && this.list === null) {
      this.show({ notifications: [], next: null }, this.state.id === null ? undefined : null);
      return;
    }
    const { afterS, startOver } = showNotice(error, this.locale, NOTICES);
    this.startsOver = startOver;
    if (afterS === null) this.list = null;
    document.body.dataset.view = this.list === null ? "failed" : "list";
    if (error.status === 401) {
      const refused = key.get() !== null;
      key.forget();
      this.me = null;
      this.opened = undefined;
      this.tools.show(this.locale, null);
      this.keyDialog.ask(this.locale, refused);
    }
    if (afterS !== null) this.lookAgain(afterS * 1000);
  }

  /** Something was done to the notification that is open, or was found to have happened. */
  acted(said) {
    if (said) announce((this.told = said));
    this.load();
  }

  onKey(event) {
    const elsewhere = document.querySelector("dialog[open]") || event.target.matches?.("input");
    if (event.key === "Escape" && this.state.id !== null && !elsewhere) goTo({ ...this.state, id: null });
  }
}

async function getList(state, signal) {
  const response = await get(listAddress(state), signal);
  const { notifications } = parseExact(await response.text());
  return { notifications, next: nextPage(response) };
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

/** A page about notifications as a whole: what is chosen, what is loaded for it, and what is shown of that. */

import { ApiError, getDocument, key } from "./api.js";
import { announce, byId } from "./dom.js";
import { KeyDialog } from "./keydialog.js";
import { Locale, translate } from "./locale.js";
import { hideNotice, KINDS, showNotice } from "./notices.js";
import { Filter } from "./notificationsfilter.js";
import { FormDialog } from "./notificationsform.js";
import { Question } from "./notificationsquestion.js";
import { goTo, readState, unfiltered } from "./notificationsstate.js";
import { language } from "./preferences.js";
import { recentDays } from "./recentdays.js";
import { Tools } from "./tools.js";

/** How soon to look again: while a message is under way, and otherwise. */
const UNDER_WAY_MS = 3_000;
const QUIET_MS = 20_000;
const UNKNOWN = { currency: "IRR", scale: 0, time_zone: "UTC" };

const keyKind = { name: "notificationsKey", button: "keyEnter", again: false };
const NOTICES = {
  ...KINDS,
  "no-key": keyKind,
  "bad-key": keyKind,
  "bad-parameter": { name: "filter", button: "startOver", again: false },
  "out-of-scope": { name: "tenant", button: "startOver", again: false },
  "store-unavailable": { name: "notificationsStore", button: "retry", again: true },
};

export class NotificationsPage {
  /** @param {new (page: NotificationsPage) => object} View what the page is about */
  constructor(View) {
    this.state = readState();
    this.me = null;
    this.days = null;
    this.data = null;
    this.loading = new AbortController();
    this.tools = new Tools(() => this.changeLanguage());
    this.filter = new Filter((filter) => goTo({ ...this.state, ...filter, cursor: null }));
    this.question = new Question(
      (said) => this.acted(said),
      (error) => this.fail(error),
    );
    this.form = new FormDialog(
      (said, notes) => this.acted(said, notes),
      (error) => this.fail(error),
    );
    this.keyDialog = new KeyDialog(() => this.load());
    this.view = new View(this);
  }

  start() {
    byId("retry").addEventListener("click", () =>
      this.startsOver ? goTo({ ...unfiltered(this.state), id: null }) : this.load(),
    );
    byId("said-close").addEventListener("click", () => {
      byId("said").hidden = true;
      byId("list-title").focus();
    });
    addEventListener("hashchange", () => this.choose(readState()));
    addEventListener("online", () => this.load());
    document.addEventListener("visibilitychange", () => document.hidden || this.busy() || this.load());
    document.querySelector(`.subpages a[href="${location.pathname}"]`)?.setAttribute("aria-current", "page");
    this.speak();
    this.load();
  }

  busy() {
    return document.querySelector("dialog[open]") !== null;
  }

  /** Show `state`, which somebody chose. */
  async choose(state) {
    const before = this.state;
    this.state = state;
    this.filter.forgetRange();
    if (this.data && state.id !== before.id) this.data.opened = undefined;
    this.render();
    this.mark("loading");
    this.view.chosen(before, state);
    if (state.cursor !== before.cursor) byId("list-title").focus();
    await this.load();
  }

  /** Use the language of the page, also for what is shown already. */
  speak() {
    const { currency, scale, time_zone: timeZone } = this.me ?? UNKNOWN;
    this.locale = new Locale(language(), currency, timeZone, Number(scale));
    translate(this.locale);
    for (const element of [document.querySelector("title"), document.querySelector("h1")]) {
      element.textContent = this.locale.t(this.view.title);
    }
    this.tools.show(this.locale, this.me);
    if (this.me) {
      this.locale.useCalendar(this.me.calendar);
      this.days = recentDays(this.me.calendar, timeZone);
    }
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
      const data = await this.view.load(this.state, this.days, signal);
      if (!signal.aborted) await this.show(data, signal);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  async show(data, signal) {
    this.data = data;
    hideNotice();
    document.body.dataset.view = "list";
    this.mark("current");
    this.render();
    this.tell();
    await this.view.loaded?.(this.state, this.days, signal);
    if (!signal.aborted) this.lookAgain(this.view.underWay(data) ? UNDER_WAY_MS : QUIET_MS);
  }

  /**
   * Show whether the list is what is chosen; while it is not, it and the controls are dimmed.
   * @param {"loading" | "current" | "failed"} progress of loading what is chosen
   */
  mark(progress) {
    document.body.dataset.progress = progress;
    byId("list-panel").setAttribute("aria-busy", String(progress === "loading"));
    const words = { loading: "loading", failed: this.data === null ? null : "listStillShown" }[progress];
    byId("progress").textContent = words ? this.locale.t(words) : "";
  }

  /** What is hidden from view needs no news: it is loaded when it is seen again. */
  lookAgain(afterMs) {
    this.again = setTimeout(() => document.hidden || this.load(), afterMs);
  }

  render() {
    const { data, locale, me, state } = this;
    this.filter.show(state, me, this.days, locale);
    document.body.classList.toggle("opened", state.id !== null);
    if (data === null) return;
    this.view.show(data, state, locale, me);
    byId("follows").textContent = locale.t(this.view.underWay(data) ? "followsUnderWay" : "follows");
  }

  /** Say to screen readers what there is, once. */
  tell() {
    const said = this.view.words(this.data, this.locale);
    if (said !== this.told) announce(said);
    this.told = said;
  }

  showNoScope() {
    this.data = null;
    hideNotice();
    this.mark("current");
    document.body.dataset.view = "empty";
  }

  /** Say what went wrong. What is shown stays: it was right when it came. */
  fail(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.slug === "out-of-scope" && this.state.tenant === null) {
      this.showNoScope();
      return;
    }
    if (error.slug === "not-built-yet" && this.data === null) {
      this.show(this.view.nothing(this.state), this.loading.signal);
      return;
    }
    const { afterS, startOver } = showNotice(error, this.locale, NOTICES);
    this.startsOver = startOver;
    if (afterS === null) this.data = null;
    document.body.dataset.view = this.data === null ? "failed" : "list";
    this.mark("failed");
    if (error.status === 401) {
      const refused = key.get() !== null;
      key.forget();
      this.me = null;
      this.data = null;
      this.tools.show(this.locale, null);
      this.keyDialog.ask(this.locale, refused);
    }
    if (afterS !== null) this.lookAgain(afterS * 1000);
  }

  /**
   * Something was done, or was found to have happened.
   * @param {string[]} notes what somebody should know about it
   */
  acted(said, notes = []) {
    if (said) {
      this.told = said;
      announce(said);
    }
    byId("said").hidden = !said;
    byId("said-text").replaceChildren(...[said, ...notes].map(paragraph));
    this.view.forgetCounts?.();
    this.load();
  }
}

function paragraph(text) {
  const made = document.createElement("p");
  made.textContent = text;
  return made;
}

/**
 * The pages of notifications, subscriptions and contacts as a whole: what is chosen, what is loaded for it, and what is
 * shown of that.
 */

import { getDocument } from "./api.js";
import { BasePage } from "./basepage.js";
import { ContactsView } from "./contactsview.js";
import { announce, byId, h } from "./dom.js";
import { KINDS } from "./notices.js";
import { Filter } from "./notificationsfilter.js";
import { FormDialog } from "./notificationsform.js";
import { Question } from "./notificationsquestion.js";
import { goTo, readState, unfiltered } from "./notificationsstate.js";
import { NotificationsView } from "./notificationsview.js";
import { recentDays } from "./periods.js";
import { SubscriptionsView } from "./subscriptionsview.js";

const VIEWS = { notifications: NotificationsView, subscriptions: SubscriptionsView, contacts: ContactsView };

/** Update intervals: while a message is being sent, and otherwise. */
const UNDER_WAY_MS = 3_000;
const QUIET_MS = 20_000;

const keyKind = { name: "notificationsKey", button: "keyEnter", again: false };
const NOTICES = {
  ...KINDS,
  "no-key": keyKind,
  "bad-key": keyKind,
  "bad-parameter": { name: "filter", button: "startOver", again: false },
  "out-of-scope": { name: "tenant", button: "startOver", again: false },
  "store-unavailable": { name: "notificationsStore", button: "retry", again: true },
};

class NotificationsPage extends BasePage {
  constructor() {
    super("list-panel", "list");
    this.state = readState();
    this.days = null;
    this.filter = new Filter((filter) => goTo({ ...this.state, ...filter, cursor: null }));
    const onDone = (said, notes) => this.acted(said, notes);
    const onKey = (error) => this.fail(error);
    this.question = new Question(onDone, onKey);
    this.form = new FormDialog(onDone, onKey);
    this.content = new VIEWS[document.body.dataset.page](this);
  }

  start() {
    byId("said-close").addEventListener("click", () => {
      byId("said").hidden = true;
      byId("list-title").focus();
    });
    addEventListener("hashchange", () => this.choose(readState()));
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && document.querySelector("dialog[open]") === null) this.load();
    });
    document.querySelector(`.subpages a[href="${location.pathname}"]`)?.setAttribute("aria-current", "page");
    super.start();
  }

  startOver() {
    goTo({ ...unfiltered(this.state), id: null });
  }

  /** Show the selected `state`. */
  async choose(state) {
    const before = this.state;
    this.state = state;
    this.filter.forgetRange();
    if (this.shown && state.id !== before.id) this.shown.opened = undefined;
    this.render();
    this.mark("loading");
    this.content.chosen(before, state);
    if (state.cursor !== before.cursor) byId("list-title").focus();
    await this.load();
  }

  speak() {
    super.speak();
    for (const element of [document.querySelector("title"), document.querySelector("h1")]) {
      element.textContent = this.locale.t(this.content.title);
    }
    if (this.me) this.days = recentDays(this.me.calendar, this.me.time_zone);
    this.render();
  }

  async loadChosen(signal) {
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
    const data = await this.content.load(this.state, this.days, signal);
    if (!signal.aborted) await this.show(data, signal);
  }

  async show(data, signal) {
    this.shown = data;
    byId("notice").hidden = true;
    this.view("list");
    this.mark("current");
    this.render();
    this.tell();
    await this.content.loaded?.(this.state, this.days, signal);
    if (!signal.aborted) this.loadAfter(this.content.underWay(data) ? UNDER_WAY_MS : QUIET_MS);
  }

  stillShown() {
    return this.locale.t("listStillShown");
  }

  /** A hidden page is not updated: it is loaded when it becomes visible. */
  loadAfter(afterMs) {
    this.again = setTimeout(() => document.hidden || this.load(), afterMs);
  }

  render() {
    const { shown: data, locale, me, state } = this;
    this.filter.show(state, me, this.days, locale);
    document.body.classList.toggle("opened", state.id !== null);
    if (data === null) return;
    this.content.show(data, state, locale, me);
    byId("follows").textContent = locale.t(this.content.underWay(data) ? "followsUnderWay" : "follows");
  }

  /** Say to screen readers what there is, once. */
  tell() {
    const said = this.content.words(this.shown, this.locale);
    if (said !== this.told) announce(said);
    this.told = said;
  }

  showNoScope() {
    this.shown = null;
    byId("notice").hidden = true;
    this.mark("current");
    this.view("empty");
  }

  fail(error) {
    if (error.slug === "out-of-scope" && this.state.tenant === null) {
      this.showNoScope();
    } else if (error.slug === "not-built-yet" && this.shown === null) {
      this.show(this.content.nothing(this.state), this.loading.signal);
    } else {
      super.fail(error, NOTICES);
    }
  }

  /**
   * Something was done, or was found to have happened.
   * @param {string[]} notes warnings about it
   */
  acted(said, notes = []) {
    if (said) {
      this.told = said;
      announce(said);
    }
    byId("said").hidden = !said;
    byId("said-text").replaceChildren(...[said, ...notes].map((text) => h("p", {}, text)));
    this.content.forgetCounts?.();
    this.load();
  }
}

new NotificationsPage().start();

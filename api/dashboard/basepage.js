/** What the page of summaries and the pages about notifications have in common: a caller, loads one at a time, failures. */

import { ApiError, key } from "./api.js";
import { byId } from "./dom.js";
import { KeyDialog } from "./keydialog.js";
import { Locale, translate } from "./locale.js";
import { showNotice } from "./notices.js";
import { language } from "./preferences.js";
import { Tools } from "./tools.js";

/**
 * A subclass has `loadChosen(signal)`, which loads what is chosen and shows it, `stillShown()`, the words for what a
 * failure leaves, and `startOver()`.
 */
export class BasePage {
  /**
   * @param {string} panel the id of the element with what is shown
   * @param {"figures" | "list"} view what base.css calls the page with it
   */
  constructor(panel, view) {
    this.panel = byId(panel);
    this.shownView = view;
    this.me = null;
    /** What is shown; null while that is nothing. */
    this.shown = null;
    this.loading = new AbortController();
    this.tools = new Tools(() => this.changeLanguage());
    this.keyDialog = new KeyDialog(() => this.load());
  }

  start() {
    byId("retry").addEventListener("click", () => (this.startsOver ? this.startOver() : this.load()));
    addEventListener("online", () => this.load());
    this.speak();
    this.load();
  }

  /** Use the language of the page and the meaning of figures, as far as they are known. */
  speak() {
    this.locale = new Locale(language(), this.me ?? undefined);
    translate(this.locale);
    this.tools.show(this.locale, this.me);
  }

  changeLanguage() {
    this.speak();
    this.load();
  }

  /** Load the selection, and show it or the error. Only the latest load does. */
  async load() {
    clearTimeout(this.again);
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    try {
      await this.loadChosen(signal);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  loadAfter(afterMs) {
    this.again = setTimeout(() => this.load(), afterMs);
  }

  /** @param {string} name what the page consists of; base.css hides the rest */
  view(name) {
    document.body.dataset.view = name;
  }

  /**
   * Show whether the page shows what is chosen; while it does not, that and the controls are dimmed.
   * @param {"loading" | "current" | "failed"} progress of loading what is chosen
   */
  mark(progress) {
    document.body.dataset.progress = progress;
    this.panel.setAttribute("aria-busy", String(progress === "loading"));
    const left = progress === "failed" && this.shown !== null ? this.stillShown() : "";
    byId("progress").textContent = progress === "loading" ? this.locale.t("loading") : left;
  }

  /** Say what went wrong. What is shown stays if the page tries again: it was right when it came. */
  fail(error, kinds) {
    if (!(error instanceof ApiError)) throw error;
    const { afterS, startOver } = showNotice(error, this.locale, kinds);
    this.startsOver = startOver;
    if (afterS === null) this.shown = null;
    this.view(this.shown === null ? "failed" : this.shownView);
    this.mark("failed");
    if (error.status === 401) {
      const refused = key.get() !== null;
      key.forget();
      this.me = null;
      this.tools.show(this.locale, null);
      this.keyDialog.ask(this.locale, refused);
    }
    if (afterS !== null) this.loadAfter(afterS * 1000);
  }
}

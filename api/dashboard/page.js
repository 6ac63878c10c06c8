/** The page as a whole: what is chosen, what is loaded for it, and what is shown of that. */

import { ApiError, getDocument, key } from "./api.js";
import { showCards } from "./cards.js";
import { Choices } from "./choices.js";
import { csvAddress, download, Series } from "./data.js";
import { announce, byId } from "./dom.js";
import { KeyDialog } from "./keydialog.js";
import { Locale, translate } from "./locale.js";
import { called, remember } from "./merchantnames.js";
import { showMerchants } from "./merchantspanel.js";
import { hideEmpty, hideNotice, RETRY_S, showEmpty, showNotice } from "./notices.js";
import { DaysPanel, SeriesPanel } from "./panels.js";
import { Days, positions } from "./periods.js";
import { language } from "./preferences.js";
import { makeReport, span } from "./report.js";
import { readState, writeState } from "./state.js";
import { showStatus } from "./statuspanel.js";
import { Tools } from "./tools.js";

const LOOK_MS = 15_000;
const UNKNOWN = { currency: "IRR", scale: 0, time_zone: "UTC" };

export class Page {
  constructor() {
    this.state = readState();
    this.me = null;
    this.report = null;
    this.series = new Series();
    this.loading = new AbortController();
    this.choices = new Choices((state) => this.choose(state));
    this.seriesPanel = new SeriesPanel((compare) => this.choose({ ...this.state, compare }));
    this.daysPanel = new DaysPanel();
    this.tools = new Tools(() => this.changeLanguage());
    this.keyDialog = new KeyDialog(() => this.load());
  }

  start() {
    byId("retry").addEventListener("click", () =>
      this.startsOver ? this.choose({ ...this.state, merchant: null }) : this.load(),
    );
    byId("export").addEventListener("click", () => this.exportCsv());
    addEventListener("popstate", () => this.choose(readState()));
    addEventListener("online", () => this.load());
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    setInterval(() => document.hidden || this.look(), LOOK_MS);
    this.speak();
    this.load();
  }

  /** Show `state`, which somebody chose. */
  choose(state) {
    this.state = state;
    writeState(state, "push");
    this.choices.translate(state, this.locale);
    this.load();
  }

  /** Use the language of the page and the meaning of figures, as far as they are known. */
  speak() {
    const { currency, scale, time_zone: timeZone } = this.me ?? UNKNOWN;
    this.locale = new Locale(language(), currency, timeZone, Number(scale));
    translate(this.locale);
    this.tools.show(this.locale, this.me);
    if (this.me) this.locale.useCalendar(this.me.calendar);
    this.choices.translate(this.state, this.locale);
  }

  /** Load what the state needs, and show it or what went wrong. The latest load alone does. */
  async load() {
    clearTimeout(this.again);
    this.loading.abort();
    this.loading = new AbortController();
    const { signal } = this.loading;
    this.mark("loading");
    try {
      const meet = (me, merchant) => this.meet(me, merchant);
      const { merchant, named, data } = await this.series.load(this.state, language(), signal, meet);
      if (signal.aborted) return;
      remember(named, this.locale);
      await this.show(merchant, data, signal);
    } catch (error) {
      if (!signal.aborted) this.fail(error);
    }
  }

  /** Offer what the caller may choose, also where the figures of what was asked for do not come. */
  meet(me, merchant) {
    this.me = me;
    this.speak();
    this.choices.meet(me, merchant);
  }

  async show(merchant, data, signal) {
    const { me } = this;
    hideNotice();
    if (data === null || data.days.length === 0) {
      this.showNothing(merchant === undefined ? "noAccess" : me.published === null ? "empty" : "noTransactions");
      return;
    }
    const days = new Days(
      data.days.map(({ key: one }) => one),
      me.published.first_day_date,
      me.calendar,
    );
    const keys = data[this.state.type].map(({ key: one }) => one);
    this.state = inKeys(this.state, days, keys);
    if (positions(this.state.range, keys) === null) this.state = { ...this.state, range: { kind: "all" } };
    writeState(this.state, "replace");
    this.report = makeReport(data, this.state, days, (label) => this.locale.t("incomplete", { label }));
    this.exported = { state: this.state, merchant };
    this.choices.show(this.state, { keys, days, report: this.report });
    hideEmpty();
    this.view("figures");
    this.lastDay = data.days.at(-1).label;
    this.showPublished();
    await this.showFigures(days, keys, merchant, signal);
  }

  /** Show these days alone, with their merchants; the way back leads to what was shown. */
  chooseDays(from, to) {
    this.choose({ ...this.state, mode: "daily", range: { kind: "custom", from, to } });
  }

  async showFigures(days, keys, merchant, signal) {
    const { report, state, locale, me } = this;
    showCards(report, state, locale);
    this.daysPanel.show(report, state, days, locale, (day) => this.chooseDays(day, day));
    byId("panel-merchants").hidden = !me.scopes.includes("summaries") && me.merchants.length < 2;
    byId("panel-status").hidden = !me.scopes.includes("operate");
    this.mark("current");
    this.seriesPanel.show(report, state, locale, (key) => {
      const at = keys.indexOf(key);
      const { first, last } = days.covered(state.mode, keys, { first: at, last: at });
      this.chooseDays(days.keys[first], days.keys[last]);
    });
    await Promise.all([
      showMerchants(report, me.published.version, state, merchant, locale, signal, (one) =>
        this.choose({ ...this.state, merchant: one }),
      ),
      showStatus(me, locale, signal),
    ]);
    if (signal.aborted) return;
    this.choices.refresh(); // another merchant of the list may have the same name
    announce(
      locale.t("shown", {
        figure: locale.t(state.type),
        merchant: this.called(merchant),
        range: span(report.points, locale, "fromTo"),
        total: locale.figure(report.total, state.type),
      }),
    );
  }

  called(merchant) {
    return merchant ? called(merchant, this.locale) : this.locale.t("allMerchants");
  }

  showNothing(why) {
    this.report = null;
    byId("published").textContent = "";
    this.choices.show(this.state, null);
    this.mark("current");
    showEmpty(why, this.me?.scopes.includes("operate") ?? true, this.locale);
    this.view("empty");
  }

  showPublished() {
    if (this.report === null) return;
    const values = { day: this.lastDay, ago: this.locale.ago(this.me.published.published_at) };
    byId("published").textContent = this.locale.t("publishedLine", values);
  }

  /**
   * Show whether the figures are those of what is chosen; while they are not, they and the controls are dimmed.
   * @param {"loading" | "current" | "failed"} progress of loading what is chosen
   */
  mark(progress) {
    document.body.dataset.progress = progress;
    byId("panels").setAttribute("aria-busy", String(progress === "loading"));
    byId("export").disabled = progress !== "current" || this.report === null;
    const words = { loading: () => this.locale.t("loading"), current: () => "", failed: () => this.stillShown() };
    byId("progress").textContent = words[progress]();
  }

  stillShown() {
    if (this.report === null) return "";
    const { points } = this.report;
    const { state, merchant } = this.exported;
    const values = { figure: this.locale.t(state.type), merchant: this.called(merchant) };
    return this.locale.t("stillShown", { ...values, range: span(points, this.locale) });
  }

  /** @param {"loading" | "figures" | "empty" | "failed"} name what the page consists of; base.css hides the rest */
  view(name) {
    document.body.dataset.view = name;
  }

  /** Say what went wrong. Figures that are shown stay: they were right when they came. */
  fail(error) {
    if (!(error instanceof ApiError)) throw error;
    if (error.slug === "not-built-yet" && this.report === null) {
      hideNotice();
      this.showNothing("empty");
      this.again = setTimeout(() => this.load(), RETRY_S * 1000);
      return;
    }
    hideEmpty();
    const { afterS, startOver } = showNotice(error, this.locale);
    this.startsOver = startOver;
    if (afterS === null) this.report = null;
    this.view(this.report === null ? "failed" : "figures");
    this.mark("failed");
    if (error.status === 401) {
      const refused = key.get() !== null;
      key.forget();
      this.me = null;
      this.series.forget();
      this.tools.show(this.locale, null);
      this.keyDialog.ask(this.locale, refused);
    }
    if (afterS !== null) this.again = setTimeout(() => this.load(), afterS * 1000);
  }

  /** See whether something else is published than what is shown. */
  async look() {
    if (!this.me || !byId("notice").hidden) return;
    try {
      const { published } = await getDocument("/api/me");
      if ((published?.version ?? null) === (this.me.published?.version ?? null)) {
        this.showPublished();
        return;
      }
      await this.load();
      announce(this.locale.t("newFigures"));
    } catch (error) {
      this.fail(error);
    }
  }

  changeLanguage() {
    this.speak();
    this.load();
  }

  async exportCsv() {
    if (!this.report) return;
    const { state, merchant } = this.exported; // what is shown, which may no longer be what is chosen
    try {
      await download(
        csvAddress(state, merchant, this.report.points, language()),
        fileName(state, merchant, this.report.points),
      );
      announce(this.locale.t("exported"));
    } catch (error) {
      this.fail(error);
    }
  }
}

/** Which merchant, figure and range a file is of; without what names of files may not hold. */
function fileName({ mode, type }, merchant, points) {
  const parts = [merchant ?? "all-merchants", mode, type, points[0].key, "to", points.at(-1).key];
  return `${parts.join("_").replace(/[\s\p{C}\\/:*?"<>|]+/gu, "-")}.csv`;
}

/** The state with a range of days turned into keys of its mode. */
function inKeys(state, days, keys) {
  if (state.range.kind !== "days") return state;
  const first = days.keys.indexOf(state.range.from);
  const last = days.keys.indexOf(state.range.to);
  const known = first !== -1 && last !== -1;
  return {
    ...state,
    range: known ? { kind: "custom", ...days.touched(state.mode, keys, { first, last }) } : { kind: "all" },
  };
}

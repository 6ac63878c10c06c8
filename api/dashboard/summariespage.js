/** The page of summaries as a whole: what is chosen, what is loaded for it, and what is shown of that. */

import { getDocument } from "./api.js";
import { BasePage } from "./basepage.js";
import { showCards } from "./cards.js";
import { Choices } from "./choices.js";
import { csvAddress, download, Series } from "./data.js";
import { announce, byId } from "./dom.js";
import { called, remember } from "./merchantnames.js";
import { showMerchants } from "./merchantspanel.js";
import { RETRY_S, showEmpty } from "./notices.js";
import { DaysPanel, SeriesPanel } from "./panels.js";
import { Days, positions } from "./periods.js";
import { language } from "./preferences.js";
import { makeReport, span } from "./report.js";
import { readState, writeState } from "./state.js";
import { showStatus } from "./statuspanel.js";

const LOOK_MS = 15_000;

class SummariesPage extends BasePage {
  constructor() {
    super("panels", "figures");
    this.state = readState();
    this.series = new Series();
    this.choices = new Choices((state) => this.choose(state));
    this.seriesPanel = new SeriesPanel((compare) => this.choose({ ...this.state, compare }));
    this.daysPanel = new DaysPanel();
  }

  start() {
    byId("export").addEventListener("click", () => this.exportCsv());
    addEventListener("popstate", () => this.choose(readState()));
    document.addEventListener("visibilitychange", () => document.hidden || this.look());
    setInterval(() => document.hidden || this.look(), LOOK_MS);
    super.start();
  }

  startOver() {
    this.choose({ ...this.state, merchant: null });
  }

  /** Show the selected `state`. */
  choose(state) {
    this.state = state;
    writeState(state, "push");
    this.choices.translate(state, this.locale);
    this.load();
  }

  speak() {
    super.speak();
    this.choices.translate(this.state, this.locale);
  }

  async loadChosen(signal) {
    this.mark("loading");
    const meet = (me, merchant) => this.meet(me, merchant);
    const { merchant, named, data } = await this.series.load(this.state, language(), signal, meet);
    if (signal.aborted) return;
    remember(named, this.locale);
    await this.show(merchant, data, signal);
  }

  /** Offer what the caller may select, even if its figures cannot be loaded. */
  meet(me, merchant) {
    this.me = me;
    this.speak();
    this.choices.meet(me, merchant);
  }

  async show(merchant, data, signal) {
    const { me } = this;
    byId("notice").hidden = true;
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
    this.shown = makeReport(data, this.state, days, (label) => this.locale.t("incomplete", { label }));
    this.exported = { state: this.state, merchant };
    this.choices.show(this.state, { keys, days, report: this.shown });
    byId("empty").hidden = true;
    this.view("figures");
    this.lastDay = data.days.at(-1).label;
    this.showPublished();
    await this.showFigures(days, keys, merchant, signal);
  }

  /** Show only these days, with their merchants, as a new entry of the history. */
  chooseDays(from, to) {
    this.choose({ ...this.state, mode: "daily", range: { kind: "custom", from, to } });
  }

  async showFigures(days, keys, merchant, signal) {
    const { shown: report, state, locale, me } = this;
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
    this.shown = null;
    byId("published").textContent = "";
    this.choices.show(this.state, null);
    this.mark("current");
    showEmpty(why, this.me?.scopes.includes("operate") ?? true, this.locale);
    this.view("empty");
  }

  showPublished() {
    if (this.shown === null) return;
    const values = { day: this.lastDay, ago: this.locale.ago(this.me.published.published_at) };
    byId("published").textContent = this.locale.t("publishedLine", values);
  }

  mark(progress) {
    super.mark(progress);
    byId("export").disabled = progress !== "current" || this.shown === null;
  }

  stillShown() {
    const { points } = this.shown;
    const { state, merchant } = this.exported;
    const values = { figure: this.locale.t(state.type), merchant: this.called(merchant) };
    return this.locale.t("stillShown", { ...values, range: span(points, this.locale) });
  }

  fail(error) {
    if (error.slug === "not-built-yet" && this.shown === null) {
      byId("notice").hidden = true;
      this.showNothing("empty");
      this.loadAfter(RETRY_S * 1000);
      return;
    }
    byId("empty").hidden = true;
    super.fail(error);
    if (error.status === 401) this.series.forget();
  }

  /** Check for a new publication. */
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

  async exportCsv() {
    if (!this.shown) return;
    const { state, merchant } = this.exported; // what is shown, which may no longer be what is chosen
    try {
      await download(
        csvAddress(state, merchant, this.shown.points, language()),
        fileName(state, merchant, this.shown.points),
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

new SummariesPage().start();

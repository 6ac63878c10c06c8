/** The chart of a series before the periods that precede it: Vega-Lite, evaluating no code (the policy forbids it). */

import { byId, h } from "./dom.js";
import { Reader } from "./reader.js";
import { shortLabels, yearsOf } from "./report.js";

const BAR_ROOM = 11; // a period, below which bars would be hairs; all lengths in px
const WIDEST_STEP = 96;
const AXIS_WIDTH = 60; // about
const INCOMPLETE_OPACITY = 0.45;
const LABEL_WIDTH = { daily: 72, weekly: 84, monthly: 72 };
const LABEL_WIDTH_WITH_YEAR = 124;

export class SeriesChart {
  constructor() {
    this.element = byId("series-chart");
    this.drawing = h("div", { class: "drawing", "aria-hidden": "true" });
    this.rule = h("div", { class: "rule", hidden: true });
    this.element.append(this.drawing, this.rule);
    this.reader = new Reader(this.element, (event) => this.find(event));
    this.latest = 0;
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  /** Draw these figures; when others overtake them meanwhile, only those. */
  async show(report, state, locale, choose) {
    const turn = ++this.latest;
    this.embed = await chartLibrary();
    if (turn !== this.latest || !(await this.draw({ report, state, locale }))) return;
    this.reader.show({
      summary: this.summary(),
      length: report.points.length,
      steps: { ArrowLeft: locale.rtl ? 1 : -1, ArrowRight: locale.rtl ? -1 : 1, ArrowUp: 1, ArrowDown: -1 },
      lines: (position) => this.lines(position),
      choose: (position) => choose(report.points[position].key),
      place: (position) => this.place(position),
      mark: (position) => this.mark(position),
    });
  }

  /** @returns {Promise<boolean>} whether it was drawn: false when a later drawing overtook it */
  async draw(figures) {
    const turn = ++this.latest;
    const { clientWidth: width, clientHeight: height } = this.element;
    const { locale } = figures;
    const holder = h("div");
    const { view } = await this.embed(holder, specification(figures, this.room(width, height)), {
      mode: "vega-lite",
      ast: true,
      actions: false,
      defaultStyle: false,
      tooltip: false,
      renderer: "svg",
      expressionFunctions: { compact: (value) => locale.isolated(locale.compact(value)) },
    });
    if (turn !== this.latest) {
      view.finalize();
      return false;
    }
    this.view?.finalize();
    this.view = view;
    this.figures = figures; // what is read is what is seen, also while others are on their way
    this.size = [width, height].join();
    this.drawing.replaceChildren(holder);
    return true;
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.view && width > 0 && this.size !== [width, height].join()) this.draw(this.figures);
  }

  /** Where and in which type it is drawn; the library must know the font by name to measure labels. */
  room(width, height) {
    return { width, height, font: getComputedStyle(this.element).fontFamily };
  }

  summary() {
    const { report, state, locale } = this.figures;
    const { points, total, best } = report;
    return locale.t("seriesSummary", {
      figure: locale.measure(state.type),
      from: points[0].label,
      to: points.at(-1).label,
      total: locale.integer(total),
      best: locale.integer(best.value),
      bestLabel: best.label,
    });
  }

  lines(position) {
    const { report, state, locale } = this.figures;
    const { points, before } = report;
    const say = ({ label, value }) => [label, locale.figure(value, state.type)];
    const [label, value] = say(points[position]);
    return before ? [label, value, say(before[position]).join(": ")] : [label, value];
  }

  /** The middle of the period's band in the window. */
  middle(position) {
    const scale = this.view.scale("x");
    const left = this.drawing.getBoundingClientRect().left + this.view.origin()[0];
    return left + scale(position) + (scale.bandwidth?.() ?? 0) / 2;
  }

  place(position) {
    const { value } = this.figures.report.points[position];
    const top = this.drawing.getBoundingClientRect().top + this.view.origin()[1] + this.view.scale("y")(Number(value));
    return new DOMRect(this.middle(position), top, 0, 0);
  }

  find(event) {
    const first = this.middle(0);
    const last = this.middle(this.figures.report.points.length - 1);
    if (first === last) return 0;
    const along = (event.clientX - first) / (last - first);
    const end = this.figures.report.points.length - 1;
    return Math.min(end, Math.max(0, Math.round(along * end)));
  }

  mark(position) {
    this.rule.hidden = position === -1;
    if (position === -1) return;
    this.rule.style.left = `${this.middle(position) - this.element.getBoundingClientRect().left}px`;
  }
}

let loading = null;

/** The library, loaded once, when the first chart is drawn. */
async function chartLibrary() {
  const { content } = document.querySelector("meta[name=charts]");
  loading ??= import(content).catch((error) => {
    loading = null;
    throw error;
  });
  return (await loading).vegaEmbed;
}

function specification({ report, state, locale }, { width, height, font }) {
  const { points, before } = report;
  const { mode } = state;
  const length = points.length;
  const step = (width - AXIS_WIDTH) / length;
  const values = points.map(({ value }, i) => ({
    i,
    now: Number(value),
    before: before ? Number(before[i].value) : null,
    incomplete: !points[i].complete,
  }));
  const labelWidth = yearsOf(points) > 1 ? LABEL_WIDTH_WITH_YEAR : LABEL_WIDTH[mode];
  const every = Math.max(1, Math.ceil((length * labelWidth) / width));
  const ticks = values.map(({ i }) => i).filter((i) => (length - 1 - i) % every === 0);
  return {
    width,
    height,
    autosize: { type: "fit", contains: "padding" },
    padding: { left: 0, right: 0, top: 8, bottom: 0 },
    background: null,
    data: { values },
    params: [{ name: "labels", value: shortLabels(mode, points).map((label) => locale.isolated(label)) }],
    encoding: { x: xAxis(ticks, locale), y: { type: "quantitative", axis: yAxis(locale), title: null } },
    layer: step >= BAR_ROOM ? bars(before !== null, step) : lines(before !== null),
    config: {
      aria: false,
      view: { stroke: null },
      font,
      axis: { labelColor: "var(--muted)", labelFontSize: 12, labelFont: font },
    },
  };
}

function xAxis(ticks, locale) {
  return {
    field: "i",
    type: "ordinal",
    sort: null,
    scale: { reverse: locale.rtl, paddingOuter: 0.1 },
    axis: {
      values: ticks,
      labelExpr: "labels[datum.value]",
      labelAngle: 0,
      labelFlush: false,
      labelOverlap: false,
      labelPadding: 8,
      domainColor: "var(--line)",
      ticks: false,
      title: null,
    },
  };
}

function yAxis(locale) {
  return {
    orient: locale.rtl ? "right" : "left",
    labelExpr: "compact(datum.value)",
    labelPadding: 8,
    tickCount: 5,
    domain: false,
    ticks: false,
    gridColor: "var(--line)",
  };
}

function bars(withBefore, step) {
  const bar = (color, share) => ({
    type: "bar",
    color,
    cornerRadiusEnd: 2,
    width: share * Math.min(step, WIDEST_STEP),
  });
  const opacity = { condition: { test: "datum.incomplete", value: INCOMPLETE_OPACITY }, value: 1 };
  const layers = [{ mark: bar("var(--accent)", 0.5), encoding: { y: { field: "now" }, opacity } }];
  if (withBefore) layers.unshift({ mark: bar("var(--before)", 0.86), encoding: { y: { field: "before" } } });
  return layers;
}

function lines(withBefore) {
  const line = (color, strokeWidth) => ({ type: "line", color, strokeWidth, strokeJoin: "round" });
  const layers = [
    { mark: { type: "area", color: "var(--accent)", opacity: 0.12 }, encoding: { y: { field: "now" } } },
    { mark: line("var(--accent)", 2), encoding: { y: { field: "now" } } },
    {
      transform: [{ filter: "datum.incomplete" }],
      mark: { type: "point", stroke: "var(--accent)", fill: "var(--surface)", size: 40, opacity: 1 },
      encoding: { y: { field: "now" } },
    },
  ];
  if (withBefore) layers.unshift({ mark: line("var(--before)", 1.5), encoding: { y: { field: "before" } } });
  return layers;
}

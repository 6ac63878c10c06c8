/** The chart of a series with the periods before it behind: Vega-Lite, without evaluating code (the policy forbids it). */

import { byId, h } from "./dom.js";
import { Reader } from "./reader.js";
import { shortLabel } from "./report.js";

const HEIGHT = 260;
const BARS_AT_MOST = 62;
const LABEL_WIDTH = { daily: 72, weekly: 84, monthly: 104 };

export class SeriesChart {
  constructor() {
    this.element = byId("series-chart");
    this.drawing = h("div", { class: "drawing" });
    this.rule = h("div", { class: "rule", hidden: true });
    this.element.append(this.drawing, this.rule);
    this.reader = new Reader(this.element, (event) => this.find(event));
    this.latest = 0;
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  /** @returns {Promise<boolean>} whether it was drawn; false also when a later drawing overtook this one */
  async show(report, state, locale) {
    const turn = ++this.latest;
    Object.assign(this, { report, state, locale });
    const embed = await chartLibrary();
    if (turn !== this.latest) return true;
    this.embed = embed;
    await this.draw();
    this.reader.show({
      summary: this.summary(),
      length: report.points.length,
      steps: { ArrowLeft: locale.rtl ? 1 : -1, ArrowRight: locale.rtl ? -1 : 1, ArrowUp: 1, ArrowDown: -1 },
      lines: (position) => this.lines(position),
      place: (position) => this.place(position),
      mark: (position) => this.mark(position),
    });
    return true;
  }

  async draw() {
    const turn = ++this.latest;
    const width = this.element.clientWidth;
    const holder = h("div");
    const { view } = await this.embed(holder, specification(this.report, this.state, this.locale, width), {
      mode: "vega-lite",
      ast: true,
      actions: false,
      defaultStyle: false,
      tooltip: false,
      renderer: "svg",
      expressionFunctions: { compact: (value) => this.locale.compact(value) },
    });
    if (turn !== this.latest) {
      view.finalize();
      return;
    }
    this.view?.finalize();
    this.view = view;
    this.width = width;
    this.drawing.replaceChildren(holder);
  }

  resize() {
    if (this.view && this.width !== this.element.clientWidth) this.draw();
  }

  summary() {
    const { points, total, best } = this.report;
    return this.locale.t("seriesSummary", {
      figure: this.locale.measure(this.state.type),
      from: points[0].label,
      to: points.at(-1).label,
      total: this.locale.integer(total),
      best: this.locale.integer(best.value),
      bestLabel: best.label,
    });
  }

  lines(position) {
    const { points, before } = this.report;
    const say = ({ label, value }) => [label, this.locale.figure(value, this.state.type)];
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
    const { value } = this.report.points[position];
    const top = this.drawing.getBoundingClientRect().top + this.view.origin()[1] + this.view.scale("y")(Number(value));
    return new DOMRect(this.middle(position), top, 0, 0);
  }

  find(event) {
    const first = this.middle(0);
    const last = this.middle(this.report.points.length - 1);
    if (first === last) return 0;
    const along = (event.clientX - first) / (last - first);
    const end = this.report.points.length - 1;
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

function specification({ points, before }, { mode }, locale, width) {
  const length = points.length;
  const values = points.map(({ value }, i) => ({ i, now: Number(value), before: before ? Number(before[i].value) : null }));
  const every = Math.max(1, Math.ceil((length * LABEL_WIDTH[mode]) / width));
  const ticks = values.map(({ i }) => i).filter((i) => (length - 1 - i) % every === 0);
  return {
    width,
    height: HEIGHT,
    autosize: { type: "fit", contains: "padding" },
    padding: { left: 0, right: 0, top: 8, bottom: 0 },
    background: null,
    data: { values },
    params: [{ name: "labels", value: points.map(({ label }) => shortLabel(mode, label)) }],
    encoding: { x: xAxis(ticks, locale), y: { type: "quantitative", axis: yAxis(locale), title: null } },
    layer: length <= BARS_AT_MOST ? bars(before !== null) : lines(before !== null),
    config: {
      aria: false,
      view: { stroke: null },
      font: "inherit",
      axis: { labelColor: "var(--muted)", labelFontSize: 12, labelFont: "inherit" },
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
      labelOverlap: "greedy",
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

function bars(withBefore) {
  const bar = (color, band) => ({ type: "bar", color, cornerRadiusEnd: 2, width: { band } });
  const layers = [{ mark: bar("var(--accent)", 0.5), encoding: { y: { field: "now" } } }];
  if (withBefore) layers.unshift({ mark: bar("var(--before)", 0.86), encoding: { y: { field: "before" } } });
  return layers;
}

function lines(withBefore) {
  const line = (color, strokeWidth) => ({ type: "line", color, strokeWidth, strokeJoin: "round" });
  const layers = [
    { mark: { type: "area", color: "var(--accent)", opacity: 0.12 }, encoding: { y: { field: "now" } } },
    { mark: line("var(--accent)", 2), encoding: { y: { field: "now" } } },
  ];
  if (withBefore) layers.unshift({ mark: line("var(--before)", 1.5), encoding: { y: { field: "before" } } });
  return layers;
}

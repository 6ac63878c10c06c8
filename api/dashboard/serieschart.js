/** The chart of a series before the periods that it is compared with: SVG, whose colours and lines are in panels.css. */

import { byId, h } from "./dom.js";
import { Reader } from "./reader.js";
import { readingLines, shortLabels } from "./report.js";

const BAR_ROOM = 11; // a period, below which bars would be hairs; all lengths in px
const WIDEST_BAR = 48;
const TOP = 12;
const BOTTOM = 28;
const LABEL_GAP = 10;
const TICKS = 5;

export class SeriesChart {
  constructor() {
    this.element = byId("series-chart");
    this.drawing = h("div", { class: "drawing", "aria-hidden": "true" });
    this.rule = h("div", { class: "rule", hidden: true });
    this.element.append(this.drawing, this.rule);
    this.reader = new Reader(this.element, (event) => this.find(event));
    new ResizeObserver(() => this.resize()).observe(this.element);
  }

  show(report, state, locale, choose) {
    this.figures = { report, state, locale };
    this.draw();
    this.reader.show({
      summary: this.summary(),
      length: report.points.length,
      steps: { ArrowLeft: locale.rtl ? 1 : -1, ArrowRight: locale.rtl ? -1 : 1, ArrowUp: 1, ArrowDown: -1 },
      lines: (position) => readingLines(report.points[position], report.reference?.[position], report, state, locale),
      choose: (position) => choose(report.points[position].key),
      place: (position) => this.place(position),
      mark: (position) => this.mark(position),
    });
  }

  draw() {
    const { clientWidth: width, clientHeight: height } = this.element;
    this.size = [width, height].join();
    const canvas = svg("svg", { width, height });
    this.drawing.replaceChildren(canvas);
    this.plot = plotOf(this.figures, canvas, width, height);
    canvas.append(...grid(this.plot, this.figures), ...drawn(this.plot, this.figures.report));
  }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.element;
    if (this.figures && width > 0 && this.size !== [width, height].join()) this.draw();
  }

  summary() {
    const { report, state, locale } = this.figures;
    const { points, total, best } = report;
    return locale.t("seriesSummary", {
      figure: locale.measure(state.type),
      from: points[0].label,
      to: points.at(-1).label,
      total: locale.exact(total, state.type),
      best: locale.exact(best.value, state.type),
      bestLabel: best.label,
    });
  }

  place(position) {
    const { left, top } = this.drawing.getBoundingClientRect();
    const { value } = this.figures.report.points[position];
    return new DOMRect(left + this.plot.x(position), top + this.plot.y(value), 0, 0);
  }

  find(event) {
    const end = this.figures.report.points.length - 1;
    const [first, last] = [this.plot.x(0), this.plot.x(end)];
    if (first === last) return 0;
    const along = (event.clientX - this.drawing.getBoundingClientRect().left - first) / (last - first);
    return Math.min(end, Math.max(0, Math.round(along * end)));
  }

  mark(position) {
    this.rule.hidden = position === -1;
    if (position !== -1) this.rule.style.left = `${this.plot.x(position)}px`;
  }
}

/**
 * Where things are drawn: `x` is the middle of the period at a position, `y` the height of a value, `step` the room of
 * a period.
 */
function plotOf({ report, state, locale }, canvas, width, height) {
  const { points, reference, average } = report;
  const values = [...points, ...(reference ?? [])].filter(Boolean).map(({ value }) => Number(value));
  const ticks = roundNumbers(Math.min(0, ...values), Math.max(0, ...values));
  const value = (tick) => locale.isolated(locale.compact(tick, state.type));
  const names = shortLabels(state.mode, points).map((label) => locale.isolated(label));
  const axis = widest(ticks.map(value), canvas) + LABEL_GAP;
  const name = widest(names, canvas);
  // The last name may be wider than the room of its period.
  const end = Math.max(0, (name - (width - axis) / points.length) / 2);
  const step = (width - axis - end) / points.length;
  const across = (position) => axis + step * (position + 0.5);
  const [low, high] = [ticks[0], ticks.at(-1)];
  return {
    width,
    axis,
    step,
    ticks,
    value,
    names,
    every: Math.ceil((name + 2 * LABEL_GAP) / step),
    bottom: height - BOTTOM,
    x: (position) => (locale.rtl ? width - across(position) : across(position)),
    y: (one) => TOP + ((high - Number(one)) / (high - low)) * (height - TOP - BOTTOM),
    average,
  };
}

/** Multiples of 1, 2 or 5 times a power of ten, from at most `low` to at least `high`: an axis of whole numbers. */
function roundNumbers(low, high) {
  const least = Math.max(1, (high - low) / TICKS);
  const power = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= least);
  const first = Math.floor(low / step);
  const last = Math.max(first + 1, Math.ceil(high / step));
  return Array.from({ length: last - first + 1 }, (_, at) => (first + at) * step);
}

/** How wide the widest of `texts` is written. */
function widest(texts, canvas) {
  const longest = texts.toSorted((one, other) => other.length - one.length).slice(0, TICKS);
  const written = longest.map((text) => svg("text", {}, text));
  canvas.append(...written);
  const width = Math.max(...written.map((one) => one.getComputedTextLength()));
  for (const one of written) one.remove();
  return width;
}

/** Lines and numbers of the values, and names of periods from the last one on, evenly spaced. */
function grid(plot, { locale, report }) {
  const { width, axis, ticks, value, names, every, bottom, x, y } = plot;
  const [from, to] = locale.rtl ? [0, width - axis] : [axis, width];
  const beside = locale.rtl ? { x: to + LABEL_GAP, class: "tick after" } : { x: from - LABEL_GAP, class: "tick" };
  const end = report.points.length - 1;
  return [
    ...ticks.flatMap((tick) => [
      line(tick === 0 ? "base" : "grid", from, y(tick), to, y(tick)),
      svg("text", { ...beside, y: y(tick), dy: "0.32em" }, value(tick)),
    ]),
    ...names
      .map((name, at) => svg("text", { class: "name", x: x(at), y: bottom + 20 }, name))
      .filter((_, at) => (end - at) % every === 0),
  ];
}

function drawn(plot, report) {
  const { points, reference, average } = report;
  const shapes = plot.step >= BAR_ROOM ? bars : curve;
  const [first, last] = [plot.x(0) - plot.step / 2, plot.x(points.length - 1) + plot.step / 2];
  return [
    ...(reference ? shapes(plot, "before", reference) : []),
    ...shapes(plot, "now", points),
    ...(average === null ? [] : [line("average", first, plot.y(average), last, plot.y(average))]),
  ];
}

/** A bar for each of `points`, some of which may be missing. */
function bars({ step, x, y }, name, points) {
  const width = Math.min(step, 2 * WIDEST_BAR) * (name === "now" ? 0.5 : 0.86);
  return points.flatMap((point, at) => {
    if (!point) return [];
    const [top, bottom] = [y(point.value), y(0)].sort((one, other) => one - other);
    const kind = point.complete ? name : `${name} incomplete`;
    return [svg("rect", { class: kind, x: x(at) - width / 2, y: top, width, height: bottom - top, rx: 2 })];
  });
}

/** A line through `points`, with gaps where one is missing. */
function curve({ x, y }, name, points) {
  const path = points
    .map((point, at) => point && `${points[at - 1] ? "L" : "M"}${x(at).toFixed(1)} ${y(point.value).toFixed(1)}`)
    .filter(Boolean)
    .join("");
  const stroke = svg("path", { class: `${name} stroke`, d: path });
  if (name !== "now") return [stroke];
  const area = svg("path", { class: "area", d: `${path}L${x(points.length - 1)} ${y(0)}L${x(0)} ${y(0)}Z` });
  const open = points.flatMap(({ value, complete }, at) =>
    complete ? [] : [svg("circle", { class: "incomplete", cx: x(at), cy: y(value), r: 3.5 })],
  );
  return [area, stroke, ...open];
}

const line = (name, x1, y1, x2, y2) => svg("line", { class: name, x1, y1, x2, y2 });

function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

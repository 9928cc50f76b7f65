/**
 * Charts of what a run uses of its compute target, which grow while it runs.
 *
 * @example see templates/runs/_panel_resources.html
 */

import uPlot from "../../vendor/uplot/uPlot.js";
import { formatBytes } from "../log/format.js";
import { append, chartsOf, emptySeries, latest } from "./series.js";

const HEIGHT = 180;
const AT_MOST_EVERY_MS = 2000;
const COLOURS = ["--accent-text", "--ok", "--warn", "--bad", "--busy", "--off"];

class ResourceChart extends HTMLElement {
  #series = emptySeries();
  #plots = new Map();
  #next = 0;
  #asked = 0;
  #timer = 0;

  connectedCallback() {
    this.sizes = new ResizeObserver(() => this.#resize());
    this.sizes.observe(this);
    this.theme = new MutationObserver(() => this.#redraw());
    const attributeFilter = ["data-bs-theme"];
    this.theme.observe(document.documentElement, { attributeFilter });
    this.update();
  }

  disconnectedCallback() {
    this.sizes.disconnect();
    this.theme.disconnect();
    clearTimeout(this.#timer);
  }

  /** Fetch what is new; often called, it does so only every now and then. */
  update() {
    if (this.#timer) return;
    const wait = Math.max(0, this.#asked + AT_MOST_EVERY_MS - performance.now());
    this.#timer = setTimeout(() => this.#fetch(), this.#asked ? wait : 0);
  }

  async #fetch() {
    this.#asked = performance.now();
    try {
      const answer = await fetch(`${this.dataset.url}?from=${this.#next}`);
      if (!answer.ok) return;
      const more = await answer.json();
      // A file that was begun anew has less than before.
      if (more.next < this.#next) this.#series = emptySeries();
      this.#next = more.next;
      this.#series = append(this.#series, more);
      this.#draw();
    } catch {
      // The connection is away; the next notice asks for all of it.
    } finally {
      this.#timer = 0;
    }
  }

  #draw() {
    if (this.#series.time.length === 0) return;
    this.querySelector("[data-empty]").hidden = true;
    for (const chart of chartsOf(this.#series)) {
      const data = [this.#series.time, ...chart.columns];
      const plot = this.#plots.get(chart.key);
      if (plot && plot.chart.series.length === data.length) plot.chart.setData(data);
      else this.#make(chart, data);
      this.#plots.get(chart.key).now.textContent = nowOf(chart);
    }
  }

  #make(chart, data) {
    const box = document.createElement("section");
    box.className = "card chart";
    const head = box.appendChild(document.createElement("div"));
    head.className = "card-head";
    head.appendChild(document.createElement("h2")).textContent = chart.title;
    const now = head.appendChild(document.createElement("span"));
    now.className = "chart-now";
    const place = box.appendChild(document.createElement("div"));
    place.className = "chart-plot";
    const before = this.#plots.get(chart.key);
    if (before) before.box.replaceWith(box);
    else this.querySelector("[data-charts]").append(box);
    const plot = new uPlot(options(chart, place.clientWidth || 400), data, place);
    this.#plots.set(chart.key, { chart: plot, place, box, now });
  }

  #resize() {
    for (const { chart, place } of this.#plots.values()) {
      const width = place.clientWidth;
      if (width && width !== chart.width) chart.setSize({ width, height: HEIGHT });
    }
  }

  #redraw() {
    for (const { chart, box } of this.#plots.values()) {
      chart.destroy();
      box.remove();
    }
    this.#plots.clear();
    this.#draw();
  }
}

function nowOf({ columns, labels, unit }) {
  return columns
    .map((column, place) => {
      const value = spell(latest(column), unit);
      return columns.length > 1 ? `${labels[place]}: ${value}` : value;
    })
    .join("  ");
}

function spell(value, unit) {
  if (value === null) return "–";
  if (unit === "bytes") return formatBytes(value);
  return unit === "%" ? `${Math.round(value)} %` : String(Math.round(value));
}

function options(chart, width) {
  const axis = {
    stroke: colour("--muted"),
    grid: { stroke: colour("--border"), width: 1 },
    ticks: { stroke: colour("--border"), width: 1 },
    font: `11px ${getComputedStyle(document.body).fontFamily}`,
  };
  const values = (_, ticks) => ticks.map((tick) => spell(tick, chart.unit));
  return {
    width,
    height: HEIGHT,
    legend: { show: chart.columns.length > 1 },
    cursor: { y: false, points: { size: 7 } },
    scales: { y: { range: (_, low, high) => [0, Math.max(high * 1.08, floorOf(chart))] } },
    axes: [{ ...axis, space: 80, values: timesOf }, { ...axis, size: 62, values, incrs: stepsOf(chart) }],
    plugins: [readout(chart)],
    series: [{}, ...chart.labels.map((label, place) => line(chart, label, place))],
  };
}

/** The labels of the time axis: as fine as its steps, and the day where one begins. */
function timesOf(_, seconds, __, ___, step) {
  return seconds.map((each, place) => {
    const time = new Date(each * 1000);
    const day = formatDay(time);
    if (step >= 86400) return day;
    const before = place > 0 && formatDay(new Date(seconds[place - 1] * 1000));
    const clock = time.toTimeString().slice(0, step >= 60 ? 5 : 8);
    return before && before !== day ? `${clock}\n${day}` : clock;
  });
}

function formatDay(time) {
  const [month, day] = [time.getMonth() + 1, time.getDate()];
  return [time.getFullYear(), month, day].map((part) => String(part).padStart(2, "0")).join("-");
}

function floorOf({ unit }) {
  return { "%": 100, bytes: 1e6 }[unit] ?? 2;
}

/** Whole processes; everything else as uPlot likes it. */
function stepsOf({ unit }) {
  return unit === "" ? [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000] : undefined;
}

function line(chart, label, place) {
  const stroke = colour(COLOURS[place % COLOURS.length]);
  const fill = chart.labels.length === 1 ? `${stroke}1f` : undefined;
  const value = (_, raw) => spell(raw, chart.unit);
  return { label, stroke, fill, value, width: 1.6, points: { show: false } };
}

/** Says the value under the pointer, in the head of the chart. */
function readout(chart) {
  return {
    hooks: {
      setCursor: (plot) => {
        const now = plot.root.closest(".chart").querySelector(".chart-now");
        const { idx } = plot.cursor;
        if (idx === null || idx === undefined) {
          now.textContent = nowOf(chart);
          return;
        }
        const time = new Date(plot.data[0][idx] * 1000).toTimeString().slice(0, 8);
        const values = plot.data.slice(1).map((column) => spell(column[idx], chart.unit));
        now.textContent = `${values.join("  ")} at ${time}`;
      },
    },
  };
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

customElements.define("resource-chart", ResourceChart);

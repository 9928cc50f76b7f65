/** What the charts draw: the columns that the portal sends, joined and thinned. */

const MOST_POINTS = 4000;

/**
 * @typedef {object} Series as runs/resources.py sends it
 * @property {number[]} time
 * @property {(number | null)[]} cpu
 * @property {(number | null)[]} memory
 * @property {(number | null)[]} processes
 * @property {{index: number, name: string, total: number | null,
 *   util: (number | null)[], memory: (number | null)[]}[]} gpus
 */

/** @returns {Series} */
export function emptySeries() {
  return { time: [], cpu: [], memory: [], processes: [], gpus: [] };
}

/**
 * `old` and what came after it.
 *
 * @param {Series} old
 * @param {Series} more
 * @returns {Series}
 */
export function append(old, more) {
  const before = old.time.length;
  const after = more.time.length;
  const indexes = new Set([...old.gpus, ...more.gpus].map((gpu) => gpu.index));
  const gpus = [...indexes]
    .sort((a, b) => a - b)
    .map((index) => {
      const first = old.gpus.find((gpu) => gpu.index === index);
      const second = more.gpus.find((gpu) => gpu.index === index);
      const joined = (name) => [
        ...(first?.[name] ?? Array(before).fill(null)),
        ...(second?.[name] ?? Array(after).fill(null)),
      ];
      return { ...(second ?? first), util: joined("util"), memory: joined("memory") };
    });
  const columns = ["time", "cpu", "memory", "processes"];
  const joined = columns.map((name) => [name, [...old[name], ...more[name]]]);
  return thin({ ...Object.fromEntries(joined), gpus });
}

/** Every second point, once there are more than can be told apart. */
function thin(series) {
  if (series.time.length <= MOST_POINTS) return series;
  const half = (column) => column.filter((_, place) => place % 2 === 0);
  return {
    time: half(series.time),
    cpu: half(series.cpu),
    memory: half(series.memory),
    processes: half(series.processes),
    gpus: series.gpus.map((gpu) => ({
      ...gpu,
      util: half(gpu.util),
      memory: half(gpu.memory),
    })),
  };
}

/**
 * The charts that `series` has figures for, each with its lines.
 *
 * @param {Series} series
 */
export function chartsOf(series) {
  const named = (gpu) => `GPU ${gpu.index}`;
  const charts = [
    chart("cpu", "Processor", "%", [["CPU", series.cpu]]),
    chart("memory", "Memory", "bytes", [["Memory", series.memory]]),
    chart("processes", "Processes", "", [["Processes", series.processes]]),
  ];
  if (series.gpus.length > 0) {
    const utils = series.gpus.map((gpu) => [named(gpu), gpu.util]);
    const memories = series.gpus.map((gpu) => [named(gpu), gpu.memory]);
    charts.splice(2, 0, chart("gpu", "GPU", "%", utils));
    charts.splice(3, 0, chart("gpu-memory", "GPU memory", "bytes", memories));
  }
  return charts;
}

function chart(key, title, unit, lines) {
  return {
    key,
    title,
    unit,
    labels: lines.map(([label]) => label),
    columns: lines.map(([, column]) => column),
  };
}

/** The last known value of a column, or null. */
export function latest(column) {
  return column.findLast((value) => value !== null) ?? null;
}

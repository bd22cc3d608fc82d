// The charts of the last hour. Data come as rows of numbers; see `_row` in overview.py for their order.
"use strict";

const gatewayCharts = (() => {
  const STEP_SECONDS = 10, HOUR = 3600, LEAST_SPAN = 300, HEIGHT = 182;
  const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
  const PERCENTILES = ["p50", "p95", "p99"];
  const CHARTS = {
    load: { columns: [1, 2], names: ["in flight", "at the model"], format: plain, steps: WHOLE },
    requests: { columns: [3, 4], names: ["requests", "errors"], colours: [1, 3], format: plain },
    tokens: { columns: [6, 5], names: ["out", "in"], format: plain },
    busy: { columns: [7], names: ["busy"], format: (value) => `${Math.round(100 * value)} %`, most: 1 },
    first_byte: { columns: [8, 9, 10], names: PERCENTILES, format: time },
    inter_token: { columns: [11, 12, 13], names: PERCENTILES, format: time },
  };
  const rows = new Map();  // by step
  const plots = {};
  let epoch = 0, now = 0;

  function plain(value) {
    return value >= 1000 ? `${+(value / 1000).toPrecision(3)} k` : `${+value.toPrecision(value < 1 ? 2 : 3)}`;
  }

  function time(seconds) {
    if (seconds === 0) return "0";
    return seconds < 1 ? `${+(1000 * seconds).toPrecision(3)} ms` : `${+seconds.toPrecision(3)} s`;
  }

  function clock(at) {
    return new Date(1000 * at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  function options(name, width) {
    const { names, colours = [1, 2, 3], format, most, steps } = CHARTS[name];
    const shown = (plot, value, nth, index) => {
      const told = index == null ? plot.data[nth].at(-1) : value;
      return told == null ? "–" : format(told);
    };
    const axis = { stroke: colour("quiet"), grid: { stroke: colour("grid"), width: 1 }, ticks: { show: false } };
    const series = names.map((label, nth) => ({
      label, value: shown, stroke: colour(`series-${colours[nth]}`), width: 2, points: { show: false, size: 6 },
      fill: nth === 0 && names.length < 3 ? `${colour(`series-${colours[nth]}`)}22` : undefined,
    }));
    return {
      width, height: HEIGHT, padding: [10, 8, 0, 0],
      cursor: { sync: { key: "hour" }, drag: { x: false, y: false }, points: { size: 6 } },
      legend: { live: true },
      scales: {
        x: { time: true, range: () => [Math.min(firstTime(), now - LEAST_SPAN), now] },
        y: { range: (_, low, high) => [0, most ?? Math.max(high * 1.15 || 1, 1e-6)] },
      },
      axes: [
        { ...axis, size: 28, space: 60, values: (_, times) => times.map(clock) },
        { ...axis, size: 58, space: 36, ...(steps && { incrs: steps }), values: (_, values) => values.map(format) },
      ],
      series: [{}, ...series],
      hooks: { setCursor: [(plot) => showTime(name, plot)] },
    };
  }

  function showTime(name, { cursor, data }) {
    const at = cursor.idx == null ? undefined : data[0][cursor.idx];
    document.querySelector(`#caption-${name} small`).textContent = at === undefined ? "" : clock(at);
  }

  function firstTime() {
    const first = rows.keys().next().value;
    return Math.max(now - HOUR, first === undefined ? now : timeOf(first));
  }

  function timeOf(step) {
    return epoch + step * STEP_SECONDS;
  }

  // Rows that are missing leave a gap, not a line across it.
  function dataOf(name) {
    const columns = [[], ...CHARTS[name].columns.map(() => [])];
    let before = null;
    for (const [step, row] of rows) {
      if (before !== null && step - before > 3) append(columns, timeOf(before + 1), null, name);
      append(columns, timeOf(step), row, name);
      before = step;
    }
    return columns;
  }

  function append(columns, at, row, name) {
    columns[0].push(at);
    CHARTS[name].columns.forEach((column, nth) => columns[nth + 1].push(row === null ? null : row[column]));
  }

  function describe(name, data) {
    const { names, format } = CHARTS[name];
    const last = names.map((label, nth) => `${label} ${data[nth + 1].length && data[nth + 1].at(-1) != null ? format(data[nth + 1].at(-1)) : "unknown"}`);
    const title = document.querySelector(`#caption-${name} span`).textContent;
    const place = document.getElementById(`chart-${name}`);
    place.removeAttribute("aria-labelledby");
    place.setAttribute("aria-label", `${title}; at the end: ${last.join(", ")}`);
  }

  function draw(name) {
    const place = document.getElementById(`chart-${name}`), data = dataOf(name);
    describe(name, data);
    if (plots[name]) {
      plots[name].setData(data);
    } else {
      place.replaceChildren();
      plots[name] = new uPlot(options(name, place.clientWidth), data, place);
    }
  }

  function drawAll() {
    Object.keys(CHARTS).forEach(draw);
  }

  function drawAnew() {
    for (const name of Object.keys(plots)) {
      plots[name].destroy();
      delete plots[name];
    }
    if (now) drawAll();
  }

  const sizes = new ResizeObserver((entries) => {
    for (const { target } of entries) {
      const plot = plots[target.id.slice("chart-".length)];
      if (plot && plot.width !== target.clientWidth) plot.setSize({ width: target.clientWidth, height: HEIGHT });
    }
  });
  for (const name of Object.keys(CHARTS)) sizes.observe(document.getElementById(`chart-${name}`));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAnew);

  return {
    lastStep: () => [...rows.keys()].at(-1) ?? -1,

    add(told) {
      epoch ||= told.clock.epoch;
      now = Math.max(now, timeOf(told.clock.step));
      for (const row of told.points) rows.set(row[0], row);
      for (const step of rows.keys()) if (timeOf(step) < now - HOUR) rows.delete(step);
      if (told.points.length || !plots.load) drawAll();
    },
  };
})();

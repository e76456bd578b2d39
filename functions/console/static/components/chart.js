// A stacked bar chart by day or week. A table on the same page has the same numbers.

import { html, loadPlot, useEffect, useRef, useState } from "../lib/vendor.js";
import { number } from "../lib/format.js";

const HEIGHT = 260;
const DAY = 24 * 3600;
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };
const dark = matchMedia("(prefers-color-scheme: dark)");
const tick = new Intl.DateTimeFormat("en-US", { day: "numeric", month: "short", timeZone: "UTC" });

/** The number of colors; stacks beyond it share one. */
export const COLORS = 7;

/**
 * `days` are the first UTC days of the bars, in order, which are `length` days long. `stacks` are
 * `{name, values}` with a value for each bar; `before` are such values, drawn as a line, or null.
 *
 * `read(index, left)` receives the bar under the pointer, or the one that the arrow keys have reached,
 * and where it is in pixels; or null. `children` are shown above the chart.
 */
export function Chart({ label, days, length, stacks, before, read, children }) {
  const place = useRef(null);
  const drawn = useRef(null);
  const [isDark, setDark] = useState(dark.matches);
  useEffect(() => {
    const changed = () => setDark(dark.matches);
    dark.addEventListener("change", changed);
    return () => dark.removeEventListener("change", changed);
  }, []);
  const [Plot, setPlot] = useState(null);
  useEffect(() => {
    // Without the library there is no chart, but the table has everything.
    loadPlot().then(
      (loaded) => setPlot(() => loaded),
      () => {},
    );
  }, []);
  useEffect(() => {
    if (!Plot) return undefined;
    const plot = new Plot(
      options(Plot, place.current, { length, stacks, before, read }),
      data(days, stacks, before),
      place.current,
    );
    drawn.current = plot;
    const observer = new ResizeObserver(([{ contentRect }]) =>
      plot.setSize({ width: contentRect.width, height: HEIGHT }),
    );
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [Plot, days, stacks, before, isDark]);
  const point = (index) => {
    const plot = drawn.current;
    plot?.setCursor({ left: index === null ? -10 : plot.valToPos(plot.data[0][index], "x"), top: 0 });
  };
  const pressed = (event) => {
    const last = days.length - 1;
    const at = drawn.current?.cursor.idx ?? null;
    const ends = { Home: 0, End: last, Escape: null };
    if (event.key in ends) point(ends[event.key]);
    else if (event.key in STEPS) {
      point(at === null ? last : Math.min(last, Math.max(0, at + STEPS[event.key])));
    } else return;
    event.preventDefault();
  };
  return html`<div
    class="chart-frame"
    role="group"
    tabindex="0"
    aria-label=${label}
    onKeyDown=${pressed}
    onFocus=${(event) => event.target.matches(":focus-visible") && point(days.length - 1)}
    onBlur=${() => point(null)}
  >
    <div class="chart" ref=${place}></div>
    ${children}
  </div>`;
}

/** Stack the values: each bar is drawn over the previous, taller one, which stays visible above it. */
function data(days, stacks, before) {
  const sums = [];
  let above = days.map(() => 0);
  for (const { values } of stacks.toReversed()) {
    above = above.map((sum, index) => sum + values[index]);
    sums.unshift(above.map((sum, index) => (values[index] > 0 ? sum : null)));
  }
  return [days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000), ...sums, ...(before ? [before] : [])];
}

function options(Plot, place, { length, stacks, before, read }) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const bars = Plot.paths.bars({ size: [0.72, 28 * Math.sqrt(length)] });
  const axis = {
    stroke: color("--text-quiet"),
    font: "12px system-ui, sans-serif",
    ticks: { show: false },
    grid: { stroke: color("--line"), width: 1 },
  };
  return {
    width: place.clientWidth,
    height: HEIGHT,
    padding: [8, 16, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: false, y: false } },
    tzDate: (seconds) => Plot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
    scales: {
      x: { range: (_, min, max) => [min - (length * DAY) / 2, max + (length * DAY) / 2] },
      y: { range: (_, __, max) => [0, Math.max(1, max * 1.08)] },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        size: 28,
        space: 64,
        values: (_, splits) => splits.map((seconds) => tick.format(seconds * 1000)),
      },
      { ...axis, size: 48, values: (_, splits) => splits.map(number) },
    ],
    series: [
      {},
      ...stacks.map((_, index) => ({
        paths: bars,
        fill: color(`--chart-${index + 1}`),
        stroke: color("--surface"),
        width: 1,
        points: { show: false },
      })),
      ...(before
        ? [{ stroke: color("--text-quiet"), width: 1.5, dash: [3, 4], points: { show: false } }]
        : []),
    ],
    hooks: {
      setCursor: [({ cursor: { idx, left }, bbox }) => read(idx ?? null, left + bbox.left / devicePixelRatio)],
    },
  };
}

// A stacked bar chart by day. A table on the same page has the same numbers.

import { html, loadPlot, useEffect, useRef, useState } from "../lib/vendor.js";
import { number, utcDay } from "../lib/format.js";

const HEIGHT = 260;
const HALF_DAY = 12 * 3600;
const dark = matchMedia("(prefers-color-scheme: dark)");
const tick = new Intl.DateTimeFormat("en-US", { day: "numeric", month: "short", timeZone: "UTC" });

/** The number of colors; stacks beyond it share one. */
export const COLORS = 7;

/**
 * `days` are UTC days in order, `stacks` are `{name, values}` with a value for each day.
 *
 * `read(index)` receives the index of the day under the pointer, or null.
 */
export function Chart({ label, days, stacks, read }) {
  const place = useRef(null);
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
      options(Plot, place.current, stacks, read),
      data(days, stacks),
      place.current,
    );
    const observer = new ResizeObserver(([{ contentRect }]) =>
      plot.setSize({ width: contentRect.width, height: HEIGHT }),
    );
    observer.observe(place.current);
    return () => {
      observer.disconnect();
      plot.destroy();
    };
  }, [Plot, days, stacks, isDark]);
  return html`<div class="chart" role="img" aria-label=${label} ref=${place}></div>`;
}

/** Stack the values: each bar is drawn over the previous, taller one, which stays visible above it. */
function data(days, stacks) {
  const sums = [];
  let above = days.map(() => 0);
  for (const { values } of stacks.toReversed()) {
    above = above.map((sum, index) => sum + values[index]);
    sums.unshift(above.map((sum, index) => (values[index] > 0 ? sum : null)));
  }
  return [days.map((day) => Date.parse(`${day}T00:00:00Z`) / 1000), ...sums];
}

function options(Plot, place, stacks, read) {
  const style = getComputedStyle(document.documentElement);
  const color = (name) => style.getPropertyValue(name).trim();
  const bars = Plot.paths.bars({ size: [0.72, 28] });
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
      x: { range: (_, min, max) => [min - HALF_DAY, max + HALF_DAY] },
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
    ],
    hooks: { setCursor: [({ cursor }) => read(cursor.idx ?? null)] },
  };
}

/** Return a day's use as a line: Sat 21 Nov 2026: 45 (Chat 20, PDF chat 25). */
export function dayRead(day, stacks, index) {
  const used = stacks.filter(({ values }) => values[index] > 0);
  const sum = used.reduce((total, { values }) => total + values[index], 0);
  const parts = used.map(({ name, values }) => `${name} ${number(values[index])}`).join(", ");
  return `${utcDay(day)}: ${number(sum)}${parts && ` (${parts})`}`;
}

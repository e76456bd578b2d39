// Usage: credits by day or week and by feature, as a chart and as tables.

import { html, useCallback, useMemo, useState } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { nameOf as featureName } from "../lib/entries.js";
import { compared, counted, credits, dayAfter, number, utcDay } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { metered } from "../lib/prices.js";
import { COLORS, Chart } from "./chart.js";
import { Empty, Loaded } from "./states.js";
import { Table } from "./table.js";
import { Credits } from "./values.js";

const DAY_MS = 24 * 3600 * 1000;
const OTHERS = "Other features";
const COMPARED_DAYS_MAX = 183;
const WEEK = 7;

/**
 * The usage of UTC days, both included, by day or ("week") by week; `features()` promises the
 * catalog's features, `other` names uses of none. The period before them, of the same length, is read
 * with them to compare.
 */
export function Usage({ accountId, from, to, by = "day", features, other, turn }) {
  const length = (Date.parse(to) - Date.parse(from)) / DAY_MS + 1;
  const isCompared = length <= COMPARED_DAYS_MAX;
  const usage = useLoaded(
    async (signal) => {
      const start = dayAfter(from, isCompared ? -length : 0);
      const [answer, list] = await Promise.all([
        get(path`accounts/${accountId}/usage`, {
          query: { from: start, to: dayAfter(to), group_by: "day,feature" },
          signal,
        }),
        features(),
      ]);
      const nameOf = (id) => (id === null ? other : featureName(id, list));
      return stacked(answer.usage, { from, to, by, length, isCompared }, nameOf);
    },
    [accountId, from, to, by],
    turn,
  );
  return html`<${Loaded} of=${usage} what="the usage" lines=${8}>${(data) => html`<${Used} ...${data} />`}<//>`;
}

/** Convert the API's rows to days and stacks, the most used first; the least used share the last. */
function stacked(rows, { from, to, by, length, isCompared }, nameOf) {
  const days = [];
  for (let day = from; day <= to; day = dayAfter(day)) days.push(day);
  const size = by === "week" ? WEEK : 1;
  // Weeks end with the range, so that the newest is a whole one.
  const placeOf = (index) => Math.ceil(length / size) - 1 - Math.floor((length - 1 - index) / size);
  const places = new Map(days.map((day, index) => [day, placeOf(index)]));
  const bars = days.filter((_, index) => index === 0 || placeOf(index) !== placeOf(index - 1));
  const before = bars.map(() => 0);
  const found = new Map();
  for (const row of rows) {
    if (row.day < from) {
      before[places.get(dayAfter(row.day, length))] += row.credits;
      continue;
    }
    const name = nameOf(row.feature);
    if (!found.has(name)) {
      const values = bars.map(() => 0);
      found.set(name, { name, values, credits: 0, count: 0, refunded: 0, meters: {} });
    }
    const stack = found.get(name);
    stack.values[places.get(row.day)] += row.credits;
    for (const field of ["credits", "count", "refunded"]) stack[field] += row[field];
    addTo(stack.meters, row.meters);
  }
  const stacks = [...found.values()].sort((one, other) => other.credits - one.credits);
  const shared = { length, size, bars, before: isCompared && before.some(Boolean) ? before : null };
  if (stacks.length <= COLORS) return { ...shared, stacks };
  const rest = stacks.splice(COLORS - 1);
  const total = (field) => rest.reduce((sum, stack) => sum + stack[field], 0);
  const meters = {};
  for (const stack of rest) addTo(meters, stack.meters);
  const values = bars.map((_, index) => rest.reduce((sum, stack) => sum + stack.values[index], 0));
  stacks.push({
    name: OTHERS,
    values,
    credits: total("credits"),
    count: total("count"),
    refunded: total("refunded"),
    meters,
  });
  return { ...shared, stacks };
}

function addTo(sums, meters) {
  for (const [meter, count] of Object.entries(meters)) sums[meter] = (sums[meter] ?? 0) + count;
}

function Used({ length, size, bars, before, stacks }) {
  const [pointed, setPointed] = useState({ index: null });
  const read = useCallback((index, left) => setPointed({ index, left }), []);
  const total = useMemo(() => stacks.reduce((sum, stack) => sum + stack.credits, 0), [stacks]);
  if (stacks.length === 0) {
    return html`<${Empty} title="No usage">No usage or refunds on these days.<//>`;
  }
  const all = `${credits(total)} in ${counted(length, "day")}`;
  const { index } = pointed;
  return html`
    <p class="chart-reading">${all}${comparison(total, before, length)}</p>
    ${
      bars.length > 1 &&
      html`<${Chart}
        label=${`Credits used: ${all}. Use the arrow keys to read the bars; the tables below have the numbers.`}
        days=${bars}
        length=${size}
        stacks=${stacks}
        before=${before}
        read=${read}
      >
        ${
          index !== null &&
          html`<${Reading}
            name=${barName(bars, size, index)}
            stacks=${stacks}
            index=${index}
            before=${before?.[index]}
            left=${pointed.left}
            isLate=${index > bars.length / 2}
          />`
        }
      <//>`
    }
    <${Table}
      caption="Usage by feature"
      columns=${byFeature(stacks)}
      rows=${stacks}
      keyOf=${({ name }) => name}
    />
    ${
      bars.length > 1 &&
      html`<details>
        <summary>${size === 1 ? "By day" : "By week"}</summary>
        <${Table}
          caption=${`Credits used by ${size === 1 ? "day" : "week"} and feature`}
          columns=${byDay(stacks, (at) => barName(bars, size, at))}
          rows=${bars
            .map((day, index) => ({ day, index }))
            .filter(({ index }) => stacks.some(({ values }) => values[index]))}
          keyOf=${({ day }) => day}
        />
      </details>`
    }
  `;
}

/** Name a bar: Sat, Nov 21, 2026, or Week from Sun, Nov 15, 2026. */
const barName = (bars, size, index) =>
  size === 1 ? utcDay(bars[index]) : `Week from ${utcDay(bars[index])}`;

/** Compare with the period before: ", 12% more than the previous 30 days (4,885, dashed)". */
function comparison(total, before, length) {
  if (before === null) return "";
  const then = before.reduce((sum, value) => sum + value, 0);
  return `, ${compared(total, then, length)} (${number(then)}${before.length > 1 ? ", dashed" : ""})`;
}

/** The values of a bar, beside it. */
function Reading({ name, stacks, index, before, left, isLate }) {
  const used = stacks.filter(({ values }) => values[index] > 0);
  const sum = used.reduce((total, { values }) => total + values[index], 0);
  return html`<div
    class="chart-tip"
    style=${isLate ? { right: `calc(100% - ${left - 12}px)` } : { left: `${left + 12}px` }}
    role="status"
  >
    <p class="strong">${name}: ${number(sum)}</p>
    ${used.map(
      (stack) => html`<p key=${stack.name} class="tip-row">
        <span><span class=${`swatch chart-${stacks.indexOf(stack) + 1}`} aria-hidden="true"></span>${stack.name}</span>
        ${" "}<${Credits} value=${stack.values[index]} />
      </p>`,
    )}
    ${
      before !== undefined &&
      html`<p class="tip-row quiet"><span>Previous period</span>${" "}<${Credits} value=${before} /></p>`
    }
  </div>`;
}

const byFeature = (stacks) => [
  {
    name: "Feature",
    isRowHeader: true,
    cell: (
      stack,
    ) => html`<span class=${`swatch chart-${stacks.indexOf(stack) + 1}`} aria-hidden="true"></span>
      ${stack.name}`,
  },
  { name: "Uses", isNumber: true, cell: ({ count }) => html`<${Credits} value=${count} />` },
  ...(stacks.some(({ meters }) => Object.keys(meters).length > 0)
    ? [{ name: "Metered", cell: ({ meters }) => metered(meters) }]
    : []),
  { name: "Credits", isNumber: true, isMain: true, cell: (stack) => html`<${Credits} value=${stack.credits} />` },
  {
    name: "Refunded",
    isNumber: true,
    cell: ({ refunded }) => html`<${Credits} value=${refunded} />`,
  },
];

const byDay = (stacks, nameAt) => [
  { name: "Days", isRowHeader: true, cell: ({ index }) => nameAt(index) },
  ...stacks.map(({ name, values }) => ({
    name,
    isNumber: true,
    cell: ({ index }) => number(values[index]),
  })),
  {
    name: "Total",
    isNumber: true,
    isMain: true,
    cell: ({ index }) =>
      html`<strong>${number(stacks.reduce((sum, { values }) => sum + values[index], 0))}</strong>`,
  },
];

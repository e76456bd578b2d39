// An account's usage: credits by day and feature, as a chart and as tables.

import { html, useMemo, useState } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { nameOf } from "../lib/entries.js";
import { counted, credits, dayFromToday, isDay, number, utcDay } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { metered } from "../lib/prices.js";
import { go, href } from "../lib/router.js";
import { COLORS, Chart, dayRead } from "../components/chart.js";
import { DayField, Radios } from "../components/fields.js";
import { Empty, Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Credits } from "../components/values.js";

const DAY_MS = 24 * 3600 * 1000;
const BY_AMOUNT = "Custom amounts";
const OTHERS = "Other features";
const SPANS = ["30", "90"];

/**
 * `query` contains the range: `days` back from today, or `from` and `to` (UTC days, both included).
 *
 * Users edit addresses by hand, so invalid values are ignored.
 */
export function UsageTab({ accountId, turn, query }) {
  const range = rangeOf(query);
  const usage = useLoaded(
    async (signal) => {
      const [answer, list] = await Promise.all([
        get(path`accounts/${accountId}/usage`, {
          query: { from: range.from, to: dayAfter(range.to), group_by: "day,feature" },
          signal,
        }),
        features(),
      ]);
      return stacked(answer.usage, range, list);
    },
    [accountId, range.from, range.to],
    turn,
  );
  return html`<section class="card padded" aria-label="Usage">
    <${Range} accountId=${accountId} ...${range} />
    <${Loaded} of=${usage} what="the usage" lines=${8}>${(data) => html`<${Used} ...${data} />`}<//>
  </section>`;
}

function rangeOf({ days, from, to }) {
  if (isDay(from) && isDay(to) && from <= to) return { chosen: "own", from, to };
  const chosen = SPANS.includes(days) ? days : SPANS[0];
  return { chosen, from: dayFromToday(1 - Number(chosen)), to: dayFromToday(0) };
}

const dayAfter = (day) =>
  new Date(Date.parse(`${day}T00:00:00Z`) + DAY_MS).toISOString().slice(0, 10);

function Range({ accountId, chosen, from, to }) {
  const at = (query) => href(["accounts", accountId, "usage"], query);
  const edit = (changed) => go(at({ from, to, ...changed }), { replace: true });
  return html`<div class="filters">
    <${Radios}
      id="range"
      label="Days (UTC)"
      value=${chosen}
      change=${(days) => go(at(days === "own" ? { from, to } : { days }))}
      options=${[
        ...SPANS.map((days) => [days, `${days} days`]),
        ["own", "Custom"],
      ]}
    />
    ${
      chosen === "own" &&
      html`
      <${DayField} id="usage-from" label="From" value=${from} max=${to} required
        change=${(day) => edit({ from: day })} />
      <${DayField} id="usage-to" label="To" value=${to} min=${from} required
        change=${(day) => edit({ to: day })} />
    `
    }
  </div>`;
}

/** Convert the API's rows to days and stacks, the most used first; the least used share the last. */
function stacked(rows, { from, to }, list) {
  const days = [];
  for (let day = from; day <= to; day = dayAfter(day)) days.push(day);
  const places = new Map(days.map((day, index) => [day, index]));
  const found = new Map();
  for (const row of rows) {
    const name = row.feature === null ? BY_AMOUNT : nameOf(row.feature, list);
    if (!found.has(name)) {
      const values = days.map(() => 0);
      found.set(name, { name, values, credits: 0, count: 0, refunded: 0, meters: {} });
    }
    const stack = found.get(name);
    stack.values[places.get(row.day)] += row.credits;
    for (const field of ["credits", "count", "refunded"]) stack[field] += row[field];
    addTo(stack.meters, row.meters);
  }
  const stacks = [...found.values()].sort((one, other) => other.credits - one.credits);
  if (stacks.length <= COLORS) return { days, stacks };
  const rest = stacks.splice(COLORS - 1);
  const total = (field) => rest.reduce((sum, stack) => sum + stack[field], 0);
  const meters = {};
  for (const stack of rest) addTo(meters, stack.meters);
  const values = days.map((_, index) => rest.reduce((sum, stack) => sum + stack.values[index], 0));
  stacks.push({
    name: OTHERS,
    values,
    credits: total("credits"),
    count: total("count"),
    refunded: total("refunded"),
    meters,
  });
  return { days, stacks };
}

function addTo(sums, meters) {
  for (const [meter, count] of Object.entries(meters)) sums[meter] = (sums[meter] ?? 0) + count;
}

function Used({ days, stacks }) {
  const [pointed, setPointed] = useState(null);
  const total = useMemo(() => stacks.reduce((sum, stack) => sum + stack.credits, 0), [stacks]);
  if (stacks.length === 0) {
    return html`<${Empty} title="No usage">No usage or refunds on these days.<//>`;
  }
  const all = `${credits(total)} in ${counted(days.length, "day")}`;
  return html`
    <p class="chart-reading">${pointed === null ? all : dayRead(days[pointed], stacks, pointed)}</p>
    <${Chart}
      label=${`Credits used by day: ${all}. The tables below have the numbers.`}
      days=${days}
      stacks=${stacks}
      read=${setPointed}
    />
    <${Table}
      caption="Usage by feature"
      columns=${byFeature(stacks)}
      rows=${stacks}
      keyOf=${({ name }) => name}
    />
    <details>
      <summary>By day</summary>
      <${Table}
        caption="Credits used by day and feature"
        columns=${byDay(stacks)}
        rows=${days
          .map((day, index) => ({ day, index }))
          .filter(({ index }) => stacks.some(({ values }) => values[index]))}
        keyOf=${({ day }) => day}
      />
    </details>
  `;
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
  { name: "Credits", isNumber: true, cell: (stack) => html`<${Credits} value=${stack.credits} />` },
  {
    name: "Refunded",
    isNumber: true,
    cell: ({ refunded }) => html`<${Credits} value=${refunded} />`,
  },
];

const byDay = (stacks) => [
  { name: "Day", isRowHeader: true, cell: ({ day }) => utcDay(day) },
  ...stacks.map(({ name, values }) => ({
    name,
    isNumber: true,
    cell: ({ index }) => number(values[index]),
  })),
  {
    name: "Total",
    isNumber: true,
    cell: ({ index }) =>
      html`<strong>${number(stacks.reduce((sum, { values }) => sum + values[index], 0))}</strong>`,
  },
];

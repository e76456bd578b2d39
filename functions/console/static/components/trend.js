// What all accounts' credits did by day: a figure for each measure, and the chart of the chosen one.

import { html, useCallback, useMemo, useState } from "../lib/vendor.js";
import { compared, counted, credits, number, short, utcDay } from "../lib/format.js";
import { Chart } from "./chart.js";
import { Table } from "./table.js";
import { Credits } from "./values.js";

const MEASURES = [
  ["used", "Used"],
  ["bought", "Bought"],
  ["granted", "Granted"],
  ["expired", "Expired"],
  ["refunded", "Refunded"],
];

const sum = (days, field) => days.reduce((total, day) => total + day[field], 0);

/** `days` and `before` are totals by day of the period and of the one before, which may be unknown: []. */
export function Trend({ days, before }) {
  const [measure, setMeasure] = useState(MEASURES[0][0]);
  const [pointed, setPointed] = useState({ index: null });
  const read = useCallback((index, left) => setPointed({ index, left }), []);
  const names = useMemo(() => days.map(({ day }) => day), [days]);
  const stacks = useMemo(
    () => [{ name: measure, values: days.map((day) => day[measure]) }],
    [days, measure],
  );
  const then = useMemo(
    () => (before.length > 0 ? before.map((day) => day[measure]) : null),
    [before, measure],
  );
  const total = sum(days, measure);
  const totalThen = sum(before, measure);
  const change = then === null ? "" : `, ${compared(total, totalThen, days.length)}`;
  const all = `${credits(total)} ${measure} in ${counted(days.length, "day")}`;
  const { index } = pointed;
  return html`
    <div class="measures" role="group" aria-label="Credits">
      ${MEASURES.map(
        ([field, name]) => html`<button
          key=${field}
          type="button"
          aria-pressed=${field === measure}
          onClick=${() => setMeasure(field)}
        >
          <span class="figure-name">${name}</span>
          <span class="figure-value">${short(sum(days, field))}</span>
        </button>`,
      )}
    </div>
    <p class="chart-reading">${all}${change}${change && ` (${number(totalThen)}, dashed)`}</p>
    <${Chart}
      label=${`${all}${change}. Use the arrow keys to read the days; the table below has the numbers.`}
      days=${names}
      length=${1}
      stacks=${stacks}
      before=${then}
      read=${read}
    >
      ${
        index !== null &&
        days[index] &&
        html`<${Reading}
          day=${days[index]}
          measure=${measure}
          before=${then?.[index]}
          left=${pointed.left}
          isLate=${index > days.length / 2}
        />`
      }
    <//>
    <details>
      <summary>By day</summary>
      <${Table} caption="Credits by day" columns=${COLUMNS} rows=${days.filter(isBusy).toReversed()} keyOf=${({ day }) => day} />
    </details>
  `;
}

const isBusy = (day) => MEASURES.some(([field]) => day[field] > 0);

const COLUMNS = [
  { name: "Day", isRowHeader: true, cell: ({ day }) => utcDay(day) },
  ...MEASURES.map(([field, name], index) => ({
    name,
    isNumber: true,
    isMain: index === 0,
    cell: (day) => html`<${Credits} value=${day[field]} />`,
  })),
];

/** The values of a day, beside its bar. */
const Reading = ({ day, measure, before, left, isLate }) => html`<div
  class="chart-tip"
  style=${isLate ? { right: `calc(100% - ${left - 12}px)` } : { left: `${left + 12}px` }}
  role="status"
>
  <p class="strong">${utcDay(day.day)}</p>
  ${MEASURES.filter(([field]) => field === measure || day[field] > 0).map(
    ([field, name]) => html`<p key=${field} class=${`tip-row ${field === measure ? "strong" : ""}`}>
      <span>${name}</span>${" "}<${Credits} value=${day[field]} />
    </p>`,
  )}
  ${
    before !== undefined &&
    html`<p class="tip-row quiet"><span>Previous period</span>${" "}<${Credits} value=${before} /></p>`
  }
</div>`;

// The statement of a month or day: the balance before, what changed it, and the balance after.

import { html, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { counted, number, utcDay } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { prices } from "../lib/prices.js";
import { go } from "../lib/router.js";
import { Radios } from "../components/fields.js";
import { Empty, Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Change, Credits, Id } from "../components/values.js";
import { save } from "../lib/csv.js";
import { changeOf } from "./words.js";

const GROUPS = [
  ["feature", "Feature"],
  ["day", "Day"],
  ["model", "Model"],
  ["reference", "Reference"],
];

const KINDS = { usage: "Used", refund: "Refunds" };

/** How many lines are shown at once: a month may have thousands of references. */
const LINES = 100;

/** The statement of a span of days with a `name`. The address says how its uses are grouped. */
export function Statement({ period, name, span, isOver, query, to, features, turn }) {
  const [by, label] = GROUPS.find(([group]) => group === query.by) ?? GROUPS[0];
  const statement = useLoaded(
    async (signal) => {
      const answer = await get("accounts/me/statement", { query: { ...span, group_by: by }, signal });
      // What is only set aside, or paused, changes nothing.
      const isShown = ({ type, amount }) => amount !== 0 || type in KINDS;
      return { ...answer, lines: answer.lines.filter(isShown) };
    },
    [span.from, span.to, by],
    turn,
  );
  const download = () =>
    save(`statement-${period}-by-${by}.csv`, table(by, label, statement.data.lines, features));
  return html`<section class="card padded" aria-labelledby="statement">
    <div class="card-head">
      <h3 id="statement">Statement</h3>
      <div class="actions">
        <button type="button" class="button small" disabled=${!statement.data} onClick=${download}>
          Download CSV
        </button>
        <button type="button" class="button small" onClick=${() => print()}>Print</button>
      </div>
    </div>
    <div class="not-printed">
      <${Radios}
        id="by"
        label="Group by"
        value=${by}
        change=${(group) => go(to({ by: group }))}
        options=${GROUPS}
      />
    </div>
    ${
      statement.error?.code === "invalid"
        ? html`<${Empty} title="Too much for one statement">
            Group by day, then open a day.
          <//>`
        : html`<${Loaded} of=${statement} what="the statement" lines=${6}>
          ${(data) => html`<${Sums}
            key=${by}
            ...${data}
            name=${name}
            isOver=${isOver}
            columns=${columnsOf(by, to, features)}
            keyOf=${(line) => `${line.type} ${line[by]}`}
          />`}
        <//>`
    }
  </section>`;
}

function Sums({
  balance_before: before,
  balance_after: after,
  lines,
  name,
  isOver,
  columns,
  keyOf,
}) {
  const [shown, setShown] = useState(LINES);
  return html`
    <dl class="sums flat">
      <div class="edge"><dt>Balance at the start</dt><dd><${Credits} value=${before} /></dd></div>
    </dl>
    ${
      lines.length > 0
        ? html`<${Table}
          caption=${`What changed your balance: ${name}`}
          columns=${columns}
          rows=${lines.slice(0, shown)}
          keyOf=${keyOf}
        />`
        : html`<${Empty} title="Nothing changed your balance" />`
    }
    ${
      lines.length > shown &&
      html`<div class="more">
        <button type="button" class="button" onClick=${() => setShown(shown + LINES)}>Show more</button>
        <p class="fine">${number(shown)} of ${counted(lines.length, "line")}</p>
      </div>`
    }
    <dl class="sums flat">
      <div class="edge"><dt>Change</dt><dd><${Change} value=${after - before} /></dd></div>
      <div class="edge total">
        <dt>${isOver ? "Balance at the end" : "Balance so far"}</dt>
        <dd><${Credits} value=${after} /></dd>
      </div>
    </dl>
  `;
}

/** Return the lines as rows of a file, below their names. */
const table = (by, label, lines, features) => {
  const group = by === "feature" ? [] : [label];
  return [
    ["What", ...group, "Times", "Credits"],
    ...lines.map((line) => [
      by === "feature" ? changeOf(line, features) : kindOf(line, features),
      ...group.map(() => line[by]),
      line.count,
      line.amount,
    ]),
  ];
};

const columnsOf = (by, to, features) => [
  ...(by === "day"
    ? [
        {
          name: "Day",
          isRowHeader: true,
          cell: ({ day }) => html`<a href=${to({ day, by: "reference" })}>${utcDay(day)}</a>`,
        },
        { name: "What", cell: (line) => kindOf(line, features) },
      ]
    : [
        { name: "What", isRowHeader: true, cell: (line) => nameIn(by, line, to, features) },
        ...(by === "feature"
          ? [{ name: "Price now", cell: (line) => priceNow(line, features) }]
          : []),
      ]),
  { name: "Times", isNumber: true, cell: ({ count }) => number(count) },
  { name: "Credits", isNumber: true, isMain: true, cell: ({ amount }) => html`<${Change} value=${amount} />` },
];

const kindOf = (line, features) => KINDS[line.type] ?? changeOf(line, features);

/** Name a line. Uses and refunds are grouped, all else is one line of each kind. */
function nameIn(by, line, to, features) {
  if (by === "feature" || !KINDS[line.type]) return changeOf(line, features);
  const refund = line.type === "refund" && "Refund: ";
  const value = line[by];
  if (value === null) return html`${refund}<span class="quiet">No ${by}</span>`;
  if (by === "model") return html`${refund}<${Id}>${value}<//>`;
  return html`${refund}<a href=${to({ reference: value })}><${Id}>${value}<//></a>`;
}

function priceNow({ type, feature }, features) {
  const found = type === "usage" && features.find((one) => one.feature_id === feature);
  return found ? prices(found).join(", ") : "";
}

// The activity within a time: every change of the balance, newest first, and the same as a file.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { counted } from "../lib/format.js";
import { usePages } from "../lib/loading.js";
import { announce } from "../lib/notice.js";
import { More } from "../components/more.js";
import { Empty, Failure } from "../components/states.js";
import { Table } from "../components/table.js";
import { Change, Credits, Id, Time } from "../components/values.js";
import { save } from "../lib/csv.js";
import { changeOf, priceOf } from "./words.js";

const PAGE = 1000;
const PAGES_MAX = 100;

/** The changes within a span of days, or those of them with the reference in the address. */
export function Changes({ period, span, query: { reference }, to, features, turn }) {
  const heading = useRef(null);
  useEffect(() => {
    if (reference) heading.current.focus();
  }, [reference]);
  const pages = usePages(
    async (cursor, signal) => {
      const answer = await get("accounts/me/entries", {
        query: { ...span, reference, cursor },
        signal,
      });
      return { items: answer.entries, cursor: answer.cursor };
    },
    [span.from, span.to, reference],
    turn,
  );
  return html`<section class="card not-printed" aria-labelledby="changes">
    <div class="card-head card-title">
      <h3 id="changes" ref=${heading} tabindex="-1">${reference ? html`Activity for <${Id}>${reference}<//>` : "Activity"}</h3>
      ${
        reference
          ? html`<a class="button small" href=${to({ reference: null })}>Show all</a>`
          : html`<${Download} period=${period} span=${span} features=${features} />`
      }
    </div>
    ${
      pages.isComplete && pages.items.length === 0
        ? html`<${Empty} title="No activity">
          ${
            reference
              ? "A new charge appears here within a few seconds."
              : "Your balance didn't change in this period."
          }
        <//>`
        : html`
          ${
            pages.items.length > 0 &&
            html`<${Table}
            caption="Changes to your balance, newest first"
            columns=${columns(features, to)}
            rows=${pages.items}
            keyOf=${(entry) => entry.seq}
          />`
          }
          <${More} pages=${pages} noun="change" />
        `
    }
  </section>`;
}

const columns = (features, to) => [
  {
    name: "What",
    isRowHeader: true,
    cell: (entry) => html`<span class="strong">${changeOf(entry, features)}</span>
      ${entry.reason && html`<span class="under">${entry.reason}</span>`}`,
  },
  { name: "When", cell: (entry) => html`<${Time} at=${entry.recorded_at} />` },
  {
    name: "Reference",
    cell: ({ reference }) =>
      reference && html`<a href=${to({ reference })}><${Id}>${reference}<//></a>`,
  },
  { name: "Price", cell: (entry) => priceOf(entry, features) },
  { name: "Credits", isNumber: true, isMain: true, cell: (entry) => html`<${Change} value=${entry.amount} />` },
  {
    name: "Balance",
    isNumber: true,
    cell: (entry) => html`<${Credits} value=${entry.balance_after} />`,
  },
];

const HEAD = ["Time (UTC)", "What", "Price", "Reference", "Note", "Credits", "Balance"];

/** A button that saves all changes within a span of days, which it reads page by page. */
function Download({ period, span, features }) {
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState(null);
  const download = async () => {
    setBusy(true);
    setError(null);
    try {
      const entries = await everyChange(span);
      const rows = entries.map((entry) => [
        entry.recorded_at,
        changeOf(entry, features),
        priceOf(entry, features),
        entry.reference,
        entry.reason,
        entry.amount,
        entry.balance_after,
      ]);
      save(`credits-${period}.csv`, [HEAD, ...rows]);
      announce(`Saved: ${counted(rows.length, "change")}.`);
    } catch (failed) {
      setError(failed);
    }
    setBusy(false);
  };
  return html`<button type="button" class="button small" disabled=${isBusy} onClick=${download}>
      ${isBusy ? "Preparing" : "Download CSV"}
    </button>
    ${error && html`<${Failure} error=${error} retry=${download} />`}`;
}

/** Return all changes within a span of days, oldest first. */
async function everyChange(span) {
  const found = [];
  let cursor = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await get("accounts/me/entries", {
      query: { ...span, limit: PAGE, cursor },
    });
    found.push(...answer.entries);
    cursor = answer.cursor;
    if (cursor === null) return found.reverse();
    announce(`${counted(found.length, "change")} so far.`);
  }
  throw new Error("There are too many changes for one file. Save one day at a time.");
}

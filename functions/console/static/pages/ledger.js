// The ledger of an account: every entry, newest first, by type, feature, reference and date.

import { html, useState } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { TYPES, said } from "../lib/entries.js";
import { isDay, localMidnight, words } from "../lib/format.js";
import { useLoaded, usePages } from "../lib/loading.js";
import { go, href } from "../lib/router.js";
import { Choice, DayField, Field } from "../components/fields.js";
import { More } from "../components/more.js";
import { Empty, Loaded } from "../components/states.js";
import { Story } from "../components/story.js";
import { Table } from "../components/table.js";
import { Change, Credits, EntryType, Time } from "../components/values.js";

/** `query` contains the filters, so that links keep them: type, feature, reference, from and to (days). */
export function LedgerTab({ accountId, account, turn, query, open }) {
  const known = useLoaded(features, []);
  const asked = { ...query, from: dayOf(query.from), to: dayOf(query.to) };
  return html`<${Loaded} of=${known} what="the ledger" lines=${8}>
    ${(list) => html`<section class="card" aria-label="Ledger">
      <${Filters} accountId=${accountId} query=${asked} features=${list} />
      <${Entries}
        accountId=${accountId}
        account=${account}
        turn=${turn}
        query=${asked}
        features=${list}
        open=${open}
      />
    </section>`}
  <//>`;
}

const dayOf = (text) => (isDay(text) ? text : undefined);

function Filters({ accountId, query, features: list }) {
  const to = (changed, how) =>
    go(href(["accounts", accountId, "ledger"], { ...query, ...changed }), how);
  const featureIds = new Set(list.map((feature) => feature.feature_id));
  if (query.feature) featureIds.add(query.feature);
  const names = new Map(list.map((feature) => [feature.feature_id, feature.name]));
  return html`<div class="filters" role="group" aria-label="Filters">
    <${Choice}
      id="filter-type"
      label="Type"
      value=${query.type ?? ""}
      change=${(type) => to({ type })}
      options=${[["", "All types"], ...TYPES.map((type) => [type, words(type)])]}
    />
    <${Choice}
      id="filter-feature"
      label="Feature"
      value=${query.feature ?? ""}
      change=${(feature) => to({ feature })}
      options=${[["", "All features"], ...[...featureIds].map((id) => [id, names.get(id) ?? id])]}
    />
    <${DayField}
      id="filter-from"
      label="From"
      value=${query.from ?? ""}
      change=${(from) => to({ from }, { replace: true })}
    />
    <${DayField}
      id="filter-to"
      label="To"
      value=${query.to ?? ""}
      change=${(until) => to({ to: until }, { replace: true })}
    />
    ${
      query.reference &&
      html`<${Field}
        id="filter-reference"
        label="Reference"
        value=${query.reference}
        change=${(reference) => to({ reference: reference.trim() }, { replace: true })}
      />`
    }
    ${
      Object.values(query).some(Boolean) &&
      html`<a class="button small" href=${href(["accounts", accountId, "ledger"])}>Clear filters</a>`
    }
  </div>`;
}

function Entries({ accountId, account, turn, query, features: list, open }) {
  const [openedId, setOpenedId] = useState(null);
  const pages = usePages(
    async (cursor, signal) => {
      const answer = await get(path`accounts/${accountId}/entries`, {
        query: {
          type: query.type,
          feature: query.feature,
          reference: query.reference,
          from: query.from && localMidnight(query.from),
          to: query.to && localMidnight(query.to, 1),
          cursor,
        },
        signal,
      });
      return { items: answer.entries, cursor: answer.cursor };
    },
    [accountId, query.type, query.feature, query.reference, query.from, query.to],
    turn,
  );
  if (pages.isComplete && pages.items.length === 0) {
    return html`<${Empty} title="No entries">
      ${
        Object.values(query).some(Boolean)
          ? "No entries match these filters."
          : "Nothing has happened on this account yet."
      }
    <//>`;
  }
  const story = (entry) =>
    entry.entry_id === openedId &&
    html`<div id=${`story-${entry.seq}`}>
      <${Story}
        accountId=${accountId}
        account=${account}
        entryId=${entry.entry_id}
        features=${list}
        turn=${turn}
        open=${open}
      />
    </div>`;
  return html`
    ${
      pages.items.length > 0 &&
      html`<${Table}
      caption="Entries, newest first"
      columns=${columns(list, openedId, setOpenedId)}
      rows=${pages.items}
      keyOf=${(entry) => entry.seq}
      detail=${story}
    />`
    }
    <${More} pages=${pages} noun="entry" plural="entries" isEndless />
  `;
}

const columns = (list, openedId, setOpenedId) => [
  {
    name: "What",
    isRowHeader: true,
    cell: (entry) => {
      const isOpened = entry.entry_id === openedId;
      return html`<button
          type="button"
          class="opener"
          aria-expanded=${isOpened}
          aria-controls=${isOpened ? `story-${entry.seq}` : undefined}
          onClick=${() => setOpenedId(isOpened ? null : entry.entry_id)}
        >
          ${said(entry, list)}
        </button>
        ${entry.reason && html`<span class="under">${entry.reason}</span>`}`;
    },
  },
  { name: "Type", isSpare: true, cell: (entry) => html`<${EntryType} type=${entry.type} />` },
  { name: "When", cell: (entry) => html`<${Time} at=${entry.recorded_at} />` },
  { name: "Change", isNumber: true, isMain: true, cell: (entry) => html`<${Change} value=${entry.amount} />` },
  {
    name: "Balance",
    isNumber: true,
    cell: (entry) => html`<${Credits} value=${entry.balance_after} />`,
  },
];

// Activity: the ledger of all accounts by time, with filters by type, account, day and hour.

import { html, useState } from "../lib/vendor.js";
import { placeBefore, readEarlier, readHour } from "../lib/activity.js";
import { get } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { PEOPLE, TYPES, actorKind, entryHref, said } from "../lib/entries.js";
import { date, isDay, localMidnight, timeOfDay, words } from "../lib/format.js";
import { useLoaded, usePages } from "../lib/loading.js";
import { go, href } from "../lib/router.js";
import { Actor, Owner } from "../components/actor.js";
import { Choice, DayField, Field } from "../components/fields.js";
import { Heading } from "../components/heading.js";
import { More } from "../components/more.js";
import { Empty, Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Change, Time } from "../components/values.js";

const HOUR_MS = 3600 * 1000;
const DAY_MS = 24 * HOUR_MS;

/**
 * `query` contains the filters: type, account (its ID), and `until`, the last day to show; or the `hour`
 * (its first instant) to show alone.
 */
export function ActivityPage({ query }) {
  const known = useLoaded(features, []);
  return html`
    <div class="page-head"><${Heading} title="Activity" /></div>
    <section class="card" aria-label="Activity of all accounts">
      <${Filters} query=${query} />
      <${Loaded} of=${known} what="the activity" lines=${8}>
        ${(list) => html`<${Entries} query=${query} features=${list} />`}
      <//>
    </section>
  `;
}

function Filters({ query }) {
  const to = (changed) => go(href(["activity"], { ...query, ...changed }));
  return html`<div class="filters" role="group" aria-label="Filters">
    <${Choice}
      id="activity-type"
      label="Type"
      value=${query.type ?? ""}
      change=${(type) => to({ type })}
      options=${[["", "All types"], ...TYPES.map((type) => [type, words(type)])]}
    />
    <${AccountField} key=${query.account} accountId=${query.account} change=${(account) => to({ account })} />
    <${DayField}
      id="activity-until"
      label="Up to"
      value=${query.until ?? ""}
      change=${(until) => to({ until, hour: null })}
    />
    ${
      Object.values(query).some(Boolean) &&
      html`<a class="button small" href=${href(["activity"])}>Clear filters</a>`
    }
  </div>`;
}

/** A filter by one account, found by its address or its ID. */
function AccountField({ accountId, change }) {
  const [text, setText] = useState(accountId ?? "");
  const [error, setError] = useState(undefined);
  const find = async (event) => {
    event.preventDefault();
    setError(undefined);
    try {
      const found = await accountOf(text.trim());
      if (found === undefined) setError("No account with this email or ID.");
      else change(found);
    } catch (failed) {
      setError(failed.message);
    }
  };
  return html`<form onSubmit=${find}>
    <${Field}
      id="activity-account"
      label="Account"
      value=${text}
      change=${setText}
      error=${error}
      placeholder="Email or ID, then Enter"
      autocapitalize="none"
      spellcheck=${false}
    />
  </form>`;
}

/** Return the ID of an account by its owner's address or its ID; undefined if there is none. */
async function accountOf(text) {
  if (!text) return null;
  for (const query of [text.includes("@") && { email: text }, { account_id: text }].filter(Boolean)) {
    const { accounts } = await get("admin/accounts", { query });
    if (accounts.length > 0) return accounts[0].account_id;
  }
  return undefined;
}

const isInstant = (text) => !Number.isNaN(Date.parse(text ?? ""));

/** The entries, newest first, before the end of the day `query.until`; or an hour as it went. */
function Entries({ query: { type, account, until, hour: asked }, features: list }) {
  const hour = isInstant(asked) ? new Date(asked).toISOString() : null;
  const end = isDay(until) ? localMidnight(until, 1) : null;
  const filter = { type, account_id: account };
  const pages = usePages(
    (cursor, signal) =>
      hour
        ? readHour(hour, cursor, filter, signal)
        : readEarlier(cursor ?? placeBefore(end), filter, signal),
    [type, account, end, hour],
  );
  const hourHref = (at) => href(["activity"], { type, account, hour: at });
  return html`
    ${
      account &&
      html`<p class="remark">
        <${Owner} accountId=${account} />${" "}
        <span class="quiet">
          All of this account's entries are in <a href=${href(["accounts", account, "ledger"], { type })}>its ledger</a>.
        </span>
      </p>`
    }
    ${
      hour &&
      html`<p class="remark">
        <span class="strong">${date(hour)}, ${hourName(hour)}</span> <span class="quiet">oldest first</span>${" "}
        <a href=${hourHref(hoursAfter(hour, -1))}>Previous hour</a>${" "}
        <a href=${hourHref(hoursAfter(hour, 1))}>Next hour</a>
      </p>`
    }
    ${
      pages.isComplete && pages.items.length === 0
        ? html`<${Empty} title="No entries in this hour" />`
        : html`
          ${
            pages.items.length > 0 &&
            html`<${Table}
              caption=${hour ? "Entries, oldest first" : "Entries, newest first"}
              columns=${columns(list, hourHref)}
              rows=${pages.items}
              keyOf=${(row) => row.busy ?? row.emptySince ?? `${row.account_id} ${row.seq}`}
              groupOf=${(row) => dayName(row.busy ?? row.emptySince ?? row.recorded_at)}
            />`
          }
          <${More} pages=${pages} noun="entry" plural="entries" label=${hour ? "Show more" : "Earlier"} />
        `
    }
  `;
}

const hoursAfter = (iso, hours) => new Date(Date.parse(iso) + hours * HOUR_MS).toISOString();

/** Name an hour: 2:00 AM to 3:00 AM. */
const hourName = (iso) => `${timeOfDay(iso)} to ${timeOfDay(hoursAfter(iso, 1))}`;

/** Name the local day of an instant: Today, Yesterday, Nov 21, 2026. */
function dayName(iso) {
  const day = date(iso);
  if (day === date(Date.now())) return "Today";
  return day === date(Date.now() - DAY_MS) ? "Yesterday" : day;
}

const columns = (list, hourHref) => [
  {
    name: "What",
    isRowHeader: true,
    cell: (row) => {
      if (row.busy) {
        return html`<a class="strong" href=${hourHref(row.busy)}>${hourName(row.busy)}</a>
          <span class="under">Too many entries to sort. Open the hour to read it from the beginning.</span>`;
      }
      if (row.emptySince) return html`<span class="quiet">No entries since ${timeOfDay(row.emptySince)}</span>`;
      const what = said(row, list);
      return html`<a class="strong" href=${entryHref(row.account_id, row.entry_id)}>${what}</a>
        ${row.reason && row.reason !== what && html`<span class="under">${row.reason}</span>`}`;
    },
  },
  { name: "Account", cell: (row) => row.account_id && html`<${Owner} accountId=${row.account_id} />` },
  { name: "By", cell: (row) => row.actor && html`<${By} entry=${row} />` },
  {
    name: "Time",
    cell: (row) => row.recorded_at && html`<${Time} at=${row.recorded_at} as="time" />`,
  },
  {
    name: "Change",
    isNumber: true,
    isMain: true,
    cell: (row) => row.actor && html`<${Change} value=${row.amount} />`,
  },
];

/** Who made an entry: an admin by address, others by their kind. The account's user is expected. */
const By = ({ entry: { actor, account_id: accountId } }) =>
  PEOPLE.includes(actor.type) && actor.id !== accountId
    ? html`<${Actor} actor=${actor} isBrief />`
    : html`<span class="quiet">${words(actorKind(actor))}</span>`;

// An explanation of the balance: the grants that it consists of and the entries that led to it.

import { html, useEffect, useState } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { entryHref } from "../lib/entries.js";
import { counted, credits, number, words } from "../lib/format.js";
import { usePages } from "../lib/loading.js";
import { href } from "../lib/router.js";
import { More } from "../components/more.js";
import { Table } from "../components/table.js";
import { Upcoming } from "../components/upcoming.js";
import { Bar, Change, Credits, Facts, Id, Time } from "../components/values.js";

const ENTRIES_A_PAGE = 100;

/**
 * The overview of an account.
 *
 * Entries may be newer than the account that the page shows. If they do not add up, both are read
 * again before the page explains the difference by the clock.
 */
export function OverviewTab({ accountId, account: given, quota, holds, plans, turn, open }) {
  const [again, setAgain] = useState(null);
  const account = again?.given === given ? again.account : given;
  const nameOf = (planId) => plans.find((plan) => plan.plan_id === planId)?.name ?? planId;
  return html`
    <h2>Why is the balance ${number(account.balance)}?</h2>
    ${
      account.balance !== given.balance &&
      html`<p class="quiet">It was ${number(given.balance)} when this page was loaded.</p>`
    }
    <div class="columns">
      <${MadeOf} accountId=${accountId} account=${account} />
      <${History}
        accountId=${accountId}
        account=${account}
        turn=${turn}
        outdated=${account === given ? null : again.entries}
        readAgain=${(newer, entries) => setAgain({ given, account: newer, entries })}
      />
    </div>
    <${Upcoming} accountId=${accountId} account=${account} nameOf=${nameOf} turn=${turn} />
    ${holds.length > 0 && html`<${Holds} accountId=${accountId} holds=${holds} open=${open} />`}
    <${Quota} account=${account} quota=${quota} nameOf=${nameOf} open=${open} />
  `;
}

/** Current holds: amount, purpose and expiry. */
function Holds({ accountId, holds, open }) {
  return html`<section class="card" aria-label="Holds">
    <h3 class="card-title">Holds</h3>
    <${Table}
      caption="Open holds, oldest first"
      columns=${holdColumns(accountId, open)}
      rows=${holds}
      keyOf=${(hold) => hold.hold_id}
    />
  </section>`;
}

/** A dispute's hold ends with the dispute and cannot be released. */
const holdColumns = (accountId, open) => [
  {
    name: "Hold",
    isRowHeader: true,
    cell: ({ hold_id: id, opened_by: by, expires_at: at }) =>
      at
        ? html`<a href=${entryHref(accountId, id)}>${id}</a>
            <span class="under">Placed by the ${by === "user" ? "user" : "app"}</span>`
        : html`<${Id}>${id}<//>`,
  },
  { name: "For", cell: ({ feature, expires_at: at }) => feature ?? (at ? "Custom amount" : "Dispute") },
  {
    name: "Expires",
    cell: ({ expires_at: at }) =>
      at
        ? html`<${Time} at=${at} as="relative" /> <span class="under"><${Time} at=${at} /></span>`
        : html`<span class="quiet">When the dispute closes</span>`,
  },
  { name: "Held", isNumber: true, cell: (hold) => html`<${Credits} value=${hold.amount} />` },
  {
    name: "Change",
    isQuiet: true,
    cell: ({ hold_id: id, expires_at: at }) =>
      at &&
      html`<button
        type="button"
        class="button small"
        aria-label=${`Release ${id}`}
        onClick=${() => open("release", id)}
      >
        Release
      </button>`,
  },
];

/** The grants and their sum: remaining + held - owed = balance. */
function MadeOf({ accountId, account }) {
  const left = account.grants.reduce((sum, grant) => sum + grant.remaining, 0);
  return html`<section class="card" aria-label="Grants">
    <h3 class="card-title">What it is made of</h3>
    ${
      account.grants.length > 0
        ? html`<${Table}
          caption="Grants, in the order in which they are spent"
          columns=${grantColumns(accountId, account.grants)}
          rows=${account.grants}
          keyOf=${(grant) => grant.grant_id}
        />`
        : html`<p class="quiet padded">There is no grant: all that arrived has expired or been spent.</p>`
    }
    <dl class="sums equation">
      <div class="edge">
        <dt>Left in grants</dt>
        <dd><${Credits} value=${left} /></dd>
      </div>
      <div>
        <dt>Held, set aside for something that is under way</dt>
        <dd><${Change} value=${account.held} /></dd>
      </div>
      <div>
        <dt>Owed, paid by the next credits that arrive</dt>
        <dd><${Change} value=${-account.debt} /></dd>
      </div>
      <div class="edge total">
        <dt>Balance now</dt>
        <dd><${Credits} value=${account.balance} /></dd>
      </div>
    </dl>
  </section>`;
}

const grantColumns = (accountId, grants) => [
  { name: "Order", cell: (grant) => `${grants.indexOf(grant) + 1}.` },
  {
    name: "Grant",
    isRowHeader: true,
    cell: (grant) => html`<span class="strong">${words(grant.kind)}</span>
      <a class="under" href=${entryHref(accountId, grant.source)}>${grant.source}</a>`,
  },
  {
    name: "Expires",
    cell: ({ expires_at: at }) =>
      at
        ? html`<${Time} at=${at} as="relative" /> <span class="under"><${Time} at=${at} /></span>`
        : html`<span class="quiet">Never</span>`,
  },
  {
    name: "Left",
    isNumber: true,
    cell: (grant) => html`<${Credits} value=${grant.remaining} />
      <span class="quiet"> of ${number(grant.amount)}</span>
      <${Bar} part=${grant.remaining} whole=${grant.amount} />`,
  },
];

/**
 * Opening balance, changes by type and closing balance of the newest entries.
 *
 * `outdated` are the entries that were loaded when the account was read again.
 */
function History({ accountId, account, turn, outdated, readAgain }) {
  const pages = usePages(
    async (cursor, signal) => {
      const answer = await get(path`accounts/${accountId}/entries`, {
        query: { limit: ENTRIES_A_PAGE, cursor },
        signal,
      });
      return { items: answer.entries, cursor: answer.cursor };
    },
    [accountId],
    turn,
  );
  const { items: entries } = pages;
  const isToRead = !outdated && entries.length > 0 && entries[0].balance_after !== account.balance;
  useEffect(() => {
    if (!isToRead) return undefined;
    const stop = new AbortController();
    get(path`accounts/${accountId}`, { signal: stop.signal }).then(
      (newer) => {
        readAgain(newer, entries);
        pages.reload();
      },
      () => {}, // Then there is nothing to explain.
    );
    return () => stop.abort();
  }, [isToRead, account]);
  const isSure = outdated !== null && outdated !== entries;
  return html`<section class="card" aria-labelledby="history-title">
    <h3 id="history-title" class="card-title">How it came about</h3>
    ${entries.length > 0 && html`<${Sums} accountId=${accountId} account=${account} entries=${entries} isSure=${isSure} />`}
    ${
      pages.isComplete
        ? html`<p class="fine padded">
          ${
            entries.length > 0
              ? `All ${counted(entries.length, "entry", "entries")} of the ledger.`
              : "No entries yet."
          }
        </p>`
        : html`<${More} pages=${pages} noun="entry" plural="entries" label="Look further back" />`
    }
  </section>`;
}

function Sums({ accountId, account, entries, isSure }) {
  const [newest, oldest] = [entries[0], entries.at(-1)];
  const opening = oldest.balance_after - oldest.amount;
  const unwritten = account.balance - newest.balance_after;
  const byType = Object.groupBy(entries, (entry) => entry.type);
  return html`<dl class="sums">
    <div class="edge">
      <dt>
        ${oldest.seq === 1 ? "At the start" : html`Before <${Time} at=${oldest.recorded_at} />`}
      </dt>
      <dd><${Credits} value=${opening} /></dd>
    </div>
    ${Object.entries(byType).map(
      ([type, list]) => html`<div key=${type}>
        <dt>
          <a href=${href(["accounts", accountId, "ledger"], { type })}>${words(type)}</a>
          <span class="quiet"> ${counted(list.length, "entry", "entries")}</span>
        </dt>
        <dd><${Change} value=${list.reduce((sum, entry) => sum + entry.amount, 0)} /></dd>
      </div>`,
    )}
    <div class="edge">
      <dt>After the newest entry</dt>
      <dd><${Credits} value=${newest.balance_after} /></dd>
    </div>
    ${
      unwritten !== 0 &&
      html`<div>
      <dt>
        ${isSure ? "Since then, by the clock" : "Between the two"}
        <span class="under">
          ${
            isSure
              ? "Expired or renewed. The next command writes it down."
              : "They were read at different times."
          }
        </span>
      </dt>
      <dd><${Change} value=${unwritten} /></dd>
    </div>`
    }
    <div class="edge total">
      <dt>Balance now</dt>
      <dd><${Credits} value=${account.balance} /></dd>
    </div>
  </dl>`;
}

/** Mark a value that overrides the plan's. */
const owned = (isOwn) => (isOwn ? ", custom" : "");

/** Plan, allowance, limits and the pending change. */
function Quota({ account, quota, nameOf, open }) {
  const { next, overrides } = quota;
  const limits = Object.entries(quota.limits);
  return html`<section class="card padded" aria-labelledby="quota-title">
    <h3 id="quota-title">Plan and quota</h3>
    <${Facts}
      facts=${[
        ["Plan", nameOf(quota.plan_id)],
        [
          "Allowance",
          quota.unlimited
            ? "Unlimited"
            : `${credits(quota.monthly_credits)} per period${owned(overrides.monthly_credits !== null)}`,
        ],
        [
          "Period",
          html`<${Time} at=${quota.period.start} as="date" /> to <${Time} at=${quota.period.end} as="date" />`,
        ],
        ["Subscription", account.subscription_status && words(account.subscription_status)],
        ["Granted in total", credits(account.granted_total)],
        ["Used in total", credits(account.consumed_total)],
        ...limits.map(([name, value]) => [
          `Limit ${name}`,
          `${number(value)}${owned(name in overrides.limits)}`,
        ]),
      ]}
    />
    ${
      next &&
      html`<div class="coming">
      <p>
        From <${Time} at=${quota.period.end} as="date" />: ${nameOf(next.plan_id)},${" "}
        ${next.unlimited ? "unlimited" : `${credits(next.monthly_credits)} per period`}.
      </p>
      <button type="button" class="button small" onClick=${() => open("plan")}>Change</button>
    </div>`
    }
  </section>`;
}

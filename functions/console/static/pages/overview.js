// An explanation of the balance: the grants that it consists of and the entries that led to it.

import { html } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { entryHref, grantName, said } from "../lib/entries.js";
import { counted, credits, number, words } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { href } from "../lib/router.js";
import { Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Upcoming } from "../components/upcoming.js";
import { Bar, Change, Credits, Facts, Id, Time } from "../components/values.js";

const RECENT = 6;

/** The overview of an account. */
export function OverviewTab({ accountId, account, quota, holds, plans, turn, open }) {
  const nameOf = (planId) => plans.find((plan) => plan.plan_id === planId)?.name ?? planId;
  return html`
    <h2>Why is the balance ${number(account.balance)}?</h2>
    <div class="columns">
      <${MadeOf} accountId=${accountId} account=${account} />
      <${History} accountId=${accountId} account=${account} turn=${turn} />
    </div>
    ${holds.length > 0 && html`<${Holds} accountId=${accountId} holds=${holds} open=${open} />`}
    <${Upcoming} accountId=${accountId} account=${account} nameOf=${nameOf} turn=${turn} />
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
  { name: "Held", isNumber: true, isMain: true, cell: (hold) => html`<${Credits} value=${hold.amount} />` },
  {
    name: "Change",
    isQuiet: true,
    cell: ({ hold_id: id, expires_at: at }) =>
      at &&
      html`<button
        type="button"
        class="button small danger-quiet"
        aria-label=${`Release ${id}`}
        onClick=${() => open("release", id)}
      >
        Release
      </button>`,
  },
];

/** The grants and their sum: remaining + held - owed = balance. */
function MadeOf({ accountId, account }) {
  const live = account.grants.filter((grant) => grant.remaining > 0);
  const spent = account.grants.filter((grant) => grant.remaining === 0);
  const left = live.reduce((sum, grant) => sum + grant.remaining, 0);
  return html`<section class="card" aria-label="Grants">
    <h3 class="card-title">What it's made of</h3>
    ${
      live.length > 0
        ? html`<${Table}
          caption="Grants with credits left, in the order they're spent"
          columns=${grantColumns(accountId)}
          rows=${live}
          keyOf=${(grant) => grant.grant_id}
        />`
        : html`<p class="quiet padded">No grant has credits left.</p>`
    }
    ${
      spent.length > 0 &&
      html`<details class="fold">
        <summary>${counted(spent.length, "used-up grant")}</summary>
        <${Table}
          caption="Used-up grants"
          columns=${grantColumns(accountId)}
          rows=${spent}
          keyOf=${(grant) => grant.grant_id}
        />
      </details>`
    }
    <dl class="sums equation">
      <div class="edge">
        <dt>Left in grants</dt>
        <dd><${Credits} value=${left} /></dd>
      </div>
      ${
        account.held > 0 &&
        html`<div>
        <dt>Held for work in progress</dt>
        <dd><${Change} value=${account.held} /></dd>
      </div>`
      }
      ${
        account.debt > 0 &&
        html`<div>
        <dt>Owed, paid by the next credits</dt>
        <dd><${Change} value=${-account.debt} /></dd>
      </div>`
      }
      <div class="edge total">
        <dt>Balance now</dt>
        <dd><${Credits} value=${account.balance} /></dd>
      </div>
    </dl>
  </section>`;
}

const grantColumns = (accountId) => [
  {
    name: "Grant",
    isRowHeader: true,
    cell: ({ kind, source, granted_at: at }) => html`<span class="strong">${grantName(kind)}</span>
      <a class="under" href=${entryHref(accountId, source)} title=${source}><${Time} at=${at} as="date" /></a>`,
  },
  {
    name: "Expires",
    cell: ({ expires_at: at }) =>
      at
        ? html`<${Time} at=${at} as="relative" /> <span class="under"><${Time} at=${at} as="date" /></span>`
        : html`<span class="quiet">Never</span>`,
  },
  { name: "Granted", isNumber: true, cell: ({ amount }) => html`<${Credits} value=${amount} />` },
  {
    name: "Used or held",
    isNumber: true,
    cell: ({ amount, remaining }) => html`<${Credits} value=${amount - remaining} />`,
  },
  {
    name: "Left",
    isNumber: true,
    isMain: true,
    cell: (grant) => html`<strong><${Credits} value=${grant.remaining} /></strong>
      <${Bar} part=${grant.remaining} whole=${grant.amount} />`,
  },
];

/** All credits that came and went, by the account's totals: complete however long its ledger is. */
function History({ accountId, account, turn }) {
  const { granted_total: granted, consumed_total: used, balance } = account;
  const rest = balance - granted + used;
  return html`<section class="card" aria-labelledby="history-title">
    <h3 id="history-title" class="card-title">How it got here</h3>
    <dl class="sums">
      <div>
        <dt>Granted <span class="under">Plan, welcome, purchased, and added credits</span></dt>
        <dd><${Change} value=${granted} /></dd>
      </div>
      <div>
        <dt>
          <a href=${href(["accounts", accountId, "ledger"], { type: "usage" })}>Used</a>
          <span class="under">After refunds</span>
        </dt>
        <dd><${Change} value=${-used} /></dd>
      </div>
      ${
        rest !== 0 &&
        html`<div>
        <dt>
          ${rest < 0 ? "Expired, deducted, or reversed" : "Free usage"}
          <span class="under">
            ${rest < 0 ? "With payments or by an admin" : "On an unlimited plan, less what expired or was deducted"}
          </span>
        </dt>
        <dd><${Change} value=${rest} /></dd>
      </div>`
      }
      <div class="edge total">
        <dt>Balance now</dt>
        <dd><${Credits} value=${balance} /></dd>
      </div>
    </dl>
    <${Recent} accountId=${accountId} turn=${turn} />
  </section>`;
}

/** The newest entries, and what time alone has changed since. */
function Recent({ accountId, turn }) {
  const recent = useLoaded(
    async (signal) => {
      const [{ entries }, list] = await Promise.all([
        get(path`accounts/${accountId}/entries`, { query: { limit: RECENT }, signal }),
        features(),
      ]);
      // Read afterward, so that it includes the entries.
      const { balance } = await get(path`accounts/${accountId}`, { signal });
      return { entries, list, unwritten: balance - (entries[0]?.balance_after ?? 0) };
    },
    [accountId],
    turn,
  );
  return html`<h3 class="card-title">Latest changes</h3>
    <${Loaded} of=${recent} what="the latest changes" lines=${4}>
      ${({ entries, list, unwritten }) => html`<ul class="recent">
        ${
          unwritten !== 0 &&
          html`<li>
            <span title="The next entry records it.">Renewed or expired since</span>
            <span></span>
            <${Change} value=${unwritten} />
          </li>`
        }
        ${entries.map(
          (entry) => html`<li key=${entry.seq}>
            <a href=${entryHref(accountId, entry.entry_id)}>${said(entry, list)}</a>
            <span class="fine"><${Time} at=${entry.recorded_at} as="relative" /></span>
            <${Change} value=${entry.amount} />
          </li>`,
        )}
      </ul>`}
    <//>
    <p class="card-foot"><a href=${href(["accounts", accountId, "ledger"])}>View ledger</a></p>`;
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

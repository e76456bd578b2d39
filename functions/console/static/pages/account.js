// One account: what it has, what can be done to it, and its tabs.

import { html, useCallback, useState } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { plans } from "../lib/catalog.js";
import { emailsOf } from "../lib/emails.js";
import { number, words } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { announce } from "../lib/notice.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Failure, Loading } from "../components/states.js";
import { AccountStatus, Bar, Chip, Copy, Credits, Time } from "../components/values.js";
import { AllowanceDialog } from "../dialogs/allowance.js";
import { CreditsDialog } from "../dialogs/credits.js";
import { FreezeDialog } from "../dialogs/freeze.js";
import { PlanDialog } from "../dialogs/plan.js";
import { RefundDialog } from "../dialogs/refund.js";
import { ResetDialog } from "../dialogs/reset.js";
import { AuditTab } from "./audit.js";
import { EntryTab } from "./entry.js";
import { LedgerTab } from "./ledger.js";
import { OverviewTab } from "./overview.js";
import { UsageTab } from "./usage.js";

const TABS = [
  ["Overview", undefined],
  ["Ledger", "ledger"],
  ["Usage", "usage"],
  ["Audit", "audit"],
];

/**
 * `rest` are the segments behind the account's id: the tab, and an entry's id.
 *
 * Each change that is made here begins another `turn`. Tabs read theirs anew once the account has
 * been: an older account beside newer entries would not add up.
 */
export function AccountPage({ accountId, rest: [tab, entryId], query }) {
  const [turn, setTurn] = useState(0);
  const [dialog, setDialog] = useState(null);
  const about = useLoaded(
    async (signal) => {
      const [account, quota, allPlans] = await Promise.all([
        get(path`accounts/${accountId}`, { signal }),
        get(path`accounts/${accountId}/quota`, { signal }),
        plans(),
      ]);
      return { account, quota, plans: allPlans, turn };
    },
    [accountId],
    turn,
  );
  const close = useCallback(() => setDialog(null), []);
  const done = useCallback((text) => {
    setDialog(null);
    setTurn((before) => before + 1);
    announce(text);
  }, []);

  const { data, error } = about;
  const heading = html`<${Heading}
    title=${emailsOf(accountId)[0] ?? accountId}
    place=${[accountId, tab, entryId].join("/")}
  />`;
  if (error) {
    return html`${heading}<${Failure}
        error=${error}
        title=${error.code === "account_not_found" ? `There is no account ${accountId}` : undefined}
        retry=${about.reload}
      />`;
  }
  if (data === undefined) return html`${heading}<${Loading} what="the account" lines=${8} />`;
  const open = (name, entry) => setDialog({ name, entry });
  const shared = { ...data, accountId, query, open };
  return html`
    <${Head} ...${shared} heading=${heading} />
    <nav class="tabs" aria-label="Account">
      ${TABS.map(
        ([name, segment]) => html`<a
          key=${name}
          href=${href(["accounts", accountId, segment].filter(Boolean))}
          aria-current=${isAt(tab, segment) ? "page" : undefined}
          >${name}</a
        >`,
      )}
    </nav>
    <${Tab} tab=${tab} entryId=${entryId} shared=${shared} />
    ${dialog && html`<${Dialogs} dialog=${dialog} shared=${shared} close=${close} done=${done} />`}
  `;
}

/** An entry's own page is part of the ledger. */
const isAt = (tab, segment) => tab === segment || (tab === "entries" && segment === "ledger");

function Tab({ tab, entryId, shared }) {
  switch (tab) {
    case "ledger":
      return html`<${LedgerTab} ...${shared} />`;
    case "entries":
      return html`<${EntryTab} key=${entryId} ...${shared} entryId=${entryId} />`;
    case "usage":
      return html`<${UsageTab} ...${shared} />`;
    case "audit":
      return html`<${AuditTab} ...${shared} />`;
    default:
      return html`<${OverviewTab} ...${shared} />`;
  }
}

function Dialogs({ dialog: { name, entry }, shared, close, done }) {
  const given = { ...shared, close, done };
  switch (name) {
    case "credits":
      return html`<${CreditsDialog} ...${given} />`;
    case "plan":
      return html`<${PlanDialog} ...${given} />`;
    case "allowance":
      return html`<${AllowanceDialog} ...${given} />`;
    case "reset":
      return html`<${ResetDialog} ...${given} />`;
    case "freeze":
      return html`<${FreezeDialog} ...${given} />`;
    default:
      return html`<${RefundDialog} ...${given} entryId=${entry} />`;
  }
}

function Head({ account, quota, plans: allPlans, heading, open }) {
  const isClosed = account.status === "closed";
  const planName = allPlans.find((plan) => plan.plan_id === account.plan_id)?.name;
  return html`
    <div class="account-head">
      <div>
        <div class="title-row">${heading} <${States} account=${account} /></div>
        <p class="under">
          <code class="id">${account.account_id}</code>
          <${Copy} text=${account.account_id} name="the account's id" />
          ${emailsOf(account.account_id)
            .slice(1)
            .map((email) => html`<span key=${email}>${email}</span>`)}
        </p>
      </div>
      ${!isClosed && html`<${Actions} account=${account} open=${open} />`}
    </div>
    <section class="figures card" aria-label="The account now">
      <div class="figure big">
        <span class="figure-name">Balance</span>
        <span class="figure-value"><${Credits} value=${account.balance} /></span>
        <span class="under">credits</span>
      </div>
      <div class="figure">
        <span class="figure-name">Available</span>
        <span class="figure-value"><${Credits} value=${account.available} /></span>
        <span class="under">
          <${Credits} value=${account.held} /> held, <span class=${account.debt ? "loss" : ""}>
            <${Credits} value=${account.debt} /> owed</span
          >
        </span>
      </div>
      <div class="figure">
        <span class="figure-name">Plan</span>
        <span class="figure-value">${planName ?? words(account.plan_id)}</span>
        <span class="under">
          ${quota.unlimited ? "no limit" : `${number(quota.monthly_credits)} a period`}${account.subscription_status &&
          `, subscription ${words(account.subscription_status).toLowerCase()}`}
        </span>
      </div>
      <div class="figure">
        <span class="figure-name">Used this period</span>
        <span class="figure-value"><${Credits} value=${account.used} /></span>
        ${!quota.unlimited && html`<${Bar} part=${account.used} whole=${quota.monthly_credits} />`}
        <span class="under">
          resets <${Time} at=${account.period.end} as="relative" />, <${Time} at=${account.period.end} as="date" />
        </span>
      </div>
    </section>
  `;
}

const States = ({ account }) => html`
  <${AccountStatus} status=${account.status} />
  ${account.unlimited && html`<${Chip} tone="info">Unlimited<//>`}
  ${account.debt > 0 && html`<${Chip} tone="bad">In debt<//>`}
`;

const Actions = ({ account, open }) => html`<div class="actions" role="group" aria-label="Change the account">
  <button type="button" class="button primary" onClick=${() => open("credits")}>Manage credits</button>
  <button type="button" class="button" onClick=${() => open("plan")}>Change plan</button>
  <button type="button" class="button" onClick=${() => open("allowance")}>Allowance and limits</button>
  <button type="button" class="button" onClick=${() => open("reset")}>Reset usage</button>
  <button type="button" class="button" onClick=${() => open("freeze")}>
    ${account.status === "frozen" ? "Unfreeze" : "Freeze"}
  </button>
</div>`;

// An account: its figures, the actions on it, and its tabs.

import { html, useCallback, useEffect, useState } from "../lib/vendor.js";
import { get, path, post, remove } from "../lib/api.js";
import { plans } from "../lib/catalog.js";
import { number, setNow, words } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { offer } from "../lib/commands.js";
import { announce } from "../lib/notice.js";
import { href } from "../lib/router.js";
import { isDev } from "../lib/session.js";
import { Heading } from "../components/heading.js";
import { later } from "../components/later.js";
import { Menu } from "../components/menu.js";
import { Failure, Loading } from "../components/states.js";
import { Bar, Chip, Copy, Credits, Id, Time } from "../components/values.js";
import { AuditTab } from "./audit.js";
import { EntryTab } from "./entry.js";
import { LedgerTab } from "./ledger.js";
import { OverviewTab } from "./overview.js";
import { QuickCredits } from "./quick-credits.js";

const UsageTab = later(async () => (await import("./usage.js")).UsageTab);

const AllowanceDialog = later(async () => (await import("../dialogs/allowance.js")).AllowanceDialog);
const ClockDialog = later(async () => (await import("../dialogs/clock.js")).ClockDialog);
const CloseDialog = later(async () => (await import("../dialogs/close.js")).CloseDialog);
const CreditsDialog = later(async () => (await import("../dialogs/credits.js")).CreditsDialog);
const FreezeDialog = later(async () => (await import("../dialogs/freeze.js")).FreezeDialog);
const PlanDialog = later(async () => (await import("../dialogs/plan.js")).PlanDialog);
const RefundDialog = later(async () => (await import("../dialogs/refund.js")).RefundDialog);
const ReleaseDialog = later(async () => (await import("../dialogs/release.js")).ReleaseDialog);
const ResetDialog = later(async () => (await import("../dialogs/reset.js")).ResetDialog);

const TABS = [
  ["Overview", undefined],
  ["Ledger", "ledger"],
  ["Usage", "usage"],
  ["Audit", "audit"],
];

const UNKNOWN = "The change may have been made. Check the ledger and the audit log.";

/**
 * `rest` are the segments after the account's ID: the tab and an entry's ID.
 *
 * Each change starts another `turn`. Tabs reload after the account has: an older account would not
 * add up with newer entries.
 */
export function AccountPage({ accountId, rest: [tab, entryId], query }) {
  const [turn, setTurn] = useState(0);
  const [dialog, setDialog] = useState(null);
  const [isEditing, setEditing] = useState(false);
  const about = useLoaded(
    async (signal) => {
      const [account, quota, { holds }, allPlans, emails] = await Promise.all([
        get(path`accounts/${accountId}`, { signal }),
        get(path`accounts/${accountId}/quota`, { signal }),
        get(path`accounts/${accountId}/holds`, { signal }),
        plans(),
        emailsOf(accountId, signal),
      ]);
      setNow(account.clock);
      return { account, quota, holds, plans: allPlans, emails, turn };
    },
    [accountId],
    turn,
  );
  useEffect(() => () => setNow(null), []);
  const close = useCallback((trouble) => {
    setDialog(null);
    if (trouble) setTurn((before) => before + 1);
    if (trouble === "unknown") announce(UNKNOWN);
  }, []);
  const done = useCallback((text) => {
    setDialog(null);
    setEditing(false);
    setTurn((before) => before + 1);
    announce(text);
  }, []);

  const { data, error } = about;
  const open = (name, entry) => setDialog({ name, entry });
  const shared = { ...data, accountId, query, open };
  const isOpen = data && data.account.status !== "closed";
  const menu = isOpen ? actionsOn(accountId, data.account, open) : [];
  useEffect(() => {
    const adjust = { name: "Adjust credits", act: () => open("credits") };
    offer((isOpen ? [adjust, ...menu] : []).map((action) => ({ ...action, hint: "This account" })));
  }, [data]);
  useEffect(() => () => offer([]), []);
  return html`
    <${Head}
      accountId=${accountId}
      account=${data?.account}
      emails=${data?.emails ?? []}
      place=${[accountId, tab, entryId].join("/")}
      menu=${menu}
      open=${open}
    />
    ${
      error &&
      html`<${Failure}
      error=${error}
      title=${error.code === "account_not_found" ? `No account with the ID ${accountId}` : undefined}
      retry=${about.reload}
    />`
    }
    ${!error && !data && html`<${Loading} what="the account" lines=${8} />`}
    ${
      data &&
      html`
      ${data.account.clock && html`<${OwnClock} clock=${data.account.clock} />`}
      <${Figures} ...${shared} isEditing=${isEditing} edit=${() => setEditing(!isEditing)} />
      ${isEditing && html`<${QuickCredits} ...${shared} open=${() => open("credits")} done=${done} />`}
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
    `
    }
  `;
}

/** Return an account's email addresses, which only the list of accounts contains. */
async function emailsOf(accountId, signal) {
  const { accounts } = await get("admin/accounts", { query: { account_id: accountId }, signal });
  return accounts[0]?.emails ?? [];
}

/** An entry's page belongs to the Ledger tab. */
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
    case "close":
      return html`<${CloseDialog} ...${given} />`;
    case "clock":
      return html`<${ClockDialog} ...${given} />`;
    case "release":
      return html`<${ReleaseDialog} ...${given} holdId=${entry} />`;
    default:
      return html`<${RefundDialog} ...${given} entryId=${entry} />`;
  }
}

/** The account's name, and the actions once it has loaded. */
function Head({ accountId, account, emails: [email, ...others], place, menu, open }) {
  return html`<div class="account-head">
    <div>
      <div class="title-row">
        <${Heading} title=${email ?? accountId} place=${place} />
        ${account && html`<${States} account=${account} />`}
      </div>
      ${
        account &&
        html`<p class="under">
        ${email && html`<${Id}>${accountId}<//>`} <${Copy} text=${accountId} />
        ${others.map((other) => html`<span key=${other}> ${other}</span>`)}
      </p>`
      }
    </div>
    ${
      menu.length > 0 &&
      html`<div class="actions">
        <button type="button" class="button primary" onClick=${() => open("credits")}>Adjust credits</button>
        <${Menu} label="More" actions=${menu} />
      </div>`
    }
  </div>`;
}

const OwnClock = ({ clock }) => html`<p class="warning">
  This account runs on its own clock: <strong><${Time} at=${clock} /></strong> when this page loaded.
</p>`;

function Figures({ account, quota, plans: allPlans, isEditing, edit }) {
  const planName =
    allPlans.find((plan) => plan.plan_id === account.plan_id)?.name ?? account.plan_id;
  const subscription =
    account.subscription_status &&
    `, subscription ${words(account.subscription_status).toLowerCase()}`;
  return html`<section class="figures card" aria-label="The account now">
    <${Figure} name="Balance" value=${html`<${Credits} value=${account.balance} />`} isBig>
      credits${" "}
      ${
        account.status !== "closed" &&
        html`<button type="button" class="link" aria-expanded=${isEditing} onClick=${edit}>Edit</button>`
      }
    <//>
    <${Figure} name="Available" value=${html`<${Credits} value=${account.available} />`}>
      ${account.held > 0 ? html`<${Credits} value=${account.held} /> held` : "to spend"}
      ${account.debt > 0 && html`, <span class="loss"><${Credits} value=${account.debt} /> owed</span>`}
    <//>
    <${Figure} name="Plan" value=${planName}>
      ${quota.unlimited ? "unlimited" : `${number(quota.monthly_credits)} per period`}${subscription}
    <//>
    <${Figure} name="Used this period" value=${html`<${Credits} value=${account.used} />`}>
      ${!quota.unlimited && html`<${Bar} part=${account.used} whole=${quota.monthly_credits} />`}
      resets <${Time} at=${account.period.end} as="relative" />, <${Time} at=${account.period.end} as="date" />
    <//>
  </section>`;
}

const Figure = ({
  name,
  value,
  isBig,
  children,
}) => html`<div class=${`figure ${isBig ? "big" : ""}`}>
  <span class="figure-name">${name}</span>
  <span class="figure-value">${value}</span>
  <span class="under">${children}</span>
</div>`;

const TONES = { frozen: "bad", closed: "plain" };

/** What is out of the ordinary. */
const States = ({ account: { status, unlimited, debt, subscription_status: subscription } }) => html`
  ${status !== "active" && html`<${Chip} tone=${TONES[status]}>${words(status)}<//>`}
  ${unlimited && html`<${Chip} tone="info">Unlimited<//>`}
  ${debt > 0 && html`<${Chip} tone="bad">In debt<//>`}
  ${subscription === "past_due" && html`<${Chip} tone="warn">Past due<//>`}
`;

/** The actions of the menu; the server says which of them it would refuse. */
function actionsOn(accountId, account, open) {
  const verb = account.status === "frozen" ? "unfreeze" : "freeze";
  const tried = (to) => (signal) => post(to, {}, { isDryRun: true, signal });
  return [
    { name: "Change plan", act: () => open("plan") },
    { name: "Allowance and limits", act: () => open("allowance") },
    isDev() && { name: "Set clock", act: () => open("clock") },
    {
      name: "Reset usage",
      act: () => open("reset"),
      isDanger: true,
      rehearse: tried(path`accounts/${accountId}/reset`),
    },
    {
      name: words(verb),
      act: () => open("freeze"),
      isDanger: verb === "freeze",
      rehearse: tried(`${path`accounts/${accountId}`}/${verb}`),
    },
    {
      name: "Close account",
      act: () => open("close"),
      isDanger: true,
      rehearse: (signal) => remove(path`accounts/${accountId}`, { isDryRun: true, signal }),
    },
  ].filter(Boolean);
}

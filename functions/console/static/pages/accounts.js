// The list of accounts: newest first, by state or plan, or those whose names begin like something.

import { html, useEffect, useMemo, useState } from "../lib/vendor.js";
import { nameOf, readPage } from "../lib/accounts.js";
import { get } from "../lib/api.js";
import { plans } from "../lib/catalog.js";
import { number, words } from "../lib/format.js";
import { useLoaded, usePages } from "../lib/loading.js";
import { offer } from "../lib/commands.js";
import { announce } from "../lib/notice.js";
import { go, href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { More } from "../components/more.js";
import { Empty } from "../components/states.js";
import { Table } from "../components/table.js";
import { Chip, Credits, Time } from "../components/values.js";
import { CreditsDialog } from "../dialogs/credits.js";
import { OpenAccountDialog } from "../dialogs/open-account.js";
import { Chosen, useSeveral } from "./accounts-several.js";
import { Export } from "./accounts-export.js";
import { Filters } from "./accounts-filters.js";
import { QuickCredits } from "./quick-credits.js";

const ROWS = 50;

/** List the accounts of a filter: a `state`, a `plan`, or `q`, how their names begin. */
export function AccountsPage({ query: { state, plan, q } }) {
  const filter = useMemo(() => (state ? { state } : plan ? { plan } : { q }), [state, plan, q]);
  const [areAllListed, setAllListed] = useState(true);
  const pages = usePages(
    async (cursor, signal) => {
      const page = await readPage(filter, cursor, ROWS, signal);
      setAllListed(page.areAllListed);
      return page;
    },
    [filter],
  );
  // The list comes first.
  const [isRead, setRead] = useState(false);
  useEffect(() => {
    if (!pages.isLoading) setRead(true);
  }, [pages.isLoading]);
  const { data: known } = useLoaded(
    async (signal) => {
      if (!isRead) return undefined;
      const [counts, list] = await Promise.all([get("admin/accounts/counts", { signal }), plans()]);
      return { counts, plans: new Map(list.map((one) => [one.plan_id, one.name])) };
    },
    [isRead],
  );
  const [changed, setChanged] = useState(new Map());
  const [editedId, setEditedId] = useState(null);
  const [dialog, setDialog] = useState(null);
  useEffect(() => setEditedId(null), [filter]);
  useEffect(() => {
    offer([{ name: "New account", act: () => setDialog("open") }]);
    return () => offer([]);
  }, []);
  const change = (account) =>
    setChanged((before) => new Map(before).set(account.account_id, account));
  // A name that begins alike may be one of several of its account.
  const byId = new Map(pages.items.map((one) => [one.account_id, one]));
  const rows = [...byId.values()].map((one) => ({ ...one, ...changed.get(one.account_id) }));
  const several = useSeveral(rows, filter, change);
  const opened = (id) => {
    announce(`Account ${id} is open`);
    go(href(["accounts", id]));
  };
  const leave = () => {
    document.getElementById(balanceId(editedId)).focus();
    setEditedId(null);
    setDialog(null);
  };
  const adjusted = (text, account) => {
    leave();
    change(account);
    announce(text);
  };
  const editor = (account) =>
    account.account_id === editedId &&
    html`<div onKeyDown=${({ key }) => key === "Escape" && leave()}>
      <${QuickCredits}
        accountId=${editedId}
        account=${account}
        open=${() => setDialog("credits")}
        done=${adjusted}
      />
    </div>`;
  const isNone = pages.isComplete && rows.length === 0;
  return html`
    <div class="page-head">
      <${Heading} title="Accounts" />
      <button type="button" class="button primary" onClick=${() => setDialog("open")}>New account</button>
    </div>
    <${Filters} filter=${filter} known=${known} />
    ${
      areAllListed ||
      html`<p class="fine">
        Accounts from before the last update are missing here and in the counts
        until someone runs <code>scrip index</code>.
      </p>`
    }
    <section class="card" aria-label="Accounts">
      ${
        rows.length > 0 &&
        html`
        <div class="list-bar">
          ${several.selectAll}
          <${Export} key=${JSON.stringify(filter)} filter=${filter} />
        </div>
        <${Table}
          caption="Accounts"
          columns=${[several.column, ...columns(known?.plans, editedId, setEditedId)]}
          rows=${rows}
          keyOf=${(account) => account.account_id}
          detail=${editor}
        />`
      }
      ${isNone ? html`<${NoAccounts} filter=${filter} />` : html`<${More} pages=${{ ...pages, items: rows }} noun="account" />`}
    </section>
    <${Chosen} ...${several} />
    ${dialog === "open" && html`<${OpenAccountDialog} close=${() => setDialog(null)} done=${opened} />`}
    ${
      dialog === "credits" &&
      html`<${CreditsDialog} accountId=${editedId} close=${() => setDialog(null)} done=${adjusted} />`
    }
  `;
}

const balanceId = (id) => `balance-${id}`;

const columns = (names, editedId, edit) => [
  {
    name: "Account",
    isRowHeader: true,
    cell: (account) =>
      html`<a class="strong" href=${href(["accounts", account.account_id])}>${nameOf(account)}</a>`,
  },
  { name: "Name", cell: ({ name }) => name },
  { name: "Plan", cell: ({ plan_id: plan }) => plan && (names?.get(plan) ?? words(plan)) },
  { name: "Needs attention", isQuiet: true, cell: (account) => html`<${States} account=${account} />` },
  {
    name: "Opened",
    isSpare: true,
    cell: ({ opened_at: at }) => at && html`<${Time} at=${at} as="date" />`,
  },
  {
    name: "Available",
    isNumber: true,
    isSpare: true,
    cell: ({ available }) => available !== undefined && html`<${Credits} value=${available} />`,
  },
  {
    name: "Balance",
    isNumber: true,
    isMain: true,
    cell: (account) => {
      const { account_id: id, balance } = account;
      if (balance === undefined) return null;
      const isEdited = id === editedId;
      return html`<button
        type="button"
        id=${balanceId(id)}
        class="editable number"
        title="Edit"
        aria-expanded=${isEdited}
        onClick=${() => edit(isEdited ? null : id)}
      >
        ${number(balance)}<span class="unseen"> credits: edit the balance of ${nameOf(account)}</span>
      </button>`;
    },
  },
];

/** What is out of the ordinary. */
function States({ account }) {
  const { status, debt, held, available, subscription_status: subscription, error } = account;
  const states = [
    error && ["bad", `Unreadable: ${words(error).toLowerCase()}`],
    status && status !== "active" && ["bad", words(status)],
    debt > 0 && ["bad", `Owes ${number(debt)}`],
    subscription === "past_due" && ["warn", "Past due"],
    debt === 0 && available <= 0 && ["warn", "Out of credits"],
    held > 0 && ["info", `${number(held)} held`],
  ].filter(Boolean);
  return states.map(([tone, text]) => html`<${Chip} key=${text} tone=${tone}>${text}<//> `);
}

const NoAccounts = ({ filter: { state, plan, q } }) =>
  q
    ? html`<${Empty} title=${`No account begins with “${q}”`}>
        Search looks at the beginning of addresses, names, and IDs, from 3 characters on. Other IDs
        are found by the search box at the top.
      <//>`
    : state || plan
      ? html`<${Empty} title="No accounts match">
          <a href=${href(["accounts"])}>Show all accounts</a>
        <//>`
      : html`<${Empty} title="No accounts yet">Accounts open when users sign up.<//>`;

// A list of all accounts, or the result of a search by email address.

import { html, useEffect, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { number, words } from "../lib/format.js";
import { usePages } from "../lib/loading.js";
import { offer } from "../lib/commands.js";
import { announce } from "../lib/notice.js";
import { go, href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { More } from "../components/more.js";
import { Empty } from "../components/states.js";
import { Table } from "../components/table.js";
import { Chip, Credits } from "../components/values.js";
import { OpenAccountDialog } from "../dialogs/open-account.js";

const ID_LENGTH_MAX = 128;

/** List accounts. If `email` has exactly one, its page opens. */
export function AccountsPage({ email }) {
  const isMaybeId = email && email.length <= ID_LENGTH_MAX;
  const pages = usePages(
    async (cursor, signal) => {
      const answer = await get("admin/accounts", { query: { email, cursor, limit: 50 }, signal });
      if (isMaybeId && answer.accounts.length === 0) return named(email, signal);
      return { items: answer.accounts, cursor: answer.cursor };
    },
    [email],
  );
  const found = email && pages.isComplete && pages.items.length === 1 ? pages.items[0] : null;
  useEffect(() => {
    if (found) go(href(["accounts", found.account_id]), { replace: true });
  }, [found]);
  const [isOpening, setOpening] = useState(false);
  useEffect(() => {
    offer([{ name: "New account", act: () => setOpening(true) }]);
    return () => offer([]);
  }, []);
  const opened = (id) => {
    setOpening(false);
    announce(`Account ${id} is open`);
    go(href(["accounts", id]));
  };
  const title = email ? `Accounts for ${email}` : "Accounts";
  return html`
    <div class="page-head">
      <${Heading} title=${title} />
      ${
        email
          ? html`<a href=${href(["accounts"])}>All accounts</a>`
          : html`<button type="button" class="button primary" onClick=${() => setOpening(true)}>
              New account
            </button>`
      }
    </div>
    ${
      pages.isComplete && pages.items.length === 0
        ? html`<${NoAccounts} email=${email} />`
        : html`<section class="card">
          ${
            pages.items.length > 0 &&
            html`<${Table}
            caption="Accounts"
            columns=${COLUMNS}
            rows=${pages.items}
            keyOf=${(account) => account.account_id}
          />`
          }
          <${More} pages=${pages} noun="account" />
        </section>`
    }
    ${isOpening && html`<${OpenAccountDialog} close=${() => setOpening(false)} done=${opened} />`}
  `;
}

/** Read the account of an ID that looks like an email address, as the only page of a list. */
async function named(accountId, signal) {
  const answer = await get("admin/accounts", { query: { account_id: accountId }, signal });
  return { items: answer.accounts, cursor: null };
}

const COLUMNS = [
  {
    name: "Account",
    isRowHeader: true,
    cell: ({ account_id: id, emails = [] }) =>
      html`<a class="strong" href=${href(["accounts", id])}>${emails[0] ?? id}</a>`,
  },
  {
    name: "ID",
    isSpare: true,
    cell: ({ account_id: id, emails = [] }) =>
      emails.length > 0 && html`<span class="quiet">${[id, ...emails.slice(1)].join(", ")}</span>`,
  },
  { name: "Plan", cell: ({ plan_id: plan }) => plan && words(plan) },
  { name: "State", cell: (account) => html`<${States} account=${account} />` },
  {
    name: "Balance",
    isNumber: true,
    isMain: true,
    cell: ({ balance, held }) =>
      balance !== undefined &&
      html`<${Credits} value=${balance} />
        ${held > 0 && html`<span class="under"><${Credits} value=${held} /> held</span>`}`,
  },
];

/** What is out of the ordinary. */
const States = ({ account: { status, debt, subscription_status: subscription, error } }) => html`
  ${error && html`<${Chip} tone="bad">Unreadable<//> <span class="under">${error}</span>`}
  ${status && status !== "active" && html`<${Chip} tone=${status === "frozen" ? "bad" : "plain"}>${words(status)}<//> `}
  ${debt > 0 && html`<${Chip} tone="bad">Owes ${number(debt)}<//> `}
  ${
    subscription &&
    subscription !== "active" &&
    html`<${Chip} tone=${subscription === "past_due" ? "warn" : "plain"}>${words(subscription)}<//>`
  }
`;

const NoAccounts = ({ email }) =>
  email
    ? html`<${Empty} title=${`No account with the email ${email}`}>
        Search needs the complete, verified email address. The account may use another one, or none:
        try its ID.
      <//>`
    : html`<${Empty} title="No accounts yet">
        An account opens when a user signs up.
      <//>`;

// A list of all accounts, or the result of a search by email address.

import { html, useEffect } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { words } from "../lib/format.js";
import { usePages } from "../lib/loading.js";
import { go, href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { More } from "../components/more.js";
import { Empty } from "../components/states.js";
import { Table } from "../components/table.js";
import { AccountStatus, Chip, Credits } from "../components/values.js";

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
  const title = email ? `Accounts for ${email}` : "Accounts";
  return html`
    <div class="page-head">
      <${Heading} title=${title} />
      ${email && html`<a href=${href(["accounts"])}>All accounts</a>`}
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
  `;
}

/** Read the account of an ID that looks like an email address, as the only page of a list. */
async function named(accountId, signal) {
  const answer = await get("admin/accounts", { query: { account_id: accountId }, signal });
  return { items: answer.accounts, cursor: null };
}

const COLUMNS = [
  { name: "Account", isRowHeader: true, cell: (account) => html`<${Name} account=${account} />` },
  { name: "Status", cell: (account) => html`<${Status} account=${account} />` },
  { name: "Plan", cell: (account) => account.plan_id && words(account.plan_id) },
  { name: "Subscription", cell: (account) => html`<${Subscription} account=${account} />` },
  {
    name: "Available",
    isNumber: true,
    cell: (account) => html`<${Amount} value=${account.available} />`,
  },
  { name: "Balance", isNumber: true, cell: (account) => html`<${Balance} account=${account} />` },
];

const Name = ({ account: { account_id: accountId, emails = [] } }) => html`
  <a class="strong" href=${href(["accounts", accountId])}>${emails[0] ?? accountId}</a>
  ${emails.length > 0 && html`<span class="under">${[accountId, ...emails.slice(1)].join(", ")}</span>`}
`;

const Status = ({ account: { status, error } }) =>
  error
    ? html`<${Chip} tone="bad">Unreadable<//> <span class="under">${error}</span>`
    : html`<${AccountStatus} status=${status} />`;

const Subscription = ({ account: { subscription_status: status, error } }) =>
  error ? null : status ? words(status) : html`<span class="quiet">None</span>`;

const Amount = ({ value }) => (value === undefined ? null : html`<${Credits} value=${value} />`);

const Balance = ({ account: { balance, debt } }) => html`
  <${Amount} value=${balance} />
  ${debt > 0 && html`<span class="under loss">owes <${Credits} value=${debt} /></span>`}
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

// What a user has now: the balance, what it is made of, what is set aside, and what happens next.

import { html } from "../lib/vendor.js";
import { nameOf as featureName } from "../lib/entries.js";
import { credits, number } from "../lib/format.js";
import { rowsOf, useUpcoming } from "../lib/upcoming.js";
import { Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Bar, Change, Credits, Time } from "../components/values.js";
import { happenings, sourceOf } from "./words.js";

/** The user's credits now. */
export function Balance({ account, holds, catalog, turn }) {
  const nameOf = (planId) =>
    catalog.plans.find(({ plan_id: id }) => id === planId)?.name ?? planId;
  return html`
    <${Warnings} account=${account} />
    <${Figures} account=${account} planName=${nameOf(account.plan_id)} />
    <div class="columns not-printed">
      <section class="card" aria-labelledby="made-of">
        <h2 id="made-of" class="card-title">What your balance is made of</h2>
        <${MadeOf} account=${account} />
      </section>
      <section class="card" aria-labelledby="next">
        <h2 id="next" class="card-title">What happens next</h2>
        <${Next} account=${account} nameOf=${nameOf} turn=${turn} />
      </section>
    </div>
    ${
      holds.length > 0 &&
      html`<section class="card not-printed" aria-labelledby="in-progress">
        <h2 id="in-progress" class="card-title">In progress</h2>
        <${Table}
          caption="Credits set aside for work that is still running"
          columns=${holdColumns(catalog.features)}
          rows=${holds}
          keyOf=${(hold) => hold.hold_id}
        />
      </section>`
    }
  `;
}

/** What keeps the user from using credits, most serious first. */
function Warnings({ account: { status, debt, subscription_status: subscription } }) {
  const warnings = [
    status === "frozen" && "Your account is paused, so you can't use credits. Contact support.",
    status === "closed" && "Your account is closed.",
    debt > 0 && `You owe ${credits(debt)}. The next credits you get pay this first.`,
    subscription === "past_due" && "The last payment for your plan didn't go through.",
  ].filter(Boolean);
  return html`<div role="status" class="warnings not-printed">
    ${warnings.map((text) => html`<p key=${text} class="warning">${text}</p>`)}
  </div>`;
}

const Figures = ({
  account,
  planName,
}) => html`<section class="figures card not-printed" aria-label="Right now">
  <div class="figure big">
    <h2 class="figure-name">Balance</h2>
    <span class="figure-value"><${Credits} value=${account.balance} /></span>
    <span class="under">credits</span>
  </div>
  <div class="figure">
    <h2 class="figure-name">Ready to use</h2>
    <span class="figure-value">
      ${account.unlimited ? "Unlimited" : html`<${Credits} value=${account.available} />`}
    </span>
    <span class="under">${number(account.held)} set aside</span>
  </div>
  <div class="figure">
    <h2 class="figure-name">Plan</h2>
    <span class="figure-value">${planName}</span>
    <span class="under">
      renews on <${Time} at=${account.period.end} as="date" />
    </span>
  </div>
  <div class="figure">
    <h2 class="figure-name">Used</h2>
    <span class="figure-value"><${Credits} value=${account.used} /></span>
    <span class="under">since <${Time} at=${account.period.start} as="date" /></span>
  </div>
</section>`;

/** The credits by where they came from, and the sum if it is not just that. */
function MadeOf({ account }) {
  const left = account.grants.reduce((sum, grant) => sum + grant.remaining, 0);
  return html`
    ${
      account.grants.length > 0
        ? html`<${Table}
          caption="Your credits, in the order they are used"
          columns=${GRANT_COLUMNS}
          rows=${account.grants}
          keyOf=${(grant) => grant.grant_id}
        />`
        : html`<p class="quiet padded">You have no credits left.</p>`
    }
    ${
      left !== account.balance &&
      html`<dl class="sums">
        <div class="edge">
          <dt>Total of these</dt>
          <dd><${Credits} value=${left} /></dd>
        </div>
        ${
          account.held > 0 &&
          html`<div>
          <dt>Set aside for work in progress</dt>
          <dd><${Change} value=${account.held} /></dd>
        </div>`
        }
        ${
          account.debt > 0 &&
          html`<div>
          <dt>You owe</dt>
          <dd><${Change} value=${-account.debt} /></dd>
        </div>`
        }
        <div class="edge total">
          <dt>Balance</dt>
          <dd><${Credits} value=${account.balance} /></dd>
        </div>
      </dl>`
    }
  `;
}

/** What time alone will do. What repeats, such as a plan's renewal, is listed once. */
function Next({ account, nameOf, turn }) {
  const changes = useUpcoming("me", turn);
  return html`<${Loaded} of=${changes} what="what happens next" lines=${3}>
    ${({ upcoming }) => {
      const rows = rowsOf(upcoming, account, happenings(nameOf));
      if (rows.length === 0) return html`<p class="quiet padded">Nothing is planned.</p>`;
      return html`<ol class="records">
          ${rows.map(
            ({ at, what, balance, repeats: [again] }) => html`<li key=${at}>
              <span class="strong"><${Time} at=${at} as="date" />: ${what}</span>
              <span class="under">
                <${Time} at=${at} as="relative" /> · balance ${number(balance)}${
                  again && html` · again on <${Time} at=${again} as="date" />, and so on`
                }
              </span>
            </li>`,
          )}
        </ol>
        <p class="fine card-foot">Balances assume that you use nothing until then.</p>`;
    }}
  <//>`;
}

const GRANT_COLUMNS = [
  {
    name: "From",
    isRowHeader: true,
    cell: (grant) => html`<span class="strong">${sourceOf(grant.kind)}</span>
      <span class="under"><${Time} at=${grant.granted_at} as="date" /></span>`,
  },
  {
    name: "Expires",
    cell: ({ expires_at: at }) =>
      at
        ? html`<span class="for-phone">Expires </span>
          <${Time} at=${at} as="relative" /> <span class="under"><${Time} at=${at} as="date" /></span>`
        : html`<span class="quiet">Never<span class="for-phone"> expires</span></span>`,
  },
  {
    name: "Left",
    isNumber: true,
    isMain: true,
    cell: (grant) => html`<${Credits} value=${grant.remaining} />
      <span class="quiet"> of ${number(grant.amount)}</span>
      <${Bar} part=${grant.remaining} whole=${grant.amount} />`,
  },
];

/** A payment that its payer disputes is set aside until the dispute ends. */
const holdColumns = (features) => [
  {
    name: "For",
    isRowHeader: true,
    cell: ({ features: some, expires_at: at }) => {
      if (!at) return "A disputed payment";
      return some.length > 0 ? some.map((id) => featureName(id, features)).join(", ") : "Work in progress";
    },
  },
  {
    name: "Comes back",
    cell: ({ expires_at: at }) =>
      at
        ? html`<${Time} at=${at} as="relative" /> at the latest`
        : html`<span class="quiet">When the dispute ends</span>`,
  },
  { name: "Set aside", isNumber: true, cell: (hold) => html`<${Credits} value=${hold.amount} />` },
];

// The details of an entry: actor, time, reason, price, grants and refunds.

import { html, useState } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { entryHref, grantName, originOf, priced, refundsOf, said, versionOf } from "../lib/entries.js";
import { credits, number } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { href } from "../lib/router.js";
import { Actor } from "./actor.js";
import { Loaded } from "./states.js";
import { Change, Copy, Credits, Facts, Id, Json, Time } from "./values.js";

/** The details of one entry. `account` supplies the grants that are still live. */
export function Story({ accountId, entryId, account, features, turn, open }) {
  const story = useLoaded(
    async (signal) => {
      const entry = await get(path`accounts/${accountId}/entries/${entryId}`, { signal });
      const [then, refunds] = await Promise.all([
        versionOf(entry, features, signal),
        entry.refunded > 0 ? refundsOf(accountId, entry, signal) : [],
      ]);
      return { entry, then, refunds };
    },
    [accountId, entryId],
    turn,
  );
  return html`<${Loaded} of=${story} what="the entry" lines=${5}>
    ${({ entry, then, refunds }) => html`<div class="story">
      <div class="story-parts">
        <section>
          <h3>Details</h3>
          <${Facts} facts=${happened(entry, features, then)} />
        </section>
        <section>
          <h3>Credits</h3>
          <${Moved} accountId=${accountId} entry=${entry} grants=${account.grants} />
          <${Facts} facts=${after(entry)} />
        </section>
        ${
          (entry.refunds || entry.type === "usage") &&
          html`<section>
          <h3>Refunds</h3>
          <${Refunds} accountId=${accountId} account=${account} entry=${entry} refunds=${refunds} open=${open} />
        </section>`
        }
      </div>
      ${entry.metadata && html`<h3>Metadata</h3><${Json} value=${entry.metadata} name="Metadata" />`}
      <details>
        <summary>IDs and hashes</summary>
        <${Facts} facts=${identity(entry)} />
      </details>
    </div>`}
  <//>`;
}

const happened = (entry, features, then) => [
  ["What", said(entry, features)],
  ["Why", entry.reason],
  ["Who", html`<${Actor} actor=${entry.actor} />`],
  ["Message", entry.actor.type === "webhook" && entry.reference && html`<a href=${href(["inbox", entry.reference])}>${entry.reference}</a>`],
  ["When", html`<${Time} at=${entry.recorded_at} as="exact" />`],
  ["In UTC", new Date(entry.recorded_at).toISOString()],
  [
    "Effective",
    entry.effective_at === entry.recorded_at
      ? null
      : html`<${Time} at=${entry.effective_at} as="exact" />`,
  ],
  ["Price", priced(entry, features, then)],
  ["Plan", entry.unlimited ? "Unlimited: usage is recorded but costs nothing" : null],
  ["External ID", entry.source && html`<${Id}>${entry.source}<//>`],
  ["Reference", entry.actor.type !== "webhook" && entry.reference && html`<${Id}>${entry.reference}<//>`],
  ["Hold", entry.hold_id && html`<${Id}>${entry.hold_id}<//>`],
  ["Held until", entry.expires_at && html`<${Time} at=${entry.expires_at} as="exact" />`],
];

const after = (entry) => [
  ["Balance after", html`<${Credits} value=${entry.balance_after} />`],
  ["Held after", entry.held_after ? html`<${Credits} value=${entry.held_after} />` : null],
  ["Owed after", entry.debt_after ? html`<${Credits} value=${entry.debt_after} />` : null],
];

const identity = (entry) => [
  ["Entry ID", html`<${Id}>${entry.entry_id}<//> <${Copy} text=${entry.entry_id} />`],
  ["Sequence number", String(entry.seq)],
  ["Hash", html`<${Id}>${entry.hash}<//>`],
  ["Previous hash", html`<${Id}>${entry.previous_hash}<//>`],
  ["Request hash", entry.request_hash && html`<${Id}>${entry.request_hash}<//>`],
];

/** The grants that an entry's credits came from or went to. */
function Moved({ accountId, entry, grants }) {
  if (entry.allocations.length === 0) {
    return html`<p class="story-change"><${Change} value=${entry.amount} /> No grants affected.</p>`;
  }
  const way = entry.amount < 0 || ["debt_settled", "hold"].includes(entry.type) ? "from" : "to";
  return html`<p class="story-change"><${Change} value=${entry.amount} /> credits</p>
    <ul class="moves">
      ${entry.allocations.map(({ grant_id: grantId, amount }) => {
        const grant = grants.find((one) => one.grant_id === grantId);
        return html`<li key=${grantId}>
          <${Credits} value=${amount} /> ${way} ${
            grant
              ? html`the ${grantName(grant.kind).toLowerCase()} grant${" "}
                <a href=${entryHref(accountId, grant.source)}>created by ${grant.source}</a>`
              : html`a grant that has ended <${Origin} accountId=${accountId} grantId=${grantId} />`
          }
        </li>`;
      })}
    </ul>`;
}

/** A button that finds the origin of an ended grant, by going back through the ledger. */
function Origin({ accountId, grantId }) {
  const [state, setState] = useState({});
  const find = async () => {
    setState({ isBusy: true });
    const entry = await originOf(accountId, grantId).catch(() => null);
    setState({ entry, isDone: true });
  };
  if (state.entry) {
    return html`<a href=${entryHref(accountId, state.entry.entry_id)}>created by ${state.entry.entry_id}</a>`;
  }
  if (state.isDone) return html`<span class="quiet">Its origin wasn't found.</span>`;
  return html`<button type="button" class="button small" disabled=${state.isBusy} onClick=${find}>
    ${state.isBusy ? "Searching…" : "Find its origin"}
  </button>`;
}

function Refunds({ accountId, account, entry, refunds, open }) {
  if (entry.refunds) {
    return html`<p>
      Refunds <${Credits} value=${entry.cost} /> of${" "}
      <a href=${entryHref(accountId, entry.refunds)}>${entry.refunds}</a>.
    </p>`;
  }
  const left = entry.cost - entry.refunded;
  return html`
    <p>
      ${
        entry.refunded === 0
          ? "Not refunded."
          : left === 0
            ? `Fully refunded: ${credits(entry.refunded)}.`
            : `${number(entry.refunded)} of ${credits(entry.cost)} refunded.`
      }
    </p>
    ${
      refunds.length > 0 &&
      html`<ul class="moves">
      ${refunds.map(
        (refund) => html`<li key=${refund.entry_id}>
          <a href=${entryHref(accountId, refund.entry_id)}><${Credits} value=${refund.cost} /> refunded</a>
          ${" "}<${Time} at=${refund.recorded_at} />${refund.reason && `: ${refund.reason}`}
        </li>`,
      )}
    </ul>`
    }
    ${
      left > 0 &&
      account.status !== "closed" &&
      html`<button type="button" class="button small" onClick=${() => open("refund", entry.entry_id)}>
      Refund
    </button>`
    }
  `;
}

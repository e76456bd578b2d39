// The dialog of a change to an account's quota: its plan, allowance or limits.

import { html } from "../lib/vendor.js";
import { get, path, put } from "../lib/api.js";
import { differences, shown } from "../lib/differences.js";
import { date, number } from "../lib/format.js";
import { AccountChangeDialog, Balances, Rows, readAccount } from "./account-change.js";

/** An AccountChangeDialog whose `now` also has the `quota`. `nameOf(planId)` returns a plan's name. */
export const QuotaChangeDialog = ({ accountId, nameOf, ...dialog }) => html`<${AccountChangeDialog}
  accountId=${accountId}
  read=${async (signal) => {
    const [account, quota] = await Promise.all([
      readAccount(accountId, signal),
      get(path`accounts/${accountId}/quota`, { signal }),
    ]);
    return { ...account, quota };
  }}
  send=${(body, options) => put(path`accounts/${accountId}/quota`, body, options)}
  effect=${({ account, quota }, after) => html`
    <${Effect} before=${quota} after=${after} nameOf=${nameOf} />
    <${Balances} before=${account} after=${{ balance: after.balance }} />
  `}
  ...${dialog}
/>`;

/** What changes at once and what with the next period, as the two quotas show. */
function Effect({ before, after, nameOf }) {
  const changes = differences(inForce(before), inForce(after));
  return html`
    ${
      changes.length > 0
        ? html`<p>Takes effect <strong>immediately</strong>:</p>
            <${Changes} changes=${changes} nameOf=${nameOf} />`
        : html`<p>Nothing changes right away.</p>`
    }
    ${
      after.next &&
      html`<p>Takes effect with the next period, on <strong>${date(after.period.end)}</strong>:</p>
        <${Changes} changes=${differences(granted(after), granted(after.next))} nameOf=${nameOf} />`
    }
    ${before.next && !after.next && html`<p>Cancels the scheduled change to ${nameOf(before.next.plan_id)}.</p>`}
  `;
}

const granted = ({ plan_id, monthly_credits, unlimited, limits }) => ({
  plan_id,
  monthly_credits,
  unlimited,
  limits,
});

const inForce = (quota) => ({ ...granted(quota), own: quota.overrides.monthly_credits });

const NAMES = {
  plan_id: "Plan",
  monthly_credits: "Credits per period",
  unlimited: "Unlimited",
  own: "Custom allowance",
};

const Changes = ({ changes, nameOf }) => html`<${Rows}
  rows=${changes.map(({ field, before, after }) => [
    NAMES[field] ?? field.replace("limits.", "Limit "),
    ...[before, after].map((value) => text(field, value, nameOf)),
  ])}
/>`;

function text(field, value, nameOf) {
  if (field === "plan_id") return nameOf(value);
  return typeof value === "number" ? number(value) : shown(value);
}

// What a change of plan or allowance does, and when: more holds at once, less with the next period.

import { html } from "../lib/vendor.js";
import { credits, date, number } from "../lib/format.js";

/** `wanted` and `quota` are `{monthly_credits, unlimited}`: what is to be, and what is in force. */
export function grantsLess(wanted, quota) {
  if (wanted.unlimited || quota.unlimited) return quota.unlimited && !wanted.unlimited;
  return wanted.monthly_credits < quota.monthly_credits;
}

/** The sentences that say so. `account` tells what the plan gave for this period. */
export function QuotaEffect({ wanted, quota, account }) {
  const end = date(quota.period.end);
  if (grantsLess(wanted, quota)) {
    return html`<p>
      That is less than now, so it takes effect with the next period, on <strong>${end}</strong>. Until then nothing
      changes.
    </p>`;
  }
  if (wanted.unlimited) {
    return html`<p>It holds <strong>at once</strong>: use is noted and costs nothing from now on.</p>`;
  }
  const given = account.grants.find(
    ({ kind, expires_at: at }) => kind === "plan" && at >= quota.period.end,
  );
  const missing = wanted.monthly_credits - (given?.amount ?? 0);
  const period = credits(wanted.monthly_credits);
  const had = number(given?.amount ?? 0);
  return html`<p>
    It holds <strong>at once</strong>.
    ${
      missing > 0
        ? ` ${credits(missing)} arrive now: ${period} a period, of which it has had ${had}.
          The balance becomes ${number(account.balance + missing)}.`
        : " No credits arrive now, as this period has had as much already."
    }
  </p>`;
}

// What a change of plan or allowance does, and when: more holds at once, less with the next period.

import { html } from "../lib/vendor.js";
import { credits, date, number } from "../lib/format.js";

/** How long a payment may be late: so long lives what the plan gave for a period paid for. */
const PAYMENT_GRACE = 3 * 24 * 60 * 60 * 1000;

/** What the plan gave `account` for its current period: its grant, if there is one. */
export function planGrant({ grants, period }) {
  const end = Date.parse(period.end);
  const ends = [end, end + PAYMENT_GRACE];
  return grants.find(
    ({ kind, expires_at: at }) => kind === "plan" && ends.includes(Date.parse(at)),
  );
}

/**
 * Whether what is `wanted` grants less than `quota`, which is in force as the API tells it.
 *
 * `wanted` is `{plan_id, own, monthly_credits, unlimited}`: `own` is an allowance in place of the
 * plan's or null, `monthly_credits` what that makes.
 */
export function grantsLess(wanted, quota) {
  if (isSame(wanted, quota)) return false;
  if (wanted.unlimited || quota.unlimited) return quota.unlimited && !wanted.unlimited;
  return wanted.monthly_credits < quota.monthly_credits;
}

/** Then nothing is granted, whatever an edited plan gives by now. */
const isSame = (wanted, quota) =>
  wanted.plan_id === quota.plan_id && wanted.own === quota.overrides.monthly_credits;

/** The sentences that say so. `account` tells what the plan gave for this period. */
export function QuotaEffect({ wanted, quota, account }) {
  if (grantsLess(wanted, quota)) {
    return html`<p>
      That is less than now, so it takes effect with the next period, on <strong>${date(quota.period.end)}</strong>. Until
      then nothing changes.
    </p>`;
  }
  return html`<p>
    It holds <strong>at once</strong>.
    ${wanted.unlimited && !quota.unlimited && " Use is noted and costs nothing from now on."}
    ${" "}${arrival(wanted, quota, account)}
  </p>`;
}

/** The same reckoning as the API's: the difference to what the plan gave for the period so far. */
function arrival(wanted, quota, account) {
  if (isSame(wanted, quota)) return "No credits arrive now, as the allowance stays what it is.";
  const had = planGrant(account)?.amount ?? 0;
  const missing = wanted.monthly_credits - had;
  if (missing <= 0) return "No credits arrive now, as this period has had as much already.";
  if (Date.parse(account.period.end) + PAYMENT_GRACE <= Date.now()) {
    return "No credits arrive now, as the period is over and the next is not paid for.";
  }
  return `${credits(missing)} arrive now: ${credits(wanted.monthly_credits)} a period, of which it has had
    ${number(had)}. The balance becomes ${number(account.balance + missing)}.`;
}

// Puts an account on another plan, with all that the plan gives.

import { html, useState } from "../lib/vendor.js";
import { path, put } from "../lib/api.js";
import { credits, date } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { NOTHING_SAID, Radios, WhyFields, whyOf } from "../components/fields.js";
import { readAnew } from "./fresh.js";
import { QuotaEffect, grantsLess } from "./quota-effect.js";

/**
 * `plans` are all of the catalog; only active ones take accounts. They and `quota` are as the page
 * showed them; what counts is read anew.
 */
export function PlanDialog({ accountId, quota: quotaShown, plans: plansShown, close, done }) {
  const [{ quota, plans }, setNow] = useState({ quota: quotaShown, plans: plansShown });
  const current = quota.plan_id;
  const [planId, setPlanId] = useState(current);
  const [why, setWhy] = useState(NOTHING_SAID);
  const [error, setError] = useState(null);
  const nameOf = (id) => plans.find((plan) => plan.plan_id === id)?.name ?? id;

  const prepare = async () => {
    const now = await readAnew(accountId);
    setNow(now);
    const plan = now.plans.find((one) => one.plan_id === planId);
    const wrong = refusal(plan, now.quota);
    setError(wrong);
    return wrong ? null : meant(plan, now);
  };

  /** The change to `plan`, from what is in force now. */
  const meant = (plan, now) => {
    const [from, next] = [now.quota.plan_id, now.quota.next];
    const named = (id) => now.plans.find((one) => one.plan_id === id)?.name ?? id;
    return {
      body: { plan_id: planId, ...whyOf(why) },
      label: planId === from ? `Keep ${plan.name}` : `Change to ${plan.name}`,
      effect: html`
        <p>
          ${accountId} ${planId === from ? "stays on" : "goes from"} <strong>${named(from)}</strong>
          ${planId !== from && html` to <strong>${plan.name}</strong>`}.
        </p>
        <${QuotaEffect} wanted=${{ ...plan, own: null }} quota=${now.quota} account=${now.account} />
        ${hasOwn(now.quota) && html`<p>The allowance and limits of its own give way to the plan's.</p>`}
        ${next && html`<p>The change to ${named(next.plan_id)} that was to come is off.</p>`}
      `,
    };
  };

  return html`<${ChangeDialog}
    title="Change plan"
    close=${close}
    prepare=${prepare}
    send=${(body) => put(path`accounts/${accountId}/quota`, body)}
    done=${(after) =>
      done(
        after.next
          ? `${nameOf(after.next.plan_id)} from ${date(after.period.end)}`
          : `The plan is ${nameOf(after.plan_id)} now`,
      )}
  >
    <${Radios}
      id="plan"
      label="Plan"
      value=${planId}
      change=${(id) => {
        setPlanId(id);
        setError(null);
      }}
      options=${plans
        .filter((plan) => plan.active || plan.plan_id === current)
        .map((plan) => [plan.plan_id, plan.name, given(plan, quota)])}
    />
    ${error && html`<p class="field-error" role="alert">${error}</p>`}
    <${WhyFields} value=${why} change=${setWhy} />
  <//>`;
}

const hasOwn = ({ overrides }) =>
  overrides.monthly_credits !== null || Object.keys(overrides.limits).length > 0;

/** Why an account cannot be put on a plan, or need not; null if it can. */
function refusal(plan, quota) {
  const isCurrent = plan.plan_id === quota.plan_id;
  if (!isCurrent && !plan.active) return `${plan.name} takes no new accounts any more.`;
  if (isCurrent && !hasOwn(quota) && !quota.next) return `The account is on ${plan.name} as it is.`;
  return null;
}

function given(plan, quota) {
  const amount = plan.unlimited ? "unlimited" : `${credits(plan.monthly_credits)} a period`;
  if (plan.plan_id === quota.plan_id) return `${amount}, now`;
  return `${amount}, ${grantsLess({ ...plan, own: null }, quota) ? "from the next period" : "at once"}`;
}

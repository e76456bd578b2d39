// Puts an account on another plan, with all that the plan gives.

import { html, useState } from "../lib/vendor.js";
import { path, put } from "../lib/api.js";
import { credits, date } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { Radios, ReasonField, reasonOf } from "../components/fields.js";
import { QuotaEffect, grantsLess } from "./quota-effect.js";

/** `plans` are all of the catalog; only active ones take accounts. */
export function PlanDialog({ accountId, account, quota, plans, close, done }) {
  const current = quota.plan_id;
  const [planId, setPlanId] = useState(current);
  const [reason, setReason] = useState("");
  const [error, setError] = useState(null);
  const nameOf = (id) => plans.find((plan) => plan.plan_id === id)?.name ?? id;
  const hasOwn =
    quota.overrides.monthly_credits !== null || Object.keys(quota.overrides.limits).length > 0;

  const prepare = () => {
    if (planId === current && !hasOwn && !quota.next) {
      setError(`The account is on ${nameOf(current)} as it is.`);
      return null;
    }
    const plan = plans.find((one) => one.plan_id === planId);
    return {
      body: { plan_id: planId, ...reasonOf(reason) },
      label: planId === current ? `Keep ${nameOf(planId)}` : `Change to ${nameOf(planId)}`,
      effect: html`
        <p>
          ${accountId} ${planId === current ? "stays on" : "goes from"} <strong>${nameOf(current)}</strong>
          ${planId !== current && html` to <strong>${nameOf(planId)}</strong>`}.
        </p>
        <${QuotaEffect} wanted=${plan} quota=${quota} account=${account} />
        ${hasOwn && html`<p>The allowance and limits of its own give way to the plan's.</p>`}
        ${quota.next && html`<p>The change to ${nameOf(quota.next.plan_id)} that was to come is off.</p>`}
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
    <${ReasonField} value=${reason} change=${setReason} />
  <//>`;
}

function given(plan, quota) {
  const amount = plan.unlimited ? "unlimited" : `${credits(plan.monthly_credits)} a period`;
  if (plan.plan_id === quota.plan_id) return `${amount}, now`;
  return `${amount}, ${grantsLess(plan, quota) ? "from the next period" : "at once"}`;
}

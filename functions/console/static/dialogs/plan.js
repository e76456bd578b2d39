// Puts an account on another plan.

import { html, useState } from "../lib/vendor.js";
import { credits, date } from "../lib/format.js";
import { NOTHING_SAID, Radios, WhyFields } from "../components/fields.js";
import { QuotaChangeDialog } from "./quota-change.js";

/** `plans` are all of the catalog; only active ones take accounts. */
export function PlanDialog({ accountId, quota, plans, close, done }) {
  const current = quota.plan_id;
  const [planId, setPlanId] = useState(current);
  const [why, setWhy] = useState(NOTHING_SAID);
  const nameOf = (id) => plans.find((plan) => plan.plan_id === id)?.name ?? id;

  return html`<${QuotaChangeDialog}
    accountId=${accountId}
    nameOf=${nameOf}
    title="Change plan"
    close=${close}
    form=${{ plan_id: planId }}
    why=${why}
    label=${() => `${planId === current ? "Keep" : "Change to"} ${nameOf(planId)}`}
    done=${(after) =>
      done(
        after.next
          ? `Plan changes to ${nameOf(after.next.plan_id)} on ${date(after.period.end)}`
          : `Plan changed to ${nameOf(after.plan_id)}`,
      )}
  >
    <${Radios}
      id="plan"
      label="Plan"
      value=${planId}
      change=${setPlanId}
      options=${plans
        .filter((plan) => plan.active || plan.plan_id === current)
        .map((plan) => [plan.plan_id, plan.name, described(plan, current)])}
    />
    <${WhyFields} value=${why} change=${setWhy} />
  <//>`;
}

function described(plan, current) {
  const amount = plan.unlimited ? "unlimited" : `${credits(plan.monthly_credits)} per period`;
  return plan.plan_id === current ? `${amount}, current` : amount;
}

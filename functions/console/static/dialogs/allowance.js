// Gives an account its own allowance and limits, which override its plan's.

import { html, useState } from "../lib/vendor.js";
import { credits } from "../lib/format.js";
import {
  NOTHING_SAID,
  NumberField,
  Radios,
  WhyFields,
  binder,
  wholeNumber,
} from "../components/fields.js";
import { LimitsField, limitRows, limitsOf } from "../components/limits.js";
import { QuotaChangeDialog } from "./quota-change.js";

/** Sends only what differs: the API keeps what a request leaves out. */
export function AllowanceDialog({ accountId, quota, plans, close, done }) {
  const plan = plans.find((one) => one.plan_id === quota.plan_id);
  const [form, setForm] = useState({
    whose: quota.overrides.monthly_credits === null ? "plan" : "own",
    amount: String(quota.monthly_credits),
    limits: limitRows(quota.overrides.limits),
    ...NOTHING_SAID,
  });
  const [isChecked, setChecked] = useState(false);
  const own = form.whose === "own" ? wholeNumber(form.amount, 0) : null;
  const limits = limitsOf(form.limits);
  const wrong = {
    ...(form.whose === "own" && own === null && { amount: "Enter a whole number, 0 or more." }),
    ...(limits === null && { limits: "Each limit needs a unique name and a whole number." }),
  };
  const isComplete = Object.keys(wrong).length === 0;
  const bound = binder(form, setForm, isChecked ? wrong : {});

  return html`<${QuotaChangeDialog}
    accountId=${accountId}
    nameOf=${(id) => plans.find((one) => one.plan_id === id)?.name ?? id}
    title="Allowance and limits"
    close=${close}
    form=${isComplete ? { own, limits } : null}
    why=${form}
    check=${() => {
      setChecked(true);
      return isComplete;
    }}
    bodyOf=${(now) => changed(own, limits, now.quota)}
    label=${() => "Save"}
    done=${() => done("Allowance and limits saved")}
  >
    <${Radios}
      ...${bound("whose", "Monthly allowance")}
      options=${[
        ["plan", "Plan default", plan && credits(plan.monthly_credits)],
        ["own", "Custom"],
      ]}
    />
    ${form.whose === "own" && html`<${NumberField} ...${bound("amount", "Credits per period")} />`}
    <${LimitsField} ...${bound("limits")} />
    <p class="hint">Custom limits override the plan's limits of the same name.</p>
    <${WhyFields} value=${form} change=${setForm} />
  <//>`;
}

/** The request. The API removes an account's own allowance only when it is put on a plan. */
const changed = (own, limits, { plan_id, overrides }) =>
  own === null && overrides.monthly_credits !== null
    ? { plan_id, limits }
    : { ...(own !== overrides.monthly_credits && { monthly_credits: own }), limits };

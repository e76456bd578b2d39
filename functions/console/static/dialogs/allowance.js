// Gives an account an allowance and limits of its own, in place of its plan's.

import { html, useState } from "../lib/vendor.js";
import { path, put } from "../lib/api.js";
import { credits, number } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import {
  NumberField,
  Radios,
  ReasonField,
  binder,
  reasonOf,
  wholeNumber,
} from "../components/fields.js";
import { LimitsField, limitRows, limitsOf } from "../components/limits.js";
import { differences } from "../lib/differences.js";
import { QuotaEffect } from "./quota-effect.js";

/** Only what differs is sent: what is not given stays as it is, what is to come too. */
export function AllowanceDialog({ accountId, account, quota, plans, close, done }) {
  const plan = plans.find((one) => one.plan_id === quota.plan_id);
  const { overrides } = quota;
  const [form, setForm] = useState({
    whose: overrides.monthly_credits === null ? "plan" : "own",
    amount: String(overrides.monthly_credits ?? quota.monthly_credits),
    limits: limitRows(overrides.limits),
    reason: "",
  });
  const [errors, setErrors] = useState({});
  const bound = binder(form, setForm, errors);

  const prepare = () => {
    const own = form.whose === "own" ? wholeNumber(form.amount, 0) : null;
    const limits = limitsOf(form.limits);
    const isSame =
      own === overrides.monthly_credits &&
      limits &&
      differences(overrides.limits, limits).length === 0;
    const wrong = {
      ...(form.whose === "own" && own === null && { amount: "Give a whole number from 0 up." }),
      ...(limits === null && { limits: "Each limit has a name of its own and a whole number." }),
      ...(isSame && { form: "Nothing differs from what the account has." }),
    };
    setErrors(wrong);
    if (Object.keys(wrong).length > 0) return null;
    const monthly = own ?? plan.monthly_credits;
    return {
      body: { ...changed(own, limits), ...reasonOf(form.reason) },
      label: "Save",
      effect: html`
        <p>
          ${accountId} gets <strong>${credits(monthly)}</strong> a period,
          ${own === null ? " as its plan says" : " of its own"}.
        </p>
        <${QuotaEffect}
          wanted=${{ monthly_credits: monthly, unlimited: quota.unlimited }}
          quota=${quota}
          account=${account}
        />
        <p>
          ${
            Object.keys(limits).length === 0
              ? "Its limits are the plan's."
              : `Limits of its own: ${listed(limits)}.`
          }
        </p>
        ${quota.next && html`<p>${coming(own)}</p>`}
      `,
    };
  };

  /** What becomes of a change that waits for the next period. */
  const coming = (own) =>
    anew(own)
      ? `The change to ${quota.next.plan_id} that was to come is off.`
      : `The change to ${quota.next.plan_id} still comes with the next period, and keeps what is of its own.`;

  const anew = (own) => own === null && overrides.monthly_credits !== null;

  /** The API knows no "none of its own" but the plan anew, with what stays named beside it. */
  const changed = (own, limits) =>
    anew(own)
      ? { plan_id: quota.plan_id, limits }
      : { ...(own !== overrides.monthly_credits && { monthly_credits: own }), limits };

  return html`<${ChangeDialog}
    title="Allowance and limits"
    close=${close}
    prepare=${prepare}
    send=${(body) => put(path`accounts/${accountId}/quota`, body)}
    done=${() => done("Allowance and limits saved")}
  >
    <${Radios}
      ...${bound("whose", "Monthly allowance")}
      options=${[
        ["plan", "The plan's", plan && credits(plan.monthly_credits)],
        ["own", "Of its own"],
      ]}
    />
    ${form.whose === "own" && html`<${NumberField} ...${bound("amount", "Credits a period")} />`}
    <${LimitsField} ...${bound("limits")} />
    <p class="hint">Limits of its own stand in for the plan's of the same name.</p>
    <${ReasonField} ...${bound("reason", "Reason")} />
    ${errors.form && html`<p class="field-error" role="alert">${errors.form}</p>`}
  <//>`;
}

const listed = (limits) =>
  Object.entries(limits)
    .map(([name, value]) => `${name} ${number(value)}`)
    .join(", ");

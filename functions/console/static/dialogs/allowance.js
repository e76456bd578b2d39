// Gives an account an allowance and limits of its own, in place of its plan's.

import { html, useState } from "../lib/vendor.js";
import { path, put } from "../lib/api.js";
import { credits, number } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import {
  NOTHING_SAID,
  NumberField,
  Radios,
  WhyFields,
  binder,
  whyOf,
  wholeNumber,
} from "../components/fields.js";
import { LimitsField, limitRows, limitsOf } from "../components/limits.js";
import { differences } from "../lib/differences.js";
import { readAnew } from "./fresh.js";
import { QuotaEffect } from "./quota-effect.js";

/**
 * Only what differs is sent: what is not given stays as it is, what is to come too.
 *
 * `quota` and `plans` are as the page showed them; what counts is read anew.
 */
export function AllowanceDialog({ accountId, quota: quotaShown, plans: plansShown, close, done }) {
  const [now, setNow] = useState({ quota: quotaShown, plans: plansShown });
  const plan = planOf(now);
  const { overrides } = quotaShown;
  const [form, setForm] = useState({
    whose: overrides.monthly_credits === null ? "plan" : "own",
    amount: String(quotaShown.monthly_credits),
    limits: limitRows(overrides.limits),
    ...NOTHING_SAID,
  });
  const [errors, setErrors] = useState({});
  const bound = binder(form, setForm, errors);

  const prepare = async () => {
    const own = form.whose === "own" ? wholeNumber(form.amount, 0) : null;
    const limits = limitsOf(form.limits);
    const wrong = {
      ...(form.whose === "own" && own === null && { amount: "Give a whole number from 0 up." }),
      ...(limits === null && { limits: "Each limit has a name of its own and a whole number." }),
    };
    setErrors(wrong);
    if (Object.keys(wrong).length > 0) return null;
    const fresh = await readAnew(accountId);
    setNow(fresh);
    if (differences(fresh.quota.overrides, { monthly_credits: own, limits }).length === 0) {
      setErrors({ form: "Nothing differs from what the account has." });
      return null;
    }
    return meant(own, limits, fresh);
  };

  /** The change to `own` and `limits`, from what is in force now. */
  const meant = (own, limits, fresh) => {
    const { account, quota } = fresh;
    const monthly =
      own === quota.overrides.monthly_credits
        ? quota.monthly_credits
        : (own ?? planOf(fresh).monthly_credits);
    return {
      body: { ...changed(own, limits, quota), ...whyOf(form) },
      label: "Save",
      effect: html`
        <p>
          ${accountId} gets <strong>${credits(monthly)}</strong> a period,
          ${own === null ? " as its plan says" : " of its own"}.
        </p>
        <${QuotaEffect}
          wanted=${{ plan_id: quota.plan_id, own, monthly_credits: monthly, unlimited: quota.unlimited }}
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
        ${quota.next && html`<p>${coming(own, quota)}</p>`}
        ${
          differences(overrides, quota.overrides).length > 0 &&
          html`<p class="warning">Somebody has changed what is its own since this was opened: yours takes its place.</p>`
        }
      `,
    };
  };

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
    <${WhyFields} value=${form} change=${setForm} />
    ${errors.form && html`<p class="field-error" role="alert">${errors.form}</p>`}
  <//>`;
}

const planOf = ({ quota, plans }) => plans.find((one) => one.plan_id === quota.plan_id);

/** What becomes of a change that waits for the next period. */
const coming = (own, quota) =>
  anew(own, quota)
    ? `The change to ${quota.next.plan_id} that was to come is off.`
    : `The change to ${quota.next.plan_id} still comes with the next period, and keeps what is of its own.`;

const anew = (own, { overrides }) => own === null && overrides.monthly_credits !== null;

/** The API knows no "none of its own" but the plan anew, with what stays named beside it. */
const changed = (own, limits, quota) =>
  anew(own, quota)
    ? { plan_id: quota.plan_id, limits }
    : { ...(own !== quota.overrides.monthly_credits && { monthly_credits: own }), limits };

const listed = (limits) =>
  Object.entries(limits)
    .map(([name, value]) => `${name} ${number(value)}`)
    .join(", ");

// Plans on the catalog page: columns, form and notes.

import { html } from "../lib/vendor.js";
import { counted, number } from "../lib/format.js";
import { Check, Field, NumberField, TextArea, binder, wholeNumber } from "../components/fields.js";
import { LimitsField, limitRows, limitsOf } from "../components/limits.js";
import { Credits } from "../components/values.js";

const PROVIDERS_HINT =
  "IDs of prices, products, or plans at Stripe or another provider, one per line.";

function Fields({ form, change, errors, isNew }) {
  const bound = binder(form, change, errors);
  const idHint = "Permanent. Letters, digits, and . _ -";
  return html`
    ${isNew && html`<${Field} ...${bound("plan_id", "ID")} hint=${idHint} autofocus />`}
    <${Field} ...${bound("name", "Name")} maxlength="128" />
    <${Check} ...${bound("unlimited", "Unlimited")} hint="Usage is recorded but costs nothing." />
    <div class="field-row">
      <${NumberField} ...${bound("monthly_credits", "Credits per period")} />
      <${NumberField} ...${bound("overdraft_limit", "Overdraft")} hint="How far below 0 the balance can go." />
    </div>
    <${Check} ...${bound("rolls", "Unused credits roll over")} />
    ${
      form.rolls &&
      html`<div class="field-row">
      <${NumberField} ...${bound("rollover_max", "Maximum credits")} />
      <${NumberField} ...${bound("rollover_periods", "Periods they last")} />
    </div>`
    }
    <${LimitsField} ...${bound("limits")} />
    <${TextArea} ...${bound("provider_ids", "Provider IDs")} hint=${PROVIDERS_HINT} rows="2" />
    <${Check} ...${bound("active", "Active")} hint="An inactive plan accepts no new accounts." />
  `;
}

const formOf = (item) => ({
  ...item,
  monthly_credits: String(item.monthly_credits),
  overdraft_limit: String(item.overdraft_limit),
  rolls: item.rollover !== null,
  rollover_max: String(item.rollover?.max ?? ""),
  rollover_periods: String(item.rollover?.periods ?? 1),
  limits: limitRows(item.limits),
  provider_ids: item.provider_ids.join("\n"),
});

function read(form, isNew) {
  const number0 = "Enter a whole number, 0 or more.";
  const monthly = wholeNumber(form.monthly_credits, 0);
  const overdraft = wholeNumber(form.overdraft_limit, 0);
  const [max, periods] = [wholeNumber(form.rollover_max, 0), wholeNumber(form.rollover_periods)];
  const limits = limitsOf(form.limits);
  const errors = {
    ...(isNew && !form.plan_id.trim() && { plan_id: "Enter an ID." }),
    ...(!form.name.trim() && { name: "Enter a name." }),
    ...(monthly === null && { monthly_credits: number0 }),
    ...(overdraft === null && { overdraft_limit: number0 }),
    ...(form.rolls && max === null && { rollover_max: number0 }),
    ...(form.rolls && periods === null && { rollover_periods: "Enter a whole number, 1 or more." }),
    ...(limits === null && { limits: "Each limit needs a unique name and a whole number." }),
  };
  if (Object.keys(errors).length > 0) return { errors };
  const item = {
    name: form.name.trim(),
    monthly_credits: monthly,
    unlimited: form.unlimited,
    rollover: form.rolls ? { max, periods } : null,
    overdraft_limit: overdraft,
    limits,
    provider_ids: form.provider_ids
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean),
    active: form.active,
  };
  return { item: isNew ? { plan_id: form.plan_id.trim(), ...item } : item };
}

/** The shelf of plans; the edit dialog describes its fields. */
export const PLANS = {
  name: "plans",
  one: "plan",
  title: "Plans",
  id: "plan_id",
  blank: {
    plan_id: "",
    name: "",
    monthly_credits: "",
    unlimited: false,
    rollover: null,
    overdraft_limit: 0,
    limits: {},
    provider_ids: [],
    active: true,
  },
  columns: [
    {
      name: "Plan",
      isRowHeader: true,
      cell: (plan) =>
        html`<span class="strong">${plan.name}</span> <span class="quiet">${plan.plan_id}</span>`,
    },
    {
      name: "Credits per period",
      isNumber: true,
      isMain: true,
      cell: (plan) =>
        plan.unlimited ? "Unlimited" : html`<${Credits} value=${plan.monthly_credits} />`,
    },
    {
      name: "Rolls over",
      cell: ({ rollover }) =>
        rollover && `Up to ${number(rollover.max)}, for ${counted(rollover.periods, "period")}`,
    },
    {
      name: "Overdraft",
      isNumber: true,
      cell: (plan) => plan.overdraft_limit > 0 && html`<${Credits} value=${plan.overdraft_limit} />`,
    },
    {
      name: "Provider IDs",
      cell: ({ provider_ids: ids }) => ids.join(", "),
    },
  ],
  Fields,
  formOf,
  read,
  note: "A new amount applies from each account's next grant. Unlimited, overdraft, and limits apply within 30 seconds.",
  deactivated:
    "New accounts can't use it. Accounts already on it stay and keep getting its credits.",
  activated: "Accounts can use it again.",
};

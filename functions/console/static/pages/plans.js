// Plans on the catalog page: columns, form and notes.

import { html } from "../lib/vendor.js";
import { counted, number } from "../lib/format.js";
import { Check, Field, NumberField, TextArea, binder, wholeNumber } from "../components/fields.js";
import { LimitsField, limitRows, limitsOf } from "../components/limits.js";
import { Credits } from "../components/values.js";

const PROVIDERS_HINT =
  "Prices, products or plans at Stripe and others that mean this plan, one a line.";

function Fields({ form, change, errors, isNew }) {
  const bound = binder(form, change, errors);
  const idHint = "Permanent: letters, digits and . _ -";
  return html`
    ${isNew && html`<${Field} ...${bound("plan_id", "Id")} hint=${idHint} autofocus />`}
    <${Field} ...${bound("name", "Name")} maxlength="128" />
    <${Check} ...${bound("unlimited", "Unlimited")} hint="Use is noted and costs nothing." />
    <div class="field-row">
      <${NumberField} ...${bound("monthly_credits", "Credits a period")} />
      <${NumberField} ...${bound("overdraft_limit", "Overdraft")} hint="How far below 0 it may go." />
    </div>
    <${Check} ...${bound("rolls", "What is left rolls over")} />
    ${
      form.rolls &&
      html`<div class="field-row">
      <${NumberField} ...${bound("rollover_max", "Credits at most")} />
      <${NumberField} ...${bound("rollover_periods", "Periods that they last")} />
    </div>`
    }
    <${LimitsField} ...${bound("limits")} />
    <${TextArea} ...${bound("provider_ids", "Ids at providers")} hint=${PROVIDERS_HINT} rows="2" />
    <${Check} ...${bound("active", "Active")} hint="An inactive plan takes no new accounts." />
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
  const number0 = "A whole number from 0 up.";
  const monthly = wholeNumber(form.monthly_credits, 0);
  const overdraft = wholeNumber(form.overdraft_limit, 0);
  const [max, periods] = [wholeNumber(form.rollover_max, 0), wholeNumber(form.rollover_periods)];
  const limits = limitsOf(form.limits);
  const errors = {
    ...(isNew && !form.plan_id.trim() && { plan_id: "Give it an id." }),
    ...(!form.name.trim() && { name: "Give it a name." }),
    ...(monthly === null && { monthly_credits: number0 }),
    ...(overdraft === null && { overdraft_limit: number0 }),
    ...(form.rolls && max === null && { rollover_max: number0 }),
    ...(form.rolls && periods === null && { rollover_periods: "A whole number from 1 up." }),
    ...(limits === null && { limits: "Each limit has a name of its own and a whole number." }),
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
        html`<strong>${plan.name}</strong> <span class="under">${plan.plan_id}</span>`,
    },
    {
      name: "Credits a period",
      isNumber: true,
      cell: (plan) =>
        plan.unlimited ? "Unlimited" : html`<${Credits} value=${plan.monthly_credits} />`,
    },
    {
      name: "Rolls over",
      cell: ({ rollover }) =>
        rollover
          ? `up to ${number(rollover.max)}, for ${counted(rollover.periods, "period")}`
          : html`<span class="quiet">No</span>`,
    },
    {
      name: "Overdraft",
      isNumber: true,
      cell: (plan) => html`<${Credits} value=${plan.overdraft_limit} />`,
    },
    {
      name: "Ids at providers",
      cell: ({ provider_ids: ids }) =>
        ids.length > 0 ? ids.join(", ") : html`<span class="quiet">None</span>`,
    },
  ],
  Fields,
  formOf,
  read,
  note: "Accounts get another amount when it is next granted; unlimited, overdraft and limits count within 30 seconds.",
  deactivated:
    "No account can be put on it any more. Those that are on it stay, and get its credits.",
  activated: "Accounts can be put on it again.",
};

// Plans on the catalog page: their columns, their form, and what editing one means.

import { html } from "../lib/vendor.js";
import { counted, number } from "../lib/format.js";
import { Check, Field, NumberField, TextArea, wholeNumber } from "../components/fields.js";
import { LimitsField, limitRows, limitsOf } from "../components/limits.js";
import { Credits } from "../components/values.js";

function Fields({ form, change, errors, isNew }) {
  const set = (name) => (value) => change({ ...form, [name]: value });
  return html`
    ${isNew &&
    html`<${Field} id="plan-id" label="Id" hint="For ever: letters, digits and . _ -"
      value=${form.plan_id} change=${set("plan_id")} error=${errors.plan_id} autofocus />`}
    <${Field} id="plan-name" label="Name" value=${form.name} change=${set("name")} error=${errors.name} maxlength="128" />
    <${Check} id="plan-unlimited" label="Unlimited" hint="Use is noted and costs nothing." checked=${form.unlimited} change=${set("unlimited")} />
    <div class="field-row">
      <${NumberField} id="plan-monthly" label="Credits a period" value=${form.monthly_credits} change=${set("monthly_credits")} error=${errors.monthly_credits} />
      <${NumberField} id="plan-overdraft" label="Overdraft" hint="How far below 0 it may go." value=${form.overdraft_limit} change=${set("overdraft_limit")} error=${errors.overdraft_limit} />
    </div>
    <${Check} id="plan-rollover" label="What is left rolls over" checked=${form.rolls} change=${set("rolls")} />
    ${form.rolls &&
    html`<div class="field-row">
      <${NumberField} id="plan-rollover-max" label="Credits at most" value=${form.rollover_max} change=${set("rollover_max")} error=${errors.rollover_max} />
      <${NumberField} id="plan-rollover-periods" label="For so many periods" value=${form.rollover_periods} change=${set("rollover_periods")} error=${errors.rollover_periods} />
    </div>`}
    <${LimitsField} rows=${form.limits} change=${set("limits")} error=${errors.limits} />
    <${TextArea} id="plan-providers" label="Ids at providers" hint="Prices, products or plans at Stripe and others that mean this plan, one a line."
      rows="2" value=${form.provider_ids} change=${set("provider_ids")} />
    <${Check} id="plan-active" label="Active" hint="An inactive plan takes no new accounts." checked=${form.active} change=${set("active")} />
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
    provider_ids: form.provider_ids.split("\n").map((line) => line.trim()).filter(Boolean),
    active: form.active,
  };
  return { item: isNew ? { plan_id: form.plan_id.trim(), ...item } : item };
}

/** See the edit dialog for what these are. */
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
      cell: (plan) => html`<strong>${plan.name}</strong> <span class="under">${plan.plan_id}</span>`,
    },
    {
      name: "Credits a period",
      isNumber: true,
      cell: (plan) => (plan.unlimited ? "Unlimited" : html`<${Credits} value=${plan.monthly_credits} />`),
    },
    {
      name: "Rolls over",
      cell: ({ rollover }) =>
        rollover ? `up to ${number(rollover.max)}, for ${counted(rollover.periods, "period")}` : html`<span class="quiet">No</span>`,
    },
    {
      name: "Overdraft",
      isNumber: true,
      cell: (plan) => html`<${Credits} value=${plan.overdraft_limit} />`,
    },
    {
      name: "Ids at providers",
      cell: ({ provider_ids: ids }) => (ids.length > 0 ? ids.join(", ") : html`<span class="quiet">None</span>`),
    },
  ],
  Fields,
  formOf,
  read,
  note: "Accounts get another amount when it is next granted; unlimited, overdraft and limits count within 30 seconds.",
  deactivated: "No account can be put on it any more. Those that are on it stay, and get its credits.",
  activated: "Accounts can be put on it again.",
};

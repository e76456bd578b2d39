// Features on the catalog page: columns, form and notes.

import { html } from "../lib/vendor.js";
import { prices } from "../lib/prices.js";
import { href } from "../lib/router.js";
import { Check, Field, NumberField, Radios, binder, wholeNumber } from "../components/fields.js";
import { MetersField, meterRows, metersOf } from "../components/meters.js";
import { Lines } from "../components/values.js";

const PRICINGS = [
  ["use", "Single price", "Per use, or per number of units"],
  ["meters", "Price per meter", "Such as input and output tokens"],
];

function Fields({ form, change, errors, isNew }) {
  const bound = binder(form, change, errors);
  const idHint = "Apps use it in calls. Permanent. Letters, digits, and . _ -";
  return html`
    ${isNew && html`<${Field} ...${bound("feature_id", "ID")} hint=${idHint} autofocus />`}
    <${Field} ...${bound("name", "Name")} maxlength="128" />
    <${Radios} ...${bound("pricing", "Price")} options=${PRICINGS} />
    ${
      form.pricing === "use"
        ? html`<div class="field-row">
          <${NumberField} ...${bound("cost", "Cost")} hint="Credits" />
          <${NumberField} ...${bound("per", "Per")} hint="1, or 1000" />
          <${Field} ...${bound("unit", "Unit")} hint="use, token" maxlength="128" />
        </div>`
        : html`<${MetersField} ...${bound("meters")} errors=${errors} />
        <${Field} ...${bound("unit", "Unit")} hint="What the meters count, such as token" maxlength="128" />`
    }
    <${Check} ...${bound("active", "Active")} hint="Uses of an inactive feature are refused." />
  `;
}

const formOf = (item) => ({
  ...item,
  pricing: item.cost === null ? "meters" : "use",
  cost: String(item.cost ?? ""),
  per: String(item.per),
  meters: meterRows(item.meters),
});

function read(form, isNew) {
  const price = form.pricing === "use" ? byUse(form) : byMeters(form);
  const errors = {
    ...(isNew && !form.feature_id.trim() && { feature_id: "Enter an ID." }),
    ...(!form.name.trim() && { name: "Enter a name." }),
    ...price.errors,
    ...(!form.unit.trim() && { unit: "Enter a unit." }),
  };
  if (Object.keys(errors).length > 0) return { errors };
  const item = {
    name: form.name.trim(),
    ...price.fields,
    unit: form.unit.trim(),
    active: form.active,
  };
  return { item: isNew ? { feature_id: form.feature_id.trim(), ...item } : item };
}

function byUse(form) {
  const [cost, per] = [wholeNumber(form.cost), wholeNumber(form.per)];
  const errors = {
    ...(cost === null && { cost: "Enter a whole number, 1 or more." }),
    ...(per === null && { per: "Enter a whole number, 1 or more." }),
  };
  return { fields: { cost, per, meters: {} }, errors };
}

function byMeters(form) {
  const { meters, errors } = metersOf(form.meters);
  return { fields: { cost: null, per: 1, meters }, errors };
}

/** The shelf of features; the edit dialog describes its fields. */
export const FEATURES = {
  name: "features",
  one: "feature",
  title: "Features",
  id: "feature_id",
  blank: { feature_id: "", name: "", cost: "", per: 1, unit: "use", meters: {}, active: true },
  columns: [
    {
      name: "Feature",
      isRowHeader: true,
      cell: (feature) =>
        html`<span class="strong">${feature.name}</span> <span class="quiet">${feature.feature_id}</span>`,
    },
    { name: "Price", cell: (feature) => html`<${Lines} lines=${prices(feature)} />` },
  ],
  versionsHref: ({ feature_id: id }) => href(["catalog", "features", id]),
  Fields,
  formOf,
  read,
  note: "The new price applies within 30 seconds. Past usage keeps its price.",
  deactivated:
    "Within 30 seconds, new uses are refused. Past usage stays and can be refunded.",
  activated: "Within 30 seconds, it can be used again.",
};

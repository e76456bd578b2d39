// Features on the catalog page: columns, form and notes.

import { html } from "../lib/vendor.js";
import { prices } from "../lib/prices.js";
import { href } from "../lib/router.js";
import { Check, Field, NumberField, Radios, binder, wholeNumber } from "../components/fields.js";
import { MetersField, meterRows, metersOf } from "../components/meters.js";
import { Lines } from "../components/values.js";

const PRICINGS = [
  ["use", "One price", "For each use, or for a number of units"],
  ["meters", "A price for each meter", "Such as input and output tokens"],
];

function Fields({ form, change, errors, isNew }) {
  const bound = binder(form, change, errors);
  const idHint = "What apps call it. Permanent: letters, digits and . _ -";
  return html`
    ${isNew && html`<${Field} ...${bound("feature_id", "Id")} hint=${idHint} autofocus />`}
    <${Field} ...${bound("name", "Name")} maxlength="128" />
    <${Radios} ...${bound("pricing", "Price")} options=${PRICINGS} />
    ${
      form.pricing === "use"
        ? html`<div class="field-row">
          <${NumberField} ...${bound("cost", "Cost")} hint="Credits" />
          <${NumberField} ...${bound("per", "For each")} hint="1, or 1000" />
          <${Field} ...${bound("unit", "Unit")} hint="use, token" maxlength="128" />
        </div>`
        : html`<${MetersField} ...${bound("meters")} errors=${errors} />
        <${Field} ...${bound("unit", "Unit")} hint="What the meters count: token" maxlength="128" />`
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
    ...(isNew && !form.feature_id.trim() && { feature_id: "Give it an id." }),
    ...(!form.name.trim() && { name: "Give it a name." }),
    ...price.errors,
    ...(!form.unit.trim() && { unit: "Say what is counted." }),
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
    ...(cost === null && { cost: "A whole number from 1 up." }),
    ...(per === null && { per: "A whole number from 1 up." }),
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
        html`<strong>${feature.name}</strong> <span class="under">${feature.feature_id}</span>`,
    },
    { name: "Price", cell: (feature) => html`<${Lines} lines=${prices(feature)} />` },
  ],
  versionsHref: ({ feature_id: id }) => href(["catalog", "features", id]),
  Fields,
  formOf,
  read,
  note: "Uses pay the new price within 30 seconds; what was used before keeps its own.",
  deactivated:
    "Uses of it are refused within 30 seconds. What was used before stays, and can be refunded.",
  activated: "Uses of it are charged again within 30 seconds.",
};

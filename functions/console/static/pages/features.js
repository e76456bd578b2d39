// Features on the catalog page: columns, form and notes.

import { html } from "../lib/vendor.js";
import { credits, number } from "../lib/format.js";
import { Check, Field, NumberField, binder, wholeNumber } from "../components/fields.js";

const price = ({ cost, per, unit }) =>
  `${credits(cost)} for ${per === 1 ? "each" : number(per)} ${unit}`;

function Fields({ form, change, errors, isNew }) {
  const bound = binder(form, change, errors);
  const idHint = "What apps call it. Permanent: letters, digits and . _ -";
  return html`
    ${isNew && html`<${Field} ...${bound("feature_id", "Id")} hint=${idHint} autofocus />`}
    <${Field} ...${bound("name", "Name")} maxlength="128" />
    <div class="field-row">
      <${NumberField} ...${bound("cost", "Cost")} hint="Credits" />
      <${NumberField} ...${bound("per", "For so many")} hint="1, or 1000" />
      <${Field} ...${bound("unit", "Unit")} hint="use, token" maxlength="128" />
    </div>
    <${Check} ...${bound("active", "Active")} hint="Uses of an inactive feature are refused." />
  `;
}

const formOf = (item) => ({ ...item, cost: String(item.cost), per: String(item.per) });

function read(form, isNew) {
  const [cost, per] = [wholeNumber(form.cost), wholeNumber(form.per)];
  const errors = {
    ...(isNew && !form.feature_id.trim() && { feature_id: "Give it an id." }),
    ...(!form.name.trim() && { name: "Give it a name." }),
    ...(cost === null && { cost: "A whole number from 1 up." }),
    ...(per === null && { per: "A whole number from 1 up." }),
    ...(!form.unit.trim() && { unit: "Say what is counted." }),
  };
  if (Object.keys(errors).length > 0) return { errors };
  const item = { name: form.name.trim(), cost, per, unit: form.unit.trim(), active: form.active };
  return { item: isNew ? { feature_id: form.feature_id.trim(), ...item } : item };
}

/** The shelf of features; the edit dialog describes its fields. */
export const FEATURES = {
  name: "features",
  one: "feature",
  title: "Features",
  id: "feature_id",
  blank: { feature_id: "", name: "", cost: "", per: 1, unit: "use", active: true },
  columns: [
    {
      name: "Feature",
      isRowHeader: true,
      cell: (feature) =>
        html`<strong>${feature.name}</strong> <span class="under">${feature.feature_id}</span>`,
    },
    { name: "Price", cell: price },
  ],
  Fields,
  formOf,
  read,
  note: "Uses pay the new price within 30 seconds; what was used before keeps its own.",
  deactivated:
    "Uses of it are refused within 30 seconds. What was used before stays, and can be refunded.",
  activated: "Uses of it are charged again within 30 seconds.",
};

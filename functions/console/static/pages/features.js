// Features on the catalog page: their columns, their form, and what editing one means.

import { html } from "../lib/vendor.js";
import { credits, number } from "../lib/format.js";
import { Check, Field, NumberField, wholeNumber } from "../components/fields.js";

const price = ({ cost, per, unit }) => `${credits(cost)} for ${per === 1 ? "each" : number(per)} ${unit}`;

function Fields({ form, change, errors, isNew }) {
  const set = (name) => (value) => change({ ...form, [name]: value });
  return html`
    ${isNew &&
    html`<${Field} id="feature-id" label="Id" hint="What apps call it, for ever: letters, digits and . _ -"
      value=${form.feature_id} change=${set("feature_id")} error=${errors.feature_id} autofocus />`}
    <${Field} id="feature-name" label="Name" value=${form.name} change=${set("name")} error=${errors.name} maxlength="128" />
    <div class="field-row">
      <${NumberField} id="feature-cost" label="Cost" hint="Credits" value=${form.cost} change=${set("cost")} error=${errors.cost} />
      <${NumberField} id="feature-per" label="For so many" hint="1, or 1000" value=${form.per} change=${set("per")} error=${errors.per} />
      <${Field} id="feature-unit" label="Unit" hint="use, token" value=${form.unit} change=${set("unit")} error=${errors.unit} maxlength="128" />
    </div>
    <${Check} id="feature-active" label="Active" hint="Uses of an inactive feature are refused." checked=${form.active} change=${set("active")} />
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

/** See the edit dialog for what these are. */
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
      cell: (feature) => html`<strong>${feature.name}</strong> <span class="under">${feature.feature_id}</span>`,
    },
    { name: "Price", cell: price },
  ],
  Fields,
  formOf,
  read,
  note: "Uses pay the new price within 30 seconds; what was used before keeps its own.",
  deactivated: "Uses of it are refused within 30 seconds. What was used before stays, and can be refunded.",
  activated: "Uses of it are charged again within 30 seconds.",
};

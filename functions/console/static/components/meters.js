// Rows of meters in a form, each with its price, such as input: 1 credit per 4,000.

import { html } from "../lib/vendor.js";
import { Field, NumberField, wholeNumber } from "./fields.js";

const METERS_MAX = 16;
const NAME = /^[a-z][a-z0-9_]{0,31}$/;
const BLANK = { name: "", cost: "", per: "1" };

/** Convert meters to rows of text; a feature without meters gets an empty one to begin with. */
export function meterRows(meters) {
  const rows = Object.entries(meters).map(([name, { cost, per }]) => ({
    name,
    cost: String(cost),
    per: String(per),
  }));
  return rows.length > 0 ? rows : [BLANK];
}

/** Convert rows to meters and, where one is invalid, errors by the IDs of their inputs. */
export function metersOf(rows) {
  const [meters, errors] = [{}, {}];
  rows.forEach((row, index) => {
    const name = row.name.trim();
    const [cost, per] = [wholeNumber(row.cost), wholeNumber(row.per)];
    if (!NAME.test(name)) errors[idOf(index, "name")] = "Use lowercase letters, digits, and _.";
    else if (Object.hasOwn(meters, name))
      errors[idOf(index, "name")] = "Another meter already has this name.";
    if (cost === null) errors[idOf(index, "cost")] = "Enter a whole number, 1 or more.";
    if (per === null) errors[idOf(index, "per")] = "Enter a whole number, 1 or more.";
    meters[name] = { cost, per };
  });
  if (rows.length === 0) errors.meters = "Add a meter, or switch to a single price.";
  return { meters, errors };
}

const idOf = (index, field) => `meter-${index}-${field}`;

/** The rows, each with a Remove button, and a button that adds a row. */
export function MetersField({ value: rows, change, error, errors }) {
  const bound = (index, field, label) => ({
    id: idOf(index, field),
    label,
    value: rows[index][field],
    error: errors[idOf(index, field)],
    change: (text) => change(rows.with(index, { ...rows[index], [field]: text })),
  });
  return html`<fieldset class="meters" aria-describedby=${error ? "meters-error" : "meters-hint"}>
    <legend>Meters</legend>
    <p class="hint" id="meters-hint">The total is rounded up once. Usage of anything without a meter is refused.</p>
    ${rows.map(
      ({ name }, index) => html`<div
        key=${index}
        class="meter-row"
        role="group"
        aria-label=${`Meter ${index + 1}`}
      >
        <${Field}
          ...${bound(index, "name", "Meter")}
          placeholder="input"
          spellcheck=${false}
          maxlength="32"
        />
        <${NumberField} ...${bound(index, "cost", "Credits")} />
        <${NumberField} ...${bound(index, "per", "Per")} />
        <button type="button" class="button small" onClick=${() => change(rows.toSpliced(index, 1))}>
          Remove<span class="unseen"> meter ${name || index + 1}</span>
        </button>
      </div>`,
    )}
    ${
      rows.length < METERS_MAX &&
      html`<button type="button" class="button small" onClick=${() => change([...rows, BLANK])}>
        Add meter
      </button>`
    }
    ${error && html`<p class="field-error" id="meters-error">${error}</p>`}
  </fieldset>`;
}

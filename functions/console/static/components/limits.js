// Rows of named limits in a form, such as storage_bytes 10,000,000,000.

import { html } from "../lib/vendor.js";
import { wholeNumber } from "./fields.js";

/** Convert limits to rows of text. */
export const limitRows = (limits) =>
  Object.entries(limits).map(([name, value]) => ({ name, value: String(value) }));

/** Convert rows to limits; null if a name or number is invalid or a name repeats. Skips empty rows. */
export function limitsOf(rows) {
  const filled = rows.filter(({ name, value }) => name.trim() || value.trim());
  const limits = {};
  for (const { name, value } of filled) {
    const number = wholeNumber(value, 0);
    if (!name.trim() || number === null || Object.hasOwn(limits, name.trim())) return null;
    limits[name.trim()] = number;
  }
  return limits;
}

/** The rows, each with a Remove button, and a button that adds a row. */
export function LimitsField({ value: rows, change, error }) {
  const set = (index, field) => (event) =>
    change(rows.map((row, at) => (at === index ? { ...row, [field]: event.target.value } : row)));
  return html`<fieldset class="limits" aria-describedby=${error ? "limits-error" : undefined}>
    <legend>Limits</legend>
    ${rows.map(
      ({ name, value }, index) => html`<div class="limit-row" key=${index}>
        <input
          aria-label=${`Limit ${index + 1} name`}
          placeholder="name"
          value=${name}
          onInput=${set(index, "name")}
        />
        <input
          aria-label=${`Limit ${index + 1} value`}
          placeholder="number"
          inputmode="numeric"
          class="number"
          value=${value}
          onInput=${set(index, "value")}
        />
        <button type="button" class="button small" onClick=${() => change(rows.toSpliced(index, 1))}>
          Remove<span class="unseen"> limit ${name || index + 1}</span>
        </button>
      </div>`,
    )}
    <button type="button" class="button small" onClick=${() => change([...rows, { name: "", value: "" }])}>
      Add limit
    </button>
    ${error && html`<p class="field-error" id="limits-error">${error}</p>`}
  </fieldset>`;
}

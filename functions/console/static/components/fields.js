// Labelled inputs of forms: a label, the input, a hint, and what is wrong with it.

import { html } from "../lib/vendor.js";

/** What ties an input to its hint and error. */
const describedBy = (id, hint, error) =>
  [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;

const Notes = ({ id, hint, error }) => html`
  ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
`;

/** A line of text, or another `type` of input. `change` gets the value. */
export const Field = ({ id, label, hint, error, value, change, ...rest }) => html`<div class="field">
  <label for=${id}>${label}</label>
  <input
    id=${id}
    value=${value}
    onInput=${(event) => change(event.target.value)}
    aria-describedby=${describedBy(id, hint, error)}
    aria-invalid=${error ? "true" : undefined}
    autocomplete="off"
    ...${rest}
  />
  <${Notes} id=${id} hint=${hint} error=${error} />
</div>`;

/** A whole number as text, so that nothing is lost while it is typed. */
export const NumberField = (props) =>
  html`<${Field} inputmode="numeric" spellcheck=${false} class="number" ...${props} />`;

/** Several lines of text. */
export const TextArea = ({ id, label, hint, error, value, change, ...rest }) => html`<div class="field">
  <label for=${id}>${label}</label>
  <textarea
    id=${id}
    value=${value}
    onInput=${(event) => change(event.target.value)}
    aria-describedby=${describedBy(id, hint, error)}
    aria-invalid=${error ? "true" : undefined}
    ...${rest}
  ></textarea>
  <${Notes} id=${id} hint=${hint} error=${error} />
</div>`;

/** One of several: `options` are [value, label]. */
export const Choice = ({ id, label, hint, value, change, options }) => html`<div class="field">
  <label for=${id}>${label}</label>
  <select
    id=${id}
    value=${value}
    onChange=${(event) => change(event.target.value)}
    aria-describedby=${describedBy(id, hint)}
  >
    ${options.map(([option, text]) => html`<option key=${option} value=${option}>${text}</option>`)}
  </select>
  <${Notes} id=${id} hint=${hint} />
</div>`;

/** One of a few, all in sight: `options` are [value, label, what it means]. */
export const Radios = ({ name, label, value, change, options }) => html`<fieldset class="radios">
  <legend>${label}</legend>
  <div class="radio-row">
    ${options.map(
      ([option, text, meaning]) => html`<label key=${option}>
        <input
          type="radio"
          name=${name}
          value=${option}
          checked=${option === value}
          onChange=${() => change(option)}
        />
        <span>${text}${meaning && html`<small>${meaning}</small>`}</span>
      </label>`,
    )}
  </div>
</fieldset>`;

/** Yes or no. */
export const Check = ({ id, label, hint, checked, change }) => html`<div class="field check">
  <input
    type="checkbox"
    id=${id}
    checked=${checked}
    onChange=${(event) => change(event.target.checked)}
    aria-describedby=${describedBy(id, hint)}
  />
  <label for=${id}>${label}</label>
  <${Notes} id=${id} hint=${hint} />
</div>`;

/** A text as a whole number from `min` up; null if it is none. Spaces between digits are fine. */
export function wholeNumber(text, min = 1) {
  const digits = text.replaceAll(/[\s\u202f]/g, "");
  if (!/^\d{1,13}$/.test(digits)) return null;
  const value = Number(digits);
  return value >= min && value <= 10 ** 12 ? value : null;
}

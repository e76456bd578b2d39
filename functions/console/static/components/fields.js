// Form fields: a label, an input, a hint and an error.

import { html, useEffect, useLayoutEffect, useRef, useState } from "../lib/vendor.js";
import { date, isDay } from "../lib/format.js";

const TYPING_MS = 700;

/** Return the IDs of an input's hint and error. */
const describedBy = (id, hint, error) =>
  [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || undefined;

const Notes = ({ id, hint, error }) => html`
  ${hint && html`<p class="hint" id=${`${id}-hint`}>${hint}</p>`}
  ${error && html`<p class="field-error" id=${`${id}-error`}>${error}</p>`}
`;

/** A line of text, or another `type` of input. `change` receives the value. */
export const Field = ({
  id,
  label,
  hint,
  error,
  value,
  change,
  ...rest
}) => html`<div class="field">
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

/**
 * A day. `change` receives it when typing is finished: after a pause, on Enter or on blur.
 *
 * A date input reports a new value with each digit: the years 2, 20 and 202 on the way to 2026. Only
 * a complete day between `min` and `max` is passed on, or an empty value unless `required`.
 */
export function DayField({
  id,
  label,
  value,
  change,
  min = "2000-01-01",
  max = "2100-12-31",
  required,
}) {
  const input = useRef(null);
  const timer = useRef(null);
  const [error, setError] = useState(null);
  // Before the field can receive a key: set later, the value would erase the first digit typed.
  useLayoutEffect(() => {
    if (input.current.value !== value) input.current.value = value;
    setError(null);
  }, [value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const handOn = () => {
    clearTimeout(timer.current);
    // Removing a field that has the focus blurs it once more.
    if (!input.current) return true;
    const { value: day, validity } = input.current;
    const isFit = validity.valid && (day === "" || isDay(day));
    if (isFit && day !== value) change(day);
    return isFit;
  };
  const typed = () => {
    setError(null);
    clearTimeout(timer.current);
    timer.current = setTimeout(handOn, TYPING_MS);
  };
  const done = () => setError(handOn() ? null : `Enter a date from ${date(min)} to ${date(max)}.`);
  return html`<div class="field">
    <label for=${id}>${label}</label>
    <input
      ref=${input}
      id=${id}
      type="date"
      min=${min}
      max=${max}
      required=${required}
      onInput=${typed}
      onBlur=${done}
      onKeyDown=${(event) => event.key === "Enter" && done()}
      aria-describedby=${describedBy(id, null, error)}
      aria-invalid=${error ? "true" : undefined}
      autocomplete="off"
    />
    <${Notes} id=${id} error=${error} />
  </div>`;
}

/**
 * Bind inputs to a form: bound("cost", "Cost") returns the properties of the input of `form.cost`.
 *
 * `change` receives the whole form; `errors` are messages by field.
 */
export const binder = (form, change, errors) => (name, label) => ({
  id: name,
  label,
  value: form[name],
  error: errors[name],
  change: (value) => change({ ...form, [name]: value }),
});

const REASON_MAX = 500;
const NOTE_MAX = 1024;

/** The reason for an edit of the catalog, for the audit record. */
export const EditReasonField = (props) =>
  html`<${Field} id="reason" label="Reason" hint="Kept in the audit log." maxlength=${REASON_MAX} ...${props} />`;

/** The reason for a change to an account, which its user reads. */
export const ReasonField = (props) => html`<${Field}
  id="reason"
  label="Reason (visible to the user)"
  hint="Stays in the ledger permanently. Don't include personal data."
  maxlength=${REASON_MAX}
  ...${props}
/>`;

/** The reason, and a note for the audit record only. `value` is a form with both fields. */
export const WhyFields = ({ value, change, error, ...rest }) => html`
  <${ReasonField}
    value=${value.reason}
    change=${(reason) => change({ ...value, reason })}
    error=${error}
    ...${rest}
  />
  <${TextArea}
    id="note"
    label="Internal note (staff only)"
    hint="Optional. Kept in the audit log."
    rows="2"
    maxlength=${NOTE_MAX}
    value=${value.note}
    change=${(note) => change({ ...value, note })}
  />
`;

/** Initial values of WhyFields. */
export const NOTHING_SAID = { reason: "", note: "" };

/** Reason and note in a confirmation. */
export const Why = ({ reason, note = "" }) => html`
  ${reason.trim() && html`<p class="quiet">Visible to the user: ${reason}</p>`}
  ${note.trim() && html`<p class="quiet">Staff only: ${note}</p>`}
`;

/** Error for a missing reason. */
export const SAY_WHY = "Enter a reason. The user sees it.";

/** Reason and note as fields of a request; empty ones are left out. */
export const whyOf = ({ reason, note = "" }) => ({
  ...(reason.trim() && { reason: reason.trim() }),
  ...(note.trim() && { note: note.trim() }),
});

/** A whole number, kept as text while it is typed. */
export const NumberField = (props) =>
  html`<${Field} inputmode="numeric" spellcheck=${false} class="number" ...${props} />`;

/** Several lines of text. */
export const TextArea = ({
  id,
  label,
  hint,
  error,
  value,
  change,
  ...rest
}) => html`<div class="field">
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

/** A drop-down list: `options` are [value, label]. */
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

/** Radio buttons: `options` are [value, label, description]. */
export const Radios = ({ id, label, value, change, options }) => html`<fieldset>
  <legend>${label}</legend>
  <div class="radio-row">
    ${options.map(
      ([option, text, meaning]) => html`<label key=${option}>
        <input
          type="radio"
          name=${id}
          value=${option}
          checked=${option === value}
          onChange=${() => change(option)}
        />
        <span>${text}${meaning && html`<small>${meaning}</small>`}</span>
      </label>`,
    )}
  </div>
</fieldset>`;

/** A checkbox. */
export const Check = ({ id, label, hint, value, change }) => html`<div class="field check">
  <input
    type="checkbox"
    id=${id}
    checked=${value}
    onChange=${(event) => change(event.target.checked)}
    aria-describedby=${describedBy(id, hint)}
  />
  <label for=${id}>${label}</label>
  <${Notes} id=${id} hint=${hint} />
</div>`;

/** Digits, alone or in groups of three: 1000, 1,000 or 1 000. So 1,5 is no number. */
const WHOLE = /^(\d{1,13}|\d{1,3}([,\s])\d{3}(\2\d{3}){0,3})$/;

/** Parse a whole number of at least `min`; null if it is not one. */
export function wholeNumber(text, min = 1) {
  const typed = text.trim();
  if (!WHOLE.test(typed)) return null;
  const value = Number(typed.replaceAll(/[,\s]/g, ""));
  return value >= min && value <= 10 ** 12 ? value : null;
}

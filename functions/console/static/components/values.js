// Values that look the same on every page: credits, times, names, states.

import { html, useState } from "../lib/vendor.js";
import {
  date,
  exactInstant,
  instant,
  number,
  relative,
  signed,
  timeOfDay,
  utc,
  words,
} from "../lib/format.js";

/** A number of credits. */
export const Credits = ({ value }) => html`<span class="number">${number(value)}</span>`;

/** A change of credits. The color only repeats the sign, which is written out. */
export function Change({ value }) {
  const tone = value > 0 ? "gain" : value < 0 ? "loss" : "still";
  return html`<span class=${`number ${tone}`}>${signed(value)}</span>`;
}

/** An instant in local time, with UTC on hover. `as`: "instant", "exact", "date", "time" or "relative". */
export function Time({ at, as = "instant" }) {
  const shown = { instant, exact: exactInstant, date, time: timeOfDay, relative }[as](at);
  const title = as === "relative" ? `${instant(at)} (${utc(at)})` : utc(at);
  return html`<time datetime=${at} title=${title}>${shown}</time>`;
}

/** A short state in a `tone`: good, bad, warn, info or plain. */
export const Chip = ({ tone = "plain", children }) =>
  html`<span class=${`chip ${tone}`}>${children}</span>`;

const ENTRY_TONES = {
  refund: "info",
  expiry: "warn",
  clawback: "bad",
  admin_deduct: "warn",
  freeze: "bad",
  hold: "info",
};

/** The type of an entry. The usual ones are plain text. */
export const EntryType = ({ type }) =>
  type in ENTRY_TONES
    ? html`<${Chip} tone=${ENTRY_TONES[type]}>${words(type)}<//>`
    : html`<span class="quiet">${words(type)}</span>`;

/** An ID, which is never hyphenated or translated. */
export const Id = ({ children }) => html`<code class="id">${children}</code>`;

/** A button that copies an ID to the clipboard and confirms it. */
export function Copy({ text }) {
  const [isDone, setDone] = useState(false);
  const copy = async () => {
    await navigator.clipboard.writeText(text);
    setDone(true);
    setTimeout(() => setDone(false), 2000);
  };
  return html`<button type="button" class="button small quiet" onClick=${copy}>
    <span aria-live="polite">${isDone ? "Copied" : "Copy ID"}</span>
  </button>`;
}

/** A small bar of a part of a whole; the numbers are in the text beside it. */
export function Bar({ part, whole }) {
  const width = whole ? Math.min(100, Math.max(0, (100 * part) / whole)) : 0;
  return html`<span class="bar" aria-hidden="true"><span style=${{ width: `${width}%` }}></span></span>`;
}

/** A value as formatted JSON. */
export const Json = ({ value, name }) =>
  html`<pre class="json" tabindex="0" role="region" aria-label=${name}>${JSON.stringify(value, null, 2)}</pre>`;

/** A short list, one line each. */
export const Lines = ({ lines }) => html`<ul class="lines">
  ${lines.map((line) => html`<li key=${line}>${line}</li>`)}
</ul>`;

/** A list of names and values: [["Plan", "Free"], ...]; null and false are left out. */
export const Facts = ({ facts }) => html`<dl class="facts">
  ${facts
    .filter(([, value]) => (value ?? false) !== false)
    .map(
      ([name, value]) => html`<div key=${name}>
        <dt>${name}</dt>
        <dd>${value}</dd>
      </div>`,
    )}
</dl>`;

const MESSAGE_TONES = { unmatched: "warn", failed: "bad", received: "info" };

/** The status of a message. The usual ones are plain text. */
export const MessageStatus = ({ status }) =>
  status in MESSAGE_TONES
    ? html`<${Chip} tone=${MESSAGE_TONES[status]}>${words(status)}<//>`
    : html`<span class="quiet">${words(status)}</span>`;

// The dialog of every change: a form, then a confirmation of its effect, then the server's response.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { NetworkError } from "../lib/api.js";
import { Dialog } from "./dialog.js";
import { Failure } from "./states.js";

/** What to do if no response came. */
export const UNKNOWN =
  "The change may or may not have been made. It's safe to try again: it's made at most once.";

/**
 * `children` are the form's fields. `prepare()` reads them and returns the change, or null if a field
 * is invalid: `{body, effect, label}`, which are the request's body, a description of its effect and
 * the button's label; `isDanger` makes the button red. `send(body, {key})` makes the change, and `done(answer)` receives the response.
 *
 * An error of `send` may bring its own view, `shown(back)`, and its own label for the retry, `again`.
 * `key` is the idempotency key. It stays the same while the body does, so a retry is safe.
 *
 * `close(trouble)` receives what the page does not show: "refused" if the account was not as the page
 * shows it, "unknown" if the change may have been made, or null. While that is unknown, the change can
 * only be repeated or left: an edited form would be another change.
 */
export function ChangeDialog({ title, close, prepare, send, done, isDanger, children }) {
  const [change, setChange] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const keyOf = useKeys();
  const isSending = useRef(false);
  const [trouble, setTrouble] = useState(null);

  const next = async (event) => {
    event.preventDefault();
    setError(null);
    setBusy(true);
    try {
      const prepared = await prepare();
      if (prepared) setChange(prepared);
    } catch (failed) {
      setError(failed);
      setTrouble((before) => before ?? "refused");
    }
    setBusy(false);
  };

  const confirm = async (event) => {
    event.preventDefault();
    if (isSending.current) return;
    isSending.current = true;
    setError(null);
    setBusy(true);
    try {
      done(await send(change.body, { key: keyOf(change.body) }));
    } catch (failed) {
      setError(failed);
      setTrouble((before) => (isUnknown(failed) ? "unknown" : (before ?? "refused")));
      setBusy(false);
    }
    isSending.current = false;
  };

  const back = () => {
    setChange(null);
    setError(null);
    setTrouble((before) => before && "refused");
  };

  const leave = () => close(trouble);

  return html`<${Dialog} title=${title} close=${leave} isBusy=${isBusy}>
    ${
      change === null
        ? html`<form onSubmit=${next} novalidate>
          ${children} ${error && html`<${Failure} error=${error} />`}
          <div class="dialog-foot">
            <button type="button" class="button" onClick=${leave}>Cancel</button>
            <button type="submit" class="button primary" disabled=${isBusy}>Continue</button>
          </div>
        </form>`
        : html`<form onSubmit=${confirm}>
          <${Effect}>${change.effect}<//>
          ${error && (error.shown?.(back) ?? html`<${Failure} error=${error} unknown=${UNKNOWN} />`)}
          <div class="dialog-foot">
            ${
              trouble === "unknown"
                ? html`<button type="button" class="button" disabled=${isBusy} onClick=${leave}>Close</button>`
                : html`<button type="button" class="button" disabled=${isBusy} onClick=${back}>Back</button>`
            }
            <button type="submit" class=${`button ${isDanger ? "danger" : "primary"}`} disabled=${isBusy}>
              ${isBusy ? "Working…" : error ? (error.again ?? "Try again") : change.label}
            </button>
          </div>
        </form>`
    }
  <//>`;
}

/** Return a function that gives a body its idempotency key: the same as long as the body is. */
export function useKeys() {
  const last = useRef({});
  return (body) => {
    const text = JSON.stringify(body);
    if (last.current.text !== text) last.current = { text, key: crypto.randomUUID() };
    return last.current.key;
  };
}

/** Return whether the change may have been made: no response came, or none that Scrip sent. */
const isUnknown = (error) =>
  error instanceof NetworkError ||
  (error.status >= 500 && (error.code === null || error.code === "internal_error"));

/** The effect of a change. It takes the focus, so that screen readers read it before the buttons. */
export function Effect({ children }) {
  const effect = useRef(null);
  useEffect(() => effect.current.focus(), []);
  return html`<div class="effect" tabindex="-1" ref=${effect}>${children}</div>`;
}

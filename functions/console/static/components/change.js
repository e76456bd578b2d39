// The dialog of every change: a form, then what it will do in a sentence, then the server's word.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { NetworkError } from "../lib/api.js";
import { Dialog } from "./dialog.js";
import { Failure } from "./states.js";

const UNKNOWN =
  "Nobody can tell yet whether the change was made. Try again: it is made once at most.";

/**
 * `prepare()` reads the form, which are the `children`, and returns the change that it means, or
 * null if something in it is wrong: `{body, effect, label}`, the request's body, what it will do
 * and the button's name. `send(body, key)` makes the change and `done(answer)` is told of it.
 *
 * An error of `send` may have a way of its own to be `shown(back)`, and words for trying `again`.
 * The key names the change at the API. It lives as long as the form says the same: repeating is safe.
 *
 * `close(trouble)` is told what the page does not show: "refused" where the change met something
 * else than the page told of, "unknown" where nobody knows whether it was made; or null. While
 * nobody knows, it is repeated as it was sent or left: the form could only say something else.
 */
export function ChangeDialog({ title, close, prepare, send, done, children }) {
  const [change, setChange] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const key = useRef({ body: null, value: null });
  const isSending = useRef(false);
  const [trouble, setTrouble] = useState(null);

  const next = async (event) => {
    event.preventDefault();
    setError(null);
    setBusy(true);
    try {
      const prepared = await prepare();
      if (prepared) {
        const body = JSON.stringify(prepared.body);
        if (key.current.body !== body) key.current = { body, value: crypto.randomUUID() };
        setChange(prepared);
      }
    } catch (failed) {
      setError(failed);
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
      done(await send(change.body, key.current.value));
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
            <button type="submit" class="button primary" disabled=${isBusy}>
              ${isBusy ? "Working" : error ? (error.again ?? "Try again") : change.label}
            </button>
          </div>
        </form>`
    }
  <//>`;
}

/** Whether a failure leaves open what became of the change: no answer came, or none of Scrip's own. */
const isUnknown = (error) =>
  error instanceof NetworkError ||
  (error.status >= 500 && (error.code === null || error.code === "internal_error"));

/** What a change will do. It takes the focus, so that it is read before it is agreed to. */
function Effect({ children }) {
  const effect = useRef(null);
  useEffect(() => effect.current.focus(), []);
  return html`<div class="effect" tabindex="-1" ref=${effect}>${children}</div>`;
}

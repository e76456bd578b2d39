// A modal dialog: the browser's own, which keeps the focus inside and gives it back.

import { html, useEffect, useRef } from "../lib/vendor.js";

/** Shown as long as it is rendered. `close` is called when somebody wants it to go away. */
export function Dialog({ title, close, isBusy = false, children }) {
  const dialog = useRef(null);
  useEffect(() => {
    dialog.current.showModal();
    return () => dialog.current?.close();
  }, []);
  const cancel = (event) => {
    event.preventDefault();
    if (!isBusy) close();
  };
  // The browser lets a second Escape close a dialog unasked.
  const closed = () => {
    if (dialog.current === null) return;
    if (isBusy) dialog.current.showModal();
    else close();
  };
  return html`<dialog
    ref=${dialog}
    aria-labelledby="dialog-title"
    aria-busy=${isBusy}
    onCancel=${cancel}
    onClose=${closed}
  >
    <div class="dialog-head">
      <h2 id="dialog-title">${title}</h2>
      <button type="button" class="button quiet small" disabled=${isBusy} onClick=${() => close()}>
        <span aria-hidden="true">✕</span><span class="unseen">Close</span>
      </button>
    </div>
    ${children}
  </dialog>`;
}

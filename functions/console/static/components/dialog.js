// A modal dialog: the browser's own, which traps the focus and restores it.

import { html, useEffect, useRef } from "../lib/vendor.js";

/** Open while it is rendered. `close` is called when the user dismisses it. */
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
  // A second Escape closes a dialog without a cancel event.
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

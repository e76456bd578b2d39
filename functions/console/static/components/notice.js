// The latest notice, at the bottom of a page.

import { html, useEffect, useState } from "../lib/vendor.js";
import { onNotice } from "../lib/notice.js";

/** The latest notice: shown for a few seconds and announced once. */
export function Notice() {
  const [notice, setNotice] = useState({ text: "", isShown: false });
  useEffect(() => {
    onNotice((text) => setNotice({ text, isShown: true }));
  }, []);
  useEffect(() => {
    if (!notice.isShown) return undefined;
    const timer = setTimeout(() => setNotice({ ...notice, isShown: false }), 8000);
    return () => clearTimeout(timer);
  }, [notice]);
  return html`<p role="status" aria-live="polite" class=${`notice ${notice.isShown ? "shown" : ""}`}>
    ${notice.text}
  </p>`;
}

// What a page shows in place of a part that has failed.

import { html, useEffect, useErrorBoundary } from "../lib/vendor.js";

/** Show a failure in the place of `children`; all else and the next `address` keep working. */
export function Guarded({ address, children }) {
  const [error, recover] = useErrorBoundary((thrown) => console.error(thrown));
  useEffect(() => {
    if (error) recover();
  }, [address]);
  if (!error) return children;
  return html`<div class="state failure" role="alert">
    <p class="state-title">This page couldn't be displayed</p>
    <p>Something unexpected happened: ${String(error)}</p>
    <button type="button" class="button" onClick=${() => location.reload()}>Reload</button>
  </div>`;
}

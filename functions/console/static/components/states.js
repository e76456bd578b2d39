// What a page shows instead of its content: a loading state, an empty state, an error.

import { html } from "../lib/vendor.js";
import { NetworkError } from "../lib/api.js";

const ADVICE = {
  account_closed: "A closed account keeps its ledger and changes no more.",
  account_frozen: "Unfreeze the account first.",
  account_not_found: "Check the id: it is the one that the identity provider gave the user.",
  busy: "Wait a moment and try again.",
  catalog_unsound: "The account is on a plan that is not in the catalog. See Health.",
  corrupt_account: "Its record was edited by hand. Nothing here can be trusted or changed.",
  entry_not_found:
    "Expiries and renewals are written with the account's next command. Until then they are only computed.",
  forbidden: "Your sign-in does not allow that. Sign out and in again if you were made admin.",
  idempotency_key_reused: "Close this and start over.",
  internal_error: "Try again. If it keeps failing, give the request ID to your Scrip operator.",
  invalid_cursor: "Load the page again.",
};

const UNANSWERED = "Check your connection and try again.";

const STATUS_ADVICE = {
  403: "Your sign-in does not allow that.",
  404: "It may be misspelt, or it was never there.",
  429: "Wait a moment and try again.",
  500: ADVICE.internal_error,
  503: ADVICE.busy,
};

/**
 * An error in the server's own words, advice, and the request ID that the logs use.
 *
 * `unknown` is the advice when no response arrived.
 */
export function Failure({ error, title, retry, unknown = UNANSWERED }) {
  if (error instanceof NetworkError) {
    return html`<div class="state failure" role="alert">
      <p class="state-title">${title ?? "Scrip did not answer"}</p>
      <p>${unknown}</p>
      <${Retry} retry=${retry} />
    </div>`;
  }
  const advice = ADVICE[error.code] ?? STATUS_ADVICE[error.status];
  const invalid = error.problem?.errors;
  const rest = error.title ? error.message.replace(error.title, "").trim() : error.message;
  return html`<div class="state failure" role="alert">
    <p class="state-title">${title ?? error.title ?? "Something went wrong"}</p>
    ${
      invalid
        ? html`<ul>
          ${invalid.map((line) => html`<li key=${line}>${line}</li>`)}
        </ul>`
        : rest && html`<p>${rest}</p>`
    }
    ${advice && html`<p>${advice}</p>`}
    ${error.instance && html`<p class="fine">Request <code>${error.instance}</code></p>`}
    <${Retry} retry=${retry} />
  </div>`;
}

const Retry = ({ retry }) =>
  retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`;

/** An empty result, which is not an error. */
export const Empty = ({ title, children }) => html`<div class="state">
  <p class="state-title">${title}</p>
  ${children && html`<p>${children}</p>`}
</div>`;

/** Placeholder lines for content that is loading; announced once. */
export const Loading = ({ lines = 4, what }) => html`<div class="skeleton" role="status">
  <span class="unseen">Loading ${what}</span>
  ${Array.from({ length: lines }, (_, index) => html`<span key=${index} class="skeleton-line"></span>`)}
</div>`;

/** Loaded content, or its loading or error state. `children` is a function of the data. */
export function Loaded({ of: { data, error, isLoading, reload }, what, lines, children }) {
  if (error) return html`<${Failure} error=${error} retry=${reload} />`;
  if (data === undefined) return html`<${Loading} what=${what} lines=${lines} />`;
  return html`<div class="loaded" aria-busy=${isLoading}>${children(data)}</div>`;
}

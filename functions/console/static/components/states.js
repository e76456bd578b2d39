// What a page shows instead of its content: that it loads, that there is none, what went wrong.

import { html } from "../lib/vendor.js";
import { NetworkError } from "../lib/api.js";

const ADVICE = {
  account_closed: "A closed account keeps its ledger and changes no more.",
  account_frozen: "Unfreeze the account first.",
  account_not_found: "Check the id: it is the one that the identity provider gave the user.",
  busy: "Wait a moment and try again.",
  catalog_unsound: "The account is on a plan that is not in the catalog. See Health.",
  corrupt_account: "Somebody changed its record by hand. Nothing here can be trusted or changed.",
  entry_not_found:
    "What the clock brings is written down with the account's next command. Until then it is reckoned.",
  forbidden: "Your sign-in does not allow that. Sign out and in again if you were made admin.",
  idempotency_key_reused: "Close this and begin again.",
  internal_error: "Try again. If it stays, give the request's name to whoever runs Scrip.",
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
 * What went wrong, in the server's own words, what to do, and the request's name for the logs.
 *
 * `unknown` is what to do where no answer came.
 */
export function Failure({ error, title, retry, unknown = UNANSWERED }) {
  if (error instanceof NetworkError) {
    return html`<div class="state failure" role="alert">
      <p class="state-title">${title ?? "Scrip did not answer"}</p>
      <p>${unknown}</p>
      <${Retry} retry=${retry} />
    </div>`;
  }
  const told = ADVICE[error.code] ?? STATUS_ADVICE[error.status];
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
    ${told && html`<p>${told}</p>`}
    ${error.instance && html`<p class="fine">Request <code>${error.instance}</code></p>`}
    <${Retry} retry=${retry} />
  </div>`;
}

const Retry = ({ retry }) =>
  retry && html`<button type="button" class="button" onClick=${retry}>Try again</button>`;

/** There is nothing to show, and that is no error. */
export const Empty = ({ title, children }) => html`<div class="state">
  <p class="state-title">${title}</p>
  ${children && html`<p>${children}</p>`}
</div>`;

/** Lines where content will be; says once that it loads. */
export const Loading = ({ lines = 4, what }) => html`<div class="skeleton" role="status">
  <span class="unseen">Loading ${what}</span>
  ${Array.from({ length: lines }, (_, index) => html`<span key=${index} class="skeleton-line"></span>`)}
</div>`;

/** Content once it is loaded; before, that it loads or what went wrong. `children` is a function. */
export function Loaded({ of: { data, error, isLoading, reload }, what, lines, children }) {
  if (error) return html`<${Failure} error=${error} retry=${reload} />`;
  if (data === undefined) return html`<${Loading} what=${what} lines=${lines} />`;
  return html`<div class="loaded" aria-busy=${isLoading}>${children(data)}</div>`;
}

// What a page shows instead of its content: a loading state, an empty state, an error.

import { html } from "../lib/vendor.js";
import { NetworkError } from "../lib/api.js";

const ADVICE = {
  account_closed: "A closed account keeps its ledger but can't change.",
  account_frozen: "Unfreeze the account first.",
  account_not_found: "Check the ID. It's the user's ID at your identity provider.",
  busy: "Wait a moment and try again.",
  catalog_unsound: "The account's plan is missing from the catalog. See Health.",
  corrupt_account: "Its record was edited outside Scrip. Don't rely on what you see here; changes are blocked.",
  entry_not_found:
    "Expirations and renewals are recorded with the account's next change. Until then they're only computed.",
  forbidden: "Your sign-in doesn't allow this. If you just became an admin, sign out and back in.",
  idempotency_key_reused: "Close this dialog and start over.",
  internal_error: "Try again. If it keeps failing, send the request ID to your Scrip operator.",
  invalid_cursor: "Reload the page.",
  not_found: "Check the spelling. It may never have existed.",
  unanswered: "Scrip didn't respond",
};

const UNANSWERED = "Check your connection and try again.";

const STATUS_CODES = { 403: "forbidden", 404: "not_found", 429: "busy", 500: "internal_error", 503: "busy" };

/** Give other advice, by the code of an error: users can do other things than admins. */
export const advise = (advice) => Object.assign(ADVICE, advice);

/**
 * An error in the server's own words, advice, and the request ID that the logs use.
 *
 * `unknown` is the advice when no response arrived.
 */
export function Failure({ error, title, retry, unknown = UNANSWERED }) {
  if (error instanceof NetworkError) {
    return html`<div class="state failure" role="alert">
      <p class="state-title">${title ?? ADVICE.unanswered}</p>
      <p>${unknown}</p>
      <${Retry} retry=${retry} />
    </div>`;
  }
  const advice = ADVICE[error.code] ?? ADVICE[STATUS_CODES[error.status]];
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

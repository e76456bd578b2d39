// The dialog of a change to an account. The server previews it while the form is filled in.

import { html } from "../lib/vendor.js";
import { get, path, pause } from "../lib/api.js";
import { number } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { ChangeDialog } from "../components/change.js";
import { Why, whyOf } from "../components/fields.js";

const TYPING_SECONDS = 0.3;

/** Some changes require a reason, which may not be typed yet. A dry run does not record it. */
const NO_REASON_YET = { reason: "Preview" };

/**
 * `form` is the request without its reason, or null while the form is incomplete. `read(signal)`
 * returns what the change starts from: `{account}`, and more if the dialog needs it. If the request
 * depends on that, `bodyOf(now)` builds it. `why` is the form with the reason and the note.
 * `send(body, options)` sends the request.
 *
 * `effect(now, answer)` and `label(answer)` describe the answer of a dry run: the rules are the
 * server's, and the console has none. `check()` marks invalid fields and returns whether there are
 * none. See ChangeDialog for `title`, `close` and `done`.
 */
export function AccountChangeDialog({
  accountId,
  form,
  why,
  check = () => true,
  read = (signal) => readAccount(accountId, signal),
  bodyOf = () => form,
  send,
  effect,
  label,
  children,
  ...dialog
}) {
  const rehearse = async (reason, signal) => {
    const now = await read(signal);
    const body = bodyOf(now);
    const answer = await send({ ...body, ...reason }, { isDryRun: true, signal });
    return { now, body, answer };
  };
  const preview = useLoaded(
    async (signal) => {
      if (form === null) return null;
      await pause(TYPING_SECONDS);
      return signal.aborted ? null : rehearse(NO_REASON_YET, signal);
    },
    [JSON.stringify(form)],
  );
  const prepare = async () => {
    if (!check()) return null;
    const { now, body, answer } = await rehearse(whyOf(why));
    return {
      body: { ...body, ...whyOf(why) },
      label: label(answer),
      effect: html`${effect(now, answer)}<${Why} ...${why} />`,
    };
  };
  return html`<${ChangeDialog} prepare=${prepare} send=${send} ...${dialog}>
    ${children}
    <div class="preview" aria-live="polite" aria-busy=${preview.isLoading}>
      ${previewed(preview, effect)}
    </div>
  <//>`;
}

function previewed({ data, error, isLoading }, effect) {
  if (isLoading) return html`<p class="quiet">Loading preview…</p>`;
  if (error) return html`<p class="warning">${error.message}</p>`;
  if (data === null) return html`<p class="quiet">Fill in the form to see a preview.</p>`;
  return effect(data.now, data.answer);
}

/** Read an account as the start of a change. */
export const readAccount = async (accountId, signal) => ({
  account: await get(path`accounts/${accountId}`, { signal }),
});

const FIELDS = [
  ["Balance", "balance"],
  ["Available", "available"],
  ["Owed", "debt"],
];

/** Credits before and after a change. `after` may lack some; no debt is not mentioned. */
export const Balances = ({ before, after }) => html`<${Rows}
  rows=${FIELDS.filter(([, field]) => field in after)
    .filter(([, field]) => field !== "debt" || before.debt > 0 || after.debt > 0)
    .map(([name, field]) => [name, number(before[field]), number(after[field])])}
/>`;

/** Texts before and after a change: `rows` are [name, before, after]. */
export const Rows = ({ rows }) => html`<dl class="rows">
  ${rows.map(
    ([name, before, after]) => html`<div key=${name}>
      <dt>${name}</dt>
      <dd>
        ${before}
        ${
          after !== before &&
          html` <span aria-hidden="true">→</span><span class="unseen">becomes</span>${" "}
          <strong>${after}</strong>`
        }
      </dd>
    </div>`,
  )}
</dl>`;

// Adds credits to several accounts, or deducts them: a form, a preview of each, and what came of it.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { nameOf } from "../lib/accounts.js";
import { path, post } from "../lib/api.js";
import { counted, credits, instant, number } from "../lib/format.js";
import { href } from "../lib/router.js";
import { forEach } from "../lib/several.js";
import { Effect } from "../components/change.js";
import { Dialog } from "../components/dialog.js";
import { Why, whyOf } from "../components/fields.js";
import { Table } from "../components/table.js";
import { labelOf, useCreditsForm } from "./credits.js";

const accounts = (count) => counted(count, "account");

/**
 * Adjust the credits of the accounts of a `run`, which `change` replaces as it goes on.
 *
 * A run is `{accounts}`, then also `{key, body, expiresAt, tried}` and `made`: what a dry run, and
 * then the server, answered for each account. The run's key is the idempotency key of all its
 * adjustments. As keys belong to an account, each is adjusted at most once, however often it's tried.
 * `adjusted(account)` receives each account after its adjustment.
 */
export function SeveralCreditsDialog({ run, change, adjusted, close }) {
  const { request, why, expiresAt, check, fields } = useCreditsForm(["add", "deduct"]);
  const [isBusy, setBusy] = useState(false);
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), []);

  /** Send an adjustment of each account, and note each answer in the run as `name`. */
  const send = async (started, name, some, options) => {
    if (stop.current) return;
    const { signal } = (stop.current = new AbortController());
    setBusy(true);
    let now = started;
    const note = (id, answer) => {
      now = { ...now, [name]: new Map(now[name]).set(id, answer) };
      change(now);
    };
    change(now);
    await forEach(
      some,
      async ({ account_id: id }) => {
        try {
          const answer = await post(path`accounts/${id}/adjustments`, now.body, options);
          if (name === "made") adjusted(answer.account);
          note(id, { answer });
        } catch (error) {
          note(id, { error });
        }
      },
      signal,
    );
    stop.current = null;
    setBusy(false);
  };
  const preview = (event) => {
    event.preventDefault();
    if (!check()) return;
    const body = { ...request, ...whyOf(why) };
    const started = { accounts: run.accounts, key: crypto.randomUUID(), body, expiresAt };
    send({ ...started, tried: new Map() }, "tried", run.accounts, { isDryRun: true });
  };
  const make = (event) => {
    event.preventDefault();
    const made = new Map([...(run.made ?? [])].filter(([, { answer }]) => answer));
    send({ ...run, made }, "made", left(run), { key: run.key });
  };
  const title = `Adjust credits of ${accounts(run.accounts.length)}`;
  return html`<${Dialog} title=${title} close=${close} isBusy=${isBusy}>
    ${
      run.made
        ? html`<${Made} run=${run} isBusy=${isBusy} make=${make} stop=${() => stop.current.abort()} close=${close} />`
        : run.tried
          ? html`<${Tried}
              run=${run}
              isBusy=${isBusy}
              make=${make}
              back=${() => change({ accounts: run.accounts })}
            />`
          : html`<form onSubmit=${preview} novalidate>
              ${fields}
              <div class="dialog-foot">
                <button type="button" class="button" onClick=${() => close()}>Cancel</button>
                <button type="submit" class="button primary">Preview</button>
              </div>
            </form>`
    }
  <//>`;
}

/** Return the accounts of a run that are still to be adjusted: the preview had no objection. */
export const left = ({ accounts: all, tried, made = new Map() }) =>
  all.filter(({ account_id: id }) => tried.get(id)?.answer && !made.get(id)?.answer);

/** What each account would get, and who would get nothing. */
function Tried({ run, isBusy, make, back }) {
  const { accounts: all, body, expiresAt, tried } = run;
  const some = left(run);
  const refused = all.filter(({ account_id: id }) => tried.get(id)?.error);
  return html`<form onSubmit=${make}>
    <${Effect}>
      <p aria-live="polite">
        ${
          isBusy
            ? `Previewing ${number(tried.size)} of ${accounts(all.length)}…`
            : html`
                ${some.length > 0 && html`${does(body, some.length)}${ends(body, expiresAt)}`}
                ${refused.length > 0 && html` <strong>${accounts(refused.length)}</strong> can't be adjusted.`}
              `
        }
      </p>
      <${Why} reason=${body.reason} note=${body.note} />
    <//>
    ${!isBusy && html`<${Each} rows=${[...refused, ...some]} of=${tried} name="Balance" />`}
    <div class="dialog-foot">
      <button type="button" class="button" disabled=${isBusy} onClick=${back}>Back</button>
      <button type="submit" class="button primary" disabled=${isBusy || some.length === 0}>
        ${isBusy ? "Working…" : html`${labelOf(body)} ${body.action === "add" ? "to" : "from"} ${accounts(some.length)}`}
      </button>
    </div>
  </form>`;
}

function does({ action, amount }, count) {
  const total = html`<strong>${accounts(count)}</strong>, ${number(amount * count)} in total`;
  return action === "add"
    ? html`Adds <strong>${credits(amount)}</strong> to ${total}.`
    : html`Deducts <strong>${credits(amount)}</strong> from ${total}.`;
}

const ends = ({ action }, expiresAt) =>
  action === "add" && ` The credits ${expiresAt ? `expire on ${instant(expiresAt)}` : "never expire"}.`;

/** How far a run is, and then whom it has failed for. */
function Made({ run, isBusy, make, stop, close }) {
  const { made, body } = run;
  const rest = left(run);
  const done = [...made.values()].filter(({ answer }) => answer).length;
  const failed = rest.filter(({ account_id: id }) => made.get(id)?.error);
  const verb = body.action === "add" ? "added to" : "deducted from";
  return html`<form onSubmit=${make}>
    <${Effect}>
      <p aria-live="polite">
        <strong>${credits(body.amount)}</strong> ${verb} ${number(done)} of
        ${" "}${accounts(done + rest.length)}${isBusy ? "…" : "."}
        ${!isBusy && failed.length > 0 && html` ${number(failed.length)} failed.`}
      </p>
      ${
        !isBusy &&
        rest.length > 0 &&
        html`<p class="quiet">It's safe to try again: each account is adjusted at most once.</p>`
      }
    <//>
    ${
      isBusy
        ? html`<progress max=${done + rest.length} value=${made.size} aria-label="Accounts adjusted"></progress>`
        : failed.length > 0 && html`<${Each} rows=${failed} of=${made} name="Why it failed" />`
    }
    <div class="dialog-foot">
      ${
        isBusy
          ? html`<button type="button" class="button" onClick=${stop}>Stop</button>`
          : html`<button type="button" class="button" onClick=${() => close()}>Close</button>`
      }
      ${
        rest.length > 0 &&
        html`<button type="submit" class="button primary" disabled=${isBusy}>
          ${isBusy ? "Working…" : again(rest.length, failed.length)}
        </button>`
      }
    </div>
  </form>`;
}

const again = (rest, failed) =>
  failed === rest ? `Retry the ${number(rest)} that failed` : `Continue with the other ${number(rest)}`;

/** What was answered for each account, as a column called `name`. */
const Each = ({ rows, of, name }) => html`<div class="each" tabindex="0" role="region" aria-label="Accounts">
  <${Table}
    caption="Accounts"
    columns=${[
      {
        name: "Account",
        isRowHeader: true,
        cell: (account) => html`<a href=${href(["accounts", account.account_id])} target="_blank">${nameOf(account)}</a>`,
      },
      { name, isMain: true, isNumber: true, cell: ({ account_id: id }) => html`<${Answer} ...${of.get(id)} />` },
    ]}
    rows=${rows}
    keyOf=${(account) => account.account_id}
  />
</div>`;

const Answer = ({ answer, error }) =>
  error
    ? html`<span class="loss">${error.message}</span>`
    : html`<span class="number">
        ${number(answer.balance_before)} <span aria-hidden="true">→</span
        ><span class="unseen">becomes</span> <strong>${number(answer.account.balance)}</strong>
      </span>`;

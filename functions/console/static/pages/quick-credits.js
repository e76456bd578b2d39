// Edits the balance in place: an amount, a reason, and what comes of them.

import { html, useLayoutEffect, useState } from "../lib/vendor.js";
import { path, pause, post } from "../lib/api.js";
import { number } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { UNKNOWN, useKeys } from "../components/change.js";
import { Field, ReasonField, SAY_WHY, wholeNumber } from "../components/fields.js";
import { Failure } from "../components/states.js";
import { labelOf, summary } from "../dialogs/credits.js";

const TYPING_SECONDS = 0.3;
const ACTIONS = { "": "add", "+": "add", "-": "deduct", "−": "deduct", "=": "set" };

/** Read 1,000 or +1,000 as an addition, -50 as a deduction and =0 as a new balance. */
function read(text) {
  const [, sign, digits] = /^\s*([+\-−=]?)(.*)$/.exec(text);
  const action = ACTIONS[sign];
  const amount = wholeNumber(digits, action === "set" ? 0 : 1);
  return amount === null ? null : { action, amount };
}

/** `open` opens the dialog, which can also set a kind, an expiration and a note. */
export function QuickCredits({ accountId, account, open, done }) {
  const [form, setForm] = useState({ change: "", reason: "" });
  const [state, setState] = useState({});
  const keyOf = useKeys();
  useLayoutEffect(() => document.getElementById("quick-change").focus(), []);
  const request = read(form.change);
  const to = path`accounts/${accountId}/adjustments`;
  const preview = useLoaded(
    async (signal) => {
      if (request === null) return null;
      await pause(TYPING_SECONDS);
      if (signal.aborted) return null;
      return post(to, { ...request, reason: "Preview" }, { isDryRun: true, signal });
    },
    [JSON.stringify(request), account],
  );
  const wrong = {
    change: request === null ? "Enter a number, such as 1,000, -50, or =0." : undefined,
    reason: form.reason.trim() === "" ? SAY_WHY : undefined,
  };
  const errors = state.isChecked ? wrong : {};
  const save = async (event) => {
    event.preventDefault();
    if (state.isBusy) return;
    if (wrong.change || wrong.reason) {
      setState({ isChecked: true });
      return;
    }
    setState({ isBusy: true });
    const body = { ...request, reason: form.reason.trim() };
    try {
      const { entry, account: after } = await post(to, body, { key: keyOf(body) });
      done(`${summary(entry)}; balance ${number(after.balance)}`, after);
    } catch (error) {
      setState({ error });
    }
  };
  return html`<form class="card padded quick" aria-label="Adjust the balance" onSubmit=${save} novalidate>
    <${Field}
      id="quick-change"
      label="Change"
      placeholder="1,000 or -50"
      inputmode="text"
      class="number"
      spellcheck=${false}
      value=${form.change}
      change=${(change) => setForm({ ...form, change })}
      error=${errors.change}
    />
    <${ReasonField}
      id="quick-reason"
      hint=${undefined}
      value=${form.reason}
      change=${(reason) => setForm({ ...form, reason })}
      error=${errors.reason}
    />
    <button type="submit" class="button primary" disabled=${state.isBusy}>
      ${request ? labelOf(request) : "Adjust"}
    </button>
    <button type="button" class="button" onClick=${open}>More options</button>
    <p class="quick-preview" aria-live="polite" aria-busy=${preview.isLoading}>
      ${request && previewed(preview)}
    </p>
    ${state.error && html`<${Failure} error=${state.error} unknown=${UNKNOWN} />`}
  </form>`;
}

function previewed({ data, error, isLoading }) {
  if (error) return html`<span class="loss">${error.message}</span>`;
  if (isLoading || !data) return html`<span class="quiet">Loading preview…</span>`;
  return html`Balance ${number(data.balance_before)} <span aria-hidden="true">→</span>
    <span class="unseen">becomes</span> <strong>${number(data.account.balance)}</strong>`;
}

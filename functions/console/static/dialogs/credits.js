// Adds, deducts or sets credits by hand.

import { html, useState } from "../lib/vendor.js";
import { path, post } from "../lib/api.js";
import { credits, instant, number, words } from "../lib/format.js";
import {
  NOTHING_SAID,
  SAY_WHY,
  Choice,
  Field,
  NumberField,
  Radios,
  WhyFields,
  binder,
  wholeNumber,
} from "../components/fields.js";
import { AccountChangeDialog, Balances } from "./account-change.js";

const KINDS = ["admin", "promo", "referral"];

const ACTIONS = [
  ["add", "Add", "new credits"],
  ["deduct", "Deduct", "from the balance"],
  ["set", "Set", "an exact balance"],
];

/**
 * A form of credits to add, deduct or set; `actions` are the ones to choose from.
 *
 * `request` is null while its amount is invalid, and `why` has the reason and the note. `check()`
 * marks invalid fields and returns whether there are none. Kind and expiry are properties of added
 * credits only.
 */
export function useCreditsForm(actions = ["add", "deduct", "set"]) {
  const [form, setForm] = useState({
    action: "add",
    amount: "",
    kind: "admin",
    expires: "",
    ...NOTHING_SAID,
  });
  const [isChecked, setChecked] = useState(false);
  const { action, kind } = form;
  const amount = wholeNumber(form.amount, action === "set" ? 0 : 1);
  const expiresAt = action === "add" && form.expires ? new Date(form.expires) : null;
  const added = {
    ...(kind !== "admin" && { kind }),
    ...(expiresAt && { expires_at: expiresAt.toISOString() }),
  };
  const request = amount === null ? null : { action, amount, ...(action === "add" && added) };
  const wrong = {
    ...(amount === null && {
      amount: `Enter a whole number from ${action === "set" ? 0 : 1} to ${number(10 ** 12)}.`,
    }),
    ...(form.reason.trim() === "" && { reason: SAY_WHY }),
  };
  const errors = isChecked ? wrong : {};
  const bound = binder(form, setForm, errors);
  const check = () => {
    setChecked(true);
    return Object.keys(wrong).length === 0;
  };
  const fields = html`
    <${Radios}
      ...${bound("action", "Action")}
      options=${ACTIONS.filter(([one]) => actions.includes(one))}
    />
    <${NumberField} ...${bound("amount", action === "set" ? "New balance" : "Amount")} autofocus />
    <${WhyFields} value=${form} change=${setForm} error=${errors.reason} />
    ${
      action === "add" &&
      html`<div class="field-row">
      <${Choice}
        ...${bound("kind", "Kind")}
        options=${KINDS.map((one) => [one, words(one)])}
      />
      <${Field} ...${bound("expires", "Expires")} type="datetime-local" hint="Your local time. Leave empty for never." />
    </div>`
    }
  `;
  return { request, why: form, kind, expiresAt, check, fields };
}

export function CreditsDialog({ accountId, close, done }) {
  const { request, why, kind, expiresAt, check, fields } = useCreditsForm();
  return html`<${AccountChangeDialog}
    accountId=${accountId}
    title="Adjust credits"
    close=${close}
    form=${request}
    why=${why}
    check=${check}
    send=${(body, options) => post(path`accounts/${accountId}/adjustments`, body, options)}
    label=${() => labelOf(request)}
    effect=${({ account }, { entry, account: after }) => html`
      <p>${moved(accountId, entry, kind, expiresAt)}</p>
      <${Balances} before=${account} after=${after} />
    `}
    done=${({ entry, account: after }) =>
      done(`${summary(entry)}; balance ${number(after.balance)}`, after)}
  >
    ${fields}
  <//>`;
}

function moved(accountId, { amount }, kind, expiresAt) {
  if (amount === 0) return "The balance is already at this amount. The ledger records the request; nothing else changes.";
  if (amount < 0) return html`Deducts <strong>${credits(-amount)}</strong> from ${accountId}.`;
  return html`Adds <strong>${credits(amount)}</strong> to ${accountId} as a grant of kind ${kind} that
    ${expiresAt ? ` expires on ${instant(expiresAt)}` : " never expires"}.`;
}

/** Name the button that makes an adjustment: Add 50 credits, Set to 0. */
export const labelOf = ({ action, amount }) =>
  action === "set" ? `Set to ${number(amount)}` : `${words(action)} ${credits(amount)}`;

/** Say what an adjustment did: 50 credits added. */
export const summary = ({ amount }) =>
  amount === 0
    ? "No change needed"
    : `${credits(Math.abs(amount))} ${amount > 0 ? "added" : "deducted"}`;

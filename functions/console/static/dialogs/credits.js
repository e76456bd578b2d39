// Adds, deducts or sets credits by hand, with the balance that it will lead to shown beforehand.

import { html, useState } from "../lib/vendor.js";
import { get, path, post } from "../lib/api.js";
import { credits, instant, number, words } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { ChangeDialog } from "../components/change.js";
import {
  NOTHING_SAID,
  SAY_WHY,
  Choice,
  Field,
  NumberField,
  Radios,
  Why,
  WhyFields,
  binder,
  whyOf,
  wholeNumber,
} from "../components/fields.js";
import { Credits } from "../components/values.js";

const KINDS = ["admin", "promo", "referral"];

/** What the form means on an account: how much comes or goes, and what is left. */
function outcome(action, amount, { balance, available, held, debt }) {
  const change = { add: amount, deduct: -amount, set: amount - balance }[action];
  return {
    change,
    balance: balance + change,
    available: balance + change - held,
    debt: Math.max(0, debt - Math.max(0, change)),
    isTooMuch: -change > Math.max(0, available),
  };
}

/** `account` is as the page showed it; what counts is read anew. */
export function CreditsDialog({ accountId, account, close, done }) {
  const [form, setForm] = useState({
    action: "add",
    amount: "",
    ...NOTHING_SAID,
    kind: "admin",
    expires: "",
  });
  const [isChecked, setChecked] = useState(false);
  const [fresh, setFresh] = useState(null);
  const loaded = useLoaded((signal) => get(path`accounts/${accountId}`, { signal }), [accountId]);
  const now = fresh ?? loaded.data ?? account;
  const { action, kind } = form;
  const amount = wholeNumber(form.amount, action === "set" ? 0 : 1);
  const expiresAt = form.expires && new Date(form.expires);
  const errors = isChecked ? wrong({ ...form, amount, expiresAt }) : {};
  const bound = binder(form, setForm, errors);
  const result = amount === null ? null : outcome(action, amount, now);

  const prepare = async () => {
    setChecked(true);
    if (Object.keys(wrong({ ...form, amount, expiresAt })).length > 0) return null;
    const current = await get(path`accounts/${accountId}`);
    setFresh(current);
    const added = {
      ...(kind === "admin" ? {} : { kind }),
      ...(expiresAt ? { expires_at: expiresAt.toISOString() } : {}),
    };
    return {
      body: { action, amount, ...whyOf(form), ...(action === "add" ? added : {}) },
      label: action === "set" ? `Set to ${number(amount)}` : `${words(action)} ${credits(amount)}`,
      effect: html`<${Effect} form=${{ ...form, amount, expiresAt }} account=${current} />`,
    };
  };

  return html`<${ChangeDialog}
    title="Manage credits"
    close=${close}
    prepare=${prepare}
    send=${(body, key) => post(path`accounts/${accountId}/adjustments`, body, { key })}
    done=${({ entry, account: after }) => done(`${told(entry)}; balance ${number(after.balance)}`)}
  >
    <${Radios}
      ...${bound("action", "What to do")}
      options=${[
        ["add", "Add", "new credits"],
        ["deduct", "Deduct", "from what is there"],
        ["set", "Set", "the balance itself"],
      ]}
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
      <${Field} ...${bound("expires", "Expires")} type="datetime-local" hint="In local time; never, if left empty." />
    </div>`
    }
    <${Preview} account=${now} result=${result} />
  <//>`;
}

function wrong({ action, amount, reason, expires, expiresAt }) {
  return {
    ...(amount === null && {
      amount: `Give a whole number from ${action === "set" ? 0 : 1} to ${number(10 ** 12)}.`,
    }),
    ...(reason.trim() === "" && { reason: SAY_WHY }),
    ...(action === "add" &&
      expires &&
      !(expiresAt > new Date()) && { expires: "Choose a time to come." }),
  };
}

const told = ({ amount }) =>
  amount === 0
    ? "Nothing had to change"
    : `${credits(Math.abs(amount))} ${amount > 0 ? "added" : "deducted"}`;

function Preview({ account, result }) {
  const line = (name, before, after) => html`<div>
    <dt>${name}</dt>
    <dd>
      <${Credits} value=${before} />
      ${
        after !== undefined &&
        html` <span aria-hidden="true">→</span><span class="unseen">becomes</span>${" "}
        <strong><${Credits} value=${after} /></strong>`
      }
    </dd>
  </div>`;
  return html`<div class="preview" aria-live="polite">
    <dl>
      ${line("Balance", account.balance, result?.balance)}
      ${line("Available", account.available, result?.available)}
      ${account.debt > 0 && line("Owed", account.debt, result?.debt)}
    </dl>
    ${result?.isTooMuch && html`<${TooMuch} account=${account} />`}
  </div>`;
}

const TooMuch = ({ account }) => html`<p class="warning">
  Only ${number(Math.max(0, account.available))} can be taken. Scrip will refuse this.
</p>`;

function Effect({ form, account }) {
  const { action, amount, kind, expiresAt } = form;
  const { change, balance, isTooMuch } = outcome(action, amount, account);
  const moved = html`Its balance goes from <strong>${number(account.balance)}</strong> to${" "}
    <strong>${number(balance)}</strong>.`;
  const sentence =
    change === 0
      ? html`The balance is ${number(balance)} already. The ledger will say so, and nothing else changes.`
      : change > 0
        ? html`<strong>${credits(change)}</strong> arrive on ${account.account_id} as a grant of kind${" "}
            ${action === "add" ? kind : "admin"}, which
            ${action === "add" && expiresAt ? ` expires on ${instant(expiresAt)}` : " never expires"}. ${moved}
            ${account.debt > 0 && ` They pay what is owed first: ${credits(Math.min(account.debt, change))}.`}`
        : html`<strong>${credits(-change)}</strong> are taken from ${account.account_id}, out of its grants in the
            order in which they are spent. ${moved}`;
  return html`<p>${sentence}</p>
    ${isTooMuch && html`<${TooMuch} account=${account} />`}
    <${Why} ...${form} />`;
}

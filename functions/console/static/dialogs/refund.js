// Refunds a use, in whole or in part.

import { html, useState } from "../lib/vendor.js";
import { get, path, post } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { said } from "../lib/entries.js";
import { credits, instant, number } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { Dialog } from "../components/dialog.js";
import {
  NOTHING_SAID,
  SAY_WHY,
  NumberField,
  Radios,
  WhyFields,
  binder,
  wholeNumber,
} from "../components/fields.js";
import { Loaded } from "../components/states.js";
import { Facts } from "../components/values.js";
import { AccountChangeDialog, Balances, readAccount } from "./account-change.js";

/** Refunds the use `entryId`. */
export function RefundDialog({ accountId, entryId, close, done }) {
  const loaded = useLoaded(
    async (signal) => ({
      entry: await get(path`accounts/${accountId}/entries/${entryId}`, { signal }),
      features: await features(),
    }),
    [accountId, entryId],
  );
  if (loaded.data) {
    return html`<${RefundForm} accountId=${accountId} ...${loaded.data} close=${close} done=${done} />`;
  }
  return html`<${Dialog} title="Refund" close=${close}>
    <${Loaded} of=${loaded} what="the entry" />
  <//>`;
}

const leftOf = ({ cost, refunded }) => cost - refunded;

function RefundForm({ accountId, entry, features: list, close, done }) {
  const entryId = entry.entry_id;
  const [form, setForm] = useState({ extent: "whole", amount: "", ...NOTHING_SAID });
  const [isChecked, setChecked] = useState(false);
  const isPart = form.extent === "part";
  const amount = wholeNumber(form.amount);
  const wrong = {
    ...(isPart && amount === null && { amount: "Enter a whole number, 1 or more." }),
    ...(form.reason.trim() === "" && { reason: SAY_WHY }),
  };
  const errors = isChecked ? wrong : {};
  const bound = binder(form, setForm, errors);

  return html`<${AccountChangeDialog}
    accountId=${accountId}
    title="Refund"
    close=${close}
    form=${isPart && amount === null ? null : { entry_id: entryId, ...(isPart && { amount }) }}
    why=${form}
    check=${() => {
      setChecked(true);
      return Object.keys(wrong).length === 0;
    }}
    read=${async (signal) => ({
      ...(await readAccount(accountId, signal)),
      entry: await get(path`accounts/${accountId}/entries/${entryId}`, { signal }),
    })}
    send=${(body, options) => post(path`accounts/${accountId}/refunds`, body, options)}
    label=${({ entry: refund }) => `Refund ${credits(refund.cost)}`}
    effect=${(now, { entry: refund, account }) => html`
      <p>${refunded(refund)} ${leftover(leftOf(now.entry) - refund.cost)}</p>
      <${Balances} before=${now.account} after=${account} />
    `}
    done=${({ entry: refund, account }) =>
      done(`${credits(refund.cost)} refunded; balance ${number(account.balance)}`)}
  >
    <${Facts}
      facts=${[
        ["Use", `${said(entry, list)}, ${instant(entry.recorded_at)}`],
        ["Charged", credits(entry.cost)],
        ["Refunded", credits(entry.refunded)],
        ["Refundable", credits(leftOf(entry))],
      ]}
    />
    <${Radios}
      ...${bound("extent", "Refund")}
      options=${[
        ["whole", "Full refund", credits(leftOf(entry))],
        ["part", "Partial refund"],
      ]}
    />
    ${isPart && html`<${NumberField} ...${bound("amount", "Amount")} />`}
    <${WhyFields} value=${form} change=${setForm} error=${errors.reason} />
  <//>`;
}

const refunded = ({ amount, cost }) =>
  amount === 0
    ? html`Lowers recorded usage by <strong>${credits(cost)}</strong>. The use was free, so no credits move.`
    : html`Returns <strong>${credits(cost)}</strong> to the grants they came from.`;

const leftover = (left) =>
  left > 0 ? `${credits(left)} will still be refundable.` : "The use will be fully refunded.";

// Gives back what a use took, whole or in part.

import { html, useState } from "../lib/vendor.js";
import { get, path, post } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { said } from "../lib/entries.js";
import { credits, instant, number } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { ChangeDialog } from "../components/change.js";
import { Dialog } from "../components/dialog.js";
import {
  NOTHING_SAID,
  SAY_WHY,
  NumberField,
  Radios,
  Why,
  WhyFields,
  binder,
  whyOf,
  wholeNumber,
} from "../components/fields.js";
import { Loaded } from "../components/states.js";
import { Facts } from "../components/values.js";

/** Of the use `entryId`, which is read anew. */
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

function RefundForm({ accountId, entry: entryShown, features: list, close, done }) {
  const [entry, setEntry] = useState(entryShown);
  const left = entry.cost - entry.refunded;
  const [form, setForm] = useState({ extent: "whole", amount: "", ...NOTHING_SAID });
  const [isChecked, setChecked] = useState(false);
  const amount = form.extent === "whole" ? left : wholeNumber(form.amount);
  const wrong = {
    ...(amount === null && { amount: "Give a whole number of at least 1." }),
    ...(form.reason.trim() === "" && { reason: SAY_WHY }),
  };
  const errors = isChecked ? wrong : {};
  const bound = binder(form, setForm, errors);

  const prepare = async () => {
    setChecked(true);
    if (Object.keys(wrong).length > 0) return null;
    const current = await get(path`accounts/${accountId}/entries/${entry.entry_id}`);
    setEntry(current);
    return meant(current);
  };

  /** The refund of what can still be refunded, or a part of it; null if that is nothing any more. */
  const meant = (current) => {
    const rest = current.cost - current.refunded;
    const given = form.extent === "whole" ? rest : amount;
    if (rest === 0) return null;
    return {
      body: { entry_id: entry.entry_id, amount: given, ...whyOf(form) },
      label: `Refund ${credits(given)}`,
      effect: html`<p>
          ${
            entry.unlimited
              ? html`The use is taken back: <strong>${credits(given)}</strong> fewer count as used. It cost nothing, so no
                credits move.`
              : html`<strong>${credits(given)}</strong> go back to the grants that they came from. What came from a grant
                that has expired lives for 7 days.`
          }
          ${given < rest ? ` Then ${credits(rest - given)} can still be refunded.` : " Then all of it is refunded."}
        </p>
        <${Why} ...${form} />`,
    };
  };

  return html`<${ChangeDialog}
    title="Refund"
    close=${close}
    prepare=${prepare}
    send=${(body, key) => post(path`accounts/${accountId}/refunds`, body, { key })}
    done=${({ entry: refund, account }) =>
      done(`${credits(refund.cost)} refunded; balance ${number(account.balance)}`)}
  >
    <${Facts}
      facts=${[
        ["Use", `${said(entry, list)}, ${instant(entry.recorded_at)}`],
        ["Taken", credits(entry.cost)],
        ["Refunded", credits(entry.refunded)],
        ["Left to refund", credits(left)],
      ]}
    />
    <${Radios}
      ...${bound("extent", "How much")}
      options=${[
        ["whole", "All that is left", credits(left)],
        ["part", "A part of it"],
      ]}
    />
    ${
      form.extent === "part" &&
      html`<${NumberField} ...${bound("amount", "Amount")} />
      ${amount > left && html`<p class="warning">Only ${number(left)} are left. Scrip will refuse this.</p>`}`
    }
    <${WhyFields} value=${form} change=${setForm} error=${errors.reason} />
    ${left === 0 && html`<p class="field-error" role="alert">All of it has been refunded meanwhile.</p>`}
  <//>`;
}

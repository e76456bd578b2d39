// Resets the count of the period's usage and refills the plan's grant.

import { html, useState } from "../lib/vendor.js";
import { path, post } from "../lib/api.js";
import { credits, number } from "../lib/format.js";
import { NOTHING_SAID, WhyFields } from "../components/fields.js";
import { AccountChangeDialog, Balances } from "./account-change.js";

/** Only the count changes; the ledger keeps every use. */
export function ResetDialog({ accountId, close, done }) {
  const [why, setWhy] = useState(NOTHING_SAID);
  return html`<${AccountChangeDialog}
    accountId=${accountId}
    title="Reset usage"
    close=${close}
    why=${why}
    isDanger
    form=${{}}
    send=${(body, options) => post(path`accounts/${accountId}/reset`, body, options)}
    label=${() => "Reset usage"}
    effect=${({ account }, { entry, account: after }) => html`
      <p>
        Resets the usage of ${accountId} this period from <strong>${number(account.used)}</strong> to <strong>0</strong>.${" "}
        ${
          entry.amount > 0
            ? html`Refills the plan grant with <strong>${credits(entry.amount)}</strong>.`
            : "No credits are added."
        }
      </p>
      <${Balances} before=${account} after=${after} />
    `}
    done=${({ entry, account: after }) =>
      done(`Usage reset; ${credits(entry.amount)} refilled; balance ${number(after.balance)}`)}
  >
    <p>Starts the current period's usage over at 0. The ledger keeps every use.</p>
    <${WhyFields} value=${why} change=${setWhy} autofocus />
  <//>`;
}

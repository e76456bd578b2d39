// Counts the use of the period anew and refills the plan's grant.

import { html, useState } from "../lib/vendor.js";
import { path, post } from "../lib/api.js";
import { credits, number } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { NOTHING_SAID, WhyFields, whyOf } from "../components/fields.js";
import { readAnew } from "./fresh.js";
import { planGrant } from "./quota-effect.js";

/** What was used is forgotten by the counter only; the ledger keeps it. */
export function ResetDialog({ accountId, close, done }) {
  const [why, setWhy] = useState(NOTHING_SAID);
  const prepare = async () => {
    const { account } = await readAnew(accountId);
    const plan = planGrant(account);
    const refill = plan ? plan.amount - plan.remaining : 0;
    return {
      body: whyOf(why),
      label: "Reset usage",
      effect: html`<p>
          What ${accountId} has used this period goes from <strong>${number(account.used)}</strong> to <strong>0</strong>.
        </p>
        <p>
          ${
            refill > 0
              ? html`The plan's grant is refilled with <strong>${credits(refill)}</strong>${
                  account.held > 0 ? ", less what is held of it" : ""
                }. No other grant changes.`
              : "The plan's grant is full, so no credits arrive."
          }
        </p>`,
    };
  };
  return html`<${ChangeDialog}
    title="Reset usage"
    close=${close}
    prepare=${prepare}
    send=${(body, key) => post(path`accounts/${accountId}/reset`, body, { key })}
    done=${({ entry, account: after }) =>
      done(`Usage reset; ${credits(entry.amount)} refilled; balance ${number(after.balance)}`)}
  >
    <p>The count of the running period begins anew. The ledger keeps every use.</p>
    <${WhyFields} value=${why} change=${setWhy} autofocus />
  <//>`;
}

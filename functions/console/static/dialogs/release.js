// Releases a hold.

import { html, useState } from "../lib/vendor.js";
import { path, post } from "../lib/api.js";
import { credits } from "../lib/format.js";
import { ReasonField } from "../components/fields.js";
import { AccountChangeDialog, Balances } from "./account-change.js";

/** A released hold can no longer be captured. */
export function ReleaseDialog({ accountId, holds, holdId, close, done }) {
  const [reason, setReason] = useState("");
  const { amount } = holds.find((hold) => hold.hold_id === holdId);
  return html`<${AccountChangeDialog}
    accountId=${accountId}
    title="Release hold"
    close=${close}
    why=${{ reason }}
    form=${{}}
    isDanger
    send=${(body, options) => post(path`accounts/${accountId}/holds/${holdId}/release`, body, options)}
    label=${() => "Release"}
    effect=${({ account }, { account: after }) => html`
      <p>
        Makes ${credits(amount)} available to ${accountId} again <strong>immediately</strong>. The app can no longer
        charge this hold.
      </p>
      <${Balances} before=${account} after=${after} />
    `}
    done=${() => done("Hold released")}
  >
    <p>Holds normally end on their own. Release one only if the app has lost track of it.</p>
    <${ReasonField} value=${reason} change=${setReason} autofocus />
  <//>`;
}

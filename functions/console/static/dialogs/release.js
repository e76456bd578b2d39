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
    title="Release the hold"
    close=${close}
    why=${{ reason }}
    form=${{}}
    send=${(body, options) => post(path`accounts/${accountId}/holds/${holdId}/release`, body, options)}
    label=${() => "Release"}
    effect=${({ account }, { account: after }) => html`
      <p>
        ${credits(amount)} are available to ${accountId} again, <strong>at once</strong>. What the hold was for can
        no longer be charged to it.
      </p>
      <${Balances} before=${account} after=${after} />
    `}
    done=${() => done("The credits are available again")}
  >
    <p>It would end by itself, captured, released or expired. This is for one that was forgotten.</p>
    <${ReasonField} value=${reason} change=${setReason} autofocus />
  <//>`;
}

// Releases a hold.

import { html, useState } from "../lib/vendor.js";
import { path, post } from "../lib/api.js";
import { credits } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { ReasonField, whyOf } from "../components/fields.js";

/** A released hold can no longer be captured. */
export function ReleaseDialog({ accountId, holds, holdId, close, done }) {
  const [reason, setReason] = useState("");
  const { amount } = holds.find((hold) => hold.hold_id === holdId);
  const prepare = () => ({
    body: whyOf({ reason }),
    label: "Release",
    effect: html`<p>
      ${credits(amount)} are available to ${accountId} again, <strong>at once</strong>. What the hold was for can
      no longer be charged to it.
    </p>`,
  });
  return html`<${ChangeDialog}
    title="Release the hold"
    close=${close}
    prepare=${prepare}
    send=${(body, key) => post(path`accounts/${accountId}/holds/${holdId}/release`, body, { key })}
    done=${() => done("The credits are available again")}
  >
    <p>It would end by itself, captured, released or expired. This is for one that was forgotten.</p>
    <${ReasonField} value=${reason} change=${setReason} autofocus />
  <//>`;
}

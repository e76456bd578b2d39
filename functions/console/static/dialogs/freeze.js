// Freezes or unfreezes an account.

import { html, useState } from "../lib/vendor.js";
import { path, post } from "../lib/api.js";
import { ChangeDialog } from "../components/change.js";
import { NOTHING_SAID, WhyFields, whyOf } from "../components/fields.js";

/** Unfreezes a frozen account, freezes any other. */
export function FreezeDialog({ accountId, account, close, done }) {
  const [why, setWhy] = useState(NOTHING_SAID);
  const isFrozen = account.status === "frozen";
  const verb = isFrozen ? "Unfreeze" : "Freeze";
  const prepare = () => ({
    body: whyOf(why),
    label: verb,
    effect: isFrozen
      ? html`<p>${accountId} can spend again <strong>immediately</strong>.</p>`
      : html`<p>
          ${accountId} can't spend until you unfreeze the account. Credits can still be added, and they still expire.
        </p>`,
  });
  return html`<${ChangeDialog}
    title=${`${verb} account`}
    close=${close}
    prepare=${prepare}
    isDanger=${!isFrozen}
    send=${(body, options) => post(path`accounts/${accountId}/${isFrozen ? "unfreeze" : "freeze"}`, body, options)}
    done=${() => done(isFrozen ? "Account unfrozen" : "Account frozen")}
  >
    <p>
      ${
        isFrozen
          ? "This account is frozen and can't spend."
          : "A frozen account keeps its credits but can't spend them."
      }
    </p>
    <${WhyFields} value=${why} change=${setWhy} autofocus />
  <//>`;
}

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
      ? html`<p>${accountId} may spend again, <strong>at once</strong>.</p>`
      : html`<p>
          Every use by ${accountId} is refused until the account is unfrozen. Credits still arrive and expire.
        </p>`,
  });
  return html`<${ChangeDialog}
    title=${`${verb} the account`}
    close=${close}
    prepare=${prepare}
    send=${(body, options) => post(path`accounts/${accountId}/${isFrozen ? "unfreeze" : "freeze"}`, body, options)}
    done=${() => done(isFrozen ? "The account may spend again" : "The account is frozen")}
  >
    <p>
      ${
        isFrozen
          ? "The account is frozen: it spends nothing."
          : "A frozen account keeps its credits and spends nothing."
      }
    </p>
    <${WhyFields} value=${why} change=${setWhy} autofocus />
  <//>`;
}

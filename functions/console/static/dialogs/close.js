// Closes an account permanently, which also erases its owner's personal data.

import { html, useState } from "../lib/vendor.js";
import { path, remove } from "../lib/api.js";
import { credits } from "../lib/format.js";
import { Field, NOTHING_SAID, WhyFields } from "../components/fields.js";
import { AccountChangeDialog } from "./account-change.js";

/** The ID has to be typed, because nothing can undo this. */
export function CloseDialog({ accountId, close, done }) {
  const [why, setWhy] = useState(NOTHING_SAID);
  const [typed, setTyped] = useState("");
  const [isChecked, setChecked] = useState(false);
  const isWrong = typed.trim() !== accountId;
  return html`<${AccountChangeDialog}
    accountId=${accountId}
    title="Close account"
    close=${close}
    isDanger
    form=${{}}
    why=${why}
    check=${() => {
      setChecked(true);
      return !isWrong;
    }}
    send=${(body, { key, ...options }) => remove(path`accounts/${accountId}`, { body, key, ...options })}
    label=${() => "Close account"}
    effect=${({ account }) => html`<p>
      Closes ${accountId} <strong>permanently</strong>. ${lost(account)} Its owner's personal data is
      erased; the ledger stays, but no longer leads to a person.
    </p>`}
    done=${() => done("Account closed and personal data erased")}
  >
    <${Field}
      id="typed"
      label=${`Type ${accountId} to confirm`}
      value=${typed}
      change=${setTyped}
      error=${isChecked && isWrong ? "Type the account's ID exactly." : undefined}
      spellcheck=${false}
      autocapitalize="none"
      autofocus
    />
    <${WhyFields} value=${why} change=${setWhy} />
  <//>`;
}

function lost({ balance, held }) {
  const gone = balance > 0 ? `Its ${credits(balance)} will be lost` : "It has no credits to lose";
  return held > 0 ? `${gone}, and its open holds will end.` : `${gone}.`;
}

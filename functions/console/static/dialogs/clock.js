// Sets an account's own clock forward, on stage dev.

import { html, useState } from "../lib/vendor.js";
import { path, put } from "../lib/api.js";
import { instant, localInput } from "../lib/format.js";
import { Field, NOTHING_SAID } from "../components/fields.js";
import { AccountChangeDialog, Balances } from "./account-change.js";

/** It proposes the end of the period, which is what most want to see. */
export function ClockDialog({ accountId, account, close, done }) {
  const [time, setTime] = useState(localInput(account.period.end));
  const [isChecked, setChecked] = useState(false);
  const isWrong = Number.isNaN(Date.parse(time));
  return html`<${AccountChangeDialog}
    accountId=${accountId}
    title="Set clock"
    close=${close}
    form=${isWrong ? null : { now: new Date(time).toISOString() }}
    why=${NOTHING_SAID}
    check=${() => {
      setChecked(true);
      return !isWrong;
    }}
    send=${(body, options) => put(path`admin/accounts/${accountId}/clock`, body, options)}
    label=${() => "Set clock"}
    effect=${({ account: before }, after) => html`
      <p>
        Sets the clock of ${accountId} to <strong>${instant(after.clock)}</strong>. Anything due by
        then is recorded immediately. You can't set the clock back.
      </p>
      <${Balances} before=${before} after=${after} />
    `}
    done=${(after) => done(`Account clock set to ${instant(after.clock)}`)}
  >
    <p>Moves this account into the future. Its clock keeps running from there.</p>
    <${Field}
      id="time"
      label="New time"
      hint="Your local time."
      type="datetime-local"
      value=${time}
      change=${setTime}
      error=${isChecked && isWrong ? "Enter a date and time." : undefined}
      autofocus
    />
  <//>`;
}

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
    title="Set the clock"
    close=${close}
    form=${isWrong ? null : { now: new Date(time).toISOString() }}
    why=${NOTHING_SAID}
    check=${() => {
      setChecked(true);
      return !isWrong;
    }}
    send=${(body, options) => put(path`admin/accounts/${accountId}/clock`, body, options)}
    label=${() => "Set the clock"}
    effect=${({ account: before }, after) => html`
      <p>
        For ${accountId} it becomes <strong>${instant(after.clock)}</strong>. What comes due by then
        is booked at once. The clock cannot be set back.
      </p>
      <${Balances} before=${before} after=${after} />
    `}
    done=${(after) => done(`For this account it is ${instant(after.clock)} now`)}
  >
    <p>Everything about the account then happens at that time, which runs on from there.</p>
    <${Field}
      id="time"
      label="New time"
      hint="In local time."
      type="datetime-local"
      value=${time}
      change=${setTime}
      error=${isChecked && isWrong ? "Give a day and a time." : undefined}
      autofocus
    />
  <//>`;
}

// Audit records of an account: actor, time, reason, and each field before and after.

import { html } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { differences, shown } from "../lib/differences.js";
import { entryHref } from "../lib/entries.js";
import { words } from "../lib/format.js";
import { usePages } from "../lib/loading.js";
import { Actor } from "../components/actor.js";
import { More } from "../components/more.js";
import { Empty } from "../components/states.js";
import { Time } from "../components/values.js";
import { Rows } from "../dialogs/account-change.js";

/** Audit records, newest first. */
export function AuditTab({ accountId, turn }) {
  const pages = usePages(
    async (cursor, signal) => {
      const answer = await get(path`accounts/${accountId}/audit`, { query: { cursor }, signal });
      return { items: answer.audit, cursor: answer.cursor };
    },
    [accountId],
    turn,
  );
  if (pages.isComplete && pages.items.length === 0) {
    return html`<section class="card">
      <${Empty} title="No admin changes yet">Every change that an admin makes is recorded here, with its reason and note.<//>
    </section>`;
  }
  return html`<section class="card" aria-label="Audit records">
    <ol class="records">
      ${pages.items.map(
        (record) =>
          html`<${Record} key=${record.audit_id} accountId=${accountId} record=${record} />`,
      )}
    </ol>
    <${More} pages=${pages} noun="record" />
  </section>`;
}

const Record = ({ accountId, record }) => html`<li>
  <div class="record-head">
    <h2>${said(record.action)}</h2>
    <span class="quiet"><${Time} at=${record.recorded_at} /></span>
  </div>
  <p>
    By <${Actor} actor=${record.actor} isBrief />${record.reason ? `: ${record.reason}` : ", no reason given"}
    ${record.entry_id && html`. <a href=${entryHref(accountId, record.entry_id)}>View entry</a>`}
  </p>
  ${record.note && html`<p>Internal note: ${record.note}</p>`}
  <${Differences} before=${record.before} after=${record.after} />
</li>`;

const SAID = {
  "account.close": "Account closed",
  "account.freeze": "Account frozen",
  "account.unfreeze": "Account unfrozen",
  "adjustment.add": "Credits added",
  "adjustment.deduct": "Credits deducted",
  "adjustment.set": "Balance set",
  "clock.set": "Clock set",
  "entry.refund": "Usage refunded",
  "quota.change": "Plan or limits changed",
  "usage.reset": "Usage reset",
};

/** Describe an action in words. */
const said = (action) => SAID[action] ?? words(action);

function Differences({ before, after }) {
  const changed = differences(before, after);
  if (changed.length === 0) return html`<p class="quiet">No fields changed.</p>`;
  return html`<${Rows} rows=${changed.map((row) => [words(row.field), shown(row.before), shown(row.after)])} />`;
}

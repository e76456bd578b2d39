// Repairs what sign-ups and webhooks missed, after a dry run has shown what that would change.

import { html, useState } from "../lib/vendor.js";
import { post } from "../lib/api.js";
import { shown } from "../lib/differences.js";
import { counted, words } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { Radios } from "../components/fields.js";
import { Table } from "../components/table.js";

const CALLS_MAX = 50;
const SHOWN_MAX = 20;

/** A call syncs as much as it has time for, so there may be several. */
export function SyncDialog({ close, done }) {
  const [mode, setMode] = useState("all");
  const prepare = async () => ({
    body: { mode },
    label: "Sync",
    effect: html`<${Effect} report=${await sync({ mode, dry_run: true })} />`,
  });
  return html`<${ChangeDialog}
    title="Sync with providers"
    close=${close}
    prepare=${prepare}
    send=${sync}
    done=${({ counts }) => done(`Synced: ${counted(counts.changed, "account")} changed, ${counts.failed} failed`)}
  >
    <p>Opens accounts whose sign-up was missed, and applies subscription changes that never arrived.</p>
    <${Radios}
      id="mode"
      label="What to sync"
      value=${mode}
      change=${setMode}
      options=${[
        ["all", "Everything"],
        ["users", "Users", "of the user pool"],
        ["plans", "Plans", "of subscriptions"],
      ]}
    />
  <//>`;
}

/** Sync page by page, and return the sum of the reports. */
async function sync(body) {
  const sum = { counts: {}, differences: [], failures: [], complete: false };
  let cursor = null;
  for (let call = 0; call < CALLS_MAX && !sum.complete; call += 1) {
    const report = await post("admin/sync", { ...body, ...(cursor && { cursor }) });
    for (const [name, count] of Object.entries(report.counts)) {
      sum.counts[name] = (sum.counts[name] ?? 0) + count;
    }
    sum.differences.push(...report.differences);
    sum.failures.push(...report.failures);
    sum.complete = report.complete;
    cursor = report.cursor;
  }
  return sum;
}

const Effect = ({ report: { counts, differences, failures, complete } }) => html`
  <p>
    ${counted(counts.seen, "account")} checked: ${counts.changed} would change,
    ${" "}${counts.unmatched} match no account, ${counts.failed} failed.
    ${!complete && " There are more; run the sync again afterward."}
  </p>
  ${
    differences.length > 0 &&
    html`<${Table}
      caption="What would change"
      columns=${[
        { name: "Account", isRowHeader: true, cell: (row) => row.account_id },
        { name: "Field", cell: ({ field }) => words(field) },
        { name: "Before", cell: ({ before }) => shown(before) },
        { name: "After", cell: ({ after }) => html`<strong>${shown(after)}</strong>` },
      ]}
      rows=${differences.slice(0, SHOWN_MAX)}
      keyOf=${(row) => `${row.account_id} ${row.field}`}
    />`
  }
  ${differences.length > SHOWN_MAX && html`<p class="fine">And ${differences.length - SHOWN_MAX} more.</p>`}
  ${
    failures.length > 0 &&
    html`<ul class="lines">
      ${failures.slice(0, SHOWN_MAX).map(({ subject, code }) => html`<li key=${subject}>${subject}: ${words(code)}</li>`)}
    </ul>`
  }
`;

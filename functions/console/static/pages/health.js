// The stack's health: problems and advice, queues and the clock.

import { html, useEffect, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { counted, duration, number, words } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { offer } from "../lib/commands.js";
import { announce } from "../lib/notice.js";
import { described } from "../lib/problems.js";
import { Heading } from "../components/heading.js";
import { Loaded } from "../components/states.js";
import { Chip, Facts, Id } from "../components/values.js";
import { SyncDialog } from "../dialogs/sync.js";

/** Loaded on each visit and by the button. */
export function HealthPage() {
  const health = useLoaded((signal) => get("admin/health", { signal }), []);
  const [isSyncing, setSyncing] = useState(false);
  useEffect(() => {
    offer([{ name: "Sync with providers", act: () => setSyncing(true) }]);
    return () => offer([]);
  }, []);
  const synced = (text) => {
    setSyncing(false);
    health.reload();
    announce(text);
  };
  return html`
    <div class="page-head">
      <${Heading} title="Health" />
      <div class="actions">
        <button type="button" class="button" onClick=${() => setSyncing(true)}>Sync with providers</button>
        <button type="button" class="button" disabled=${health.isLoading} onClick=${health.reload}>
          Check again
        </button>
      </div>
    </div>
    <${Loaded} of=${health} what="the health" lines=${6}>
      ${(data) => html`<${Report} health=${data} />`}
    <//>
    ${isSyncing && html`<${SyncDialog} close=${() => setSyncing(false)} done=${synced} />`}
  `;
}

function audited(audit) {
  if (audit === null) return "Not run yet";
  const wrong = audit.mismatches === 0 ? "no mismatches" : counted(audit.mismatches, "mismatch", "mismatches");
  const since = `started ${duration(audit.age_seconds)} ago`;
  if (audit.ended_at === null) return `First audit in progress, ${since}, ${wrong} so far`;
  return `${counted(audit.accounts, "account")}, ${since}, ${wrong}`;
}

const Report = ({ health }) => html`
  <section class="card padded" aria-label="Status">
    <div class="title-row">
      ${
        health.status === "ok"
          ? html`<${Chip} tone="good">All systems normal<//>`
          : html`<${Chip} tone="warn">Needs attention<//>`
      }
      ${health.problems.length === 0 && html`<p>The table responds and the catalog is valid.</p>`}
    </div>
    ${
      health.problems.length > 0 &&
      html`<ul class="records">
      ${health.problems.map(({ code, subject }) => {
        const [title, advice] = described(code);
        return html`<li key=${code + subject}>
          <h2>${title}</h2>
          <p><${Id}>${subject}<//></p>
          <p>${advice}</p>
        </li>`;
      })}
    </ul>`
    }
  </section>
  <section class="card padded" aria-labelledby="queues-title">
    <h2 id="queues-title">Queues</h2>
    <${Facts}
      facts=${Object.entries(health.queues).map(([name, depth]) => [
        words(name),
        depth === null ? "Unknown" : `${number(depth)} waiting`,
      ])}
    />
  </section>
  <section class="card padded" aria-labelledby="clock-title">
    <h2 id="clock-title">Sweep and audit</h2>
    <${Facts}
      facts=${[
        [
          "Last sweep",
          health.watermark_age_seconds === null
            ? "Not run yet"
            : `${duration(health.watermark_age_seconds)} ago`,
        ],
        ["Ledger audit", audited(health.audit)],
      ]}
    />
  </section>
`;

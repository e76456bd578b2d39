// The stack's health: problems and advice, queues and the clock.

import { html } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { duration, number, words } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { Heading } from "../components/heading.js";
import { Loaded } from "../components/states.js";
import { Chip, Facts, Id } from "../components/values.js";

const PROBLEMS = {
  unreadable_item: [
    "A plan or feature cannot be read",
    "It was edited by hand in the table. The catalog leaves it out until it is corrected there.",
  ],
  default_plan_missing: [
    "The plan of new accounts is not in the catalog",
    "No one can sign up. Create it in the catalog, or set DefaultPlan to another.",
  ],
  default_plan_inactive: [
    "The plan of new accounts is inactive",
    "Activate it in the catalog, or set DefaultPlan to another.",
  ],
  provider_id_on_two_plans: [
    "Two plans have the same id at a provider",
    "Payments go to the one whose own id comes first. Take it off the other in the catalog.",
  ],
  feature_missing: [
    "A feature that apps use is not in the catalog",
    "Every use of it is refused. Create it in the catalog, or take it out of RequiredFeatures.",
  ],
  feature_inactive: [
    "A feature that apps use is inactive",
    "Every use of it is refused. Activate it in the catalog, or take it out of RequiredFeatures.",
  ],
  sweep_late: [
    "The hourly sweep has not run for two hours",
    "No balance is wrong, but events of renewals are late. Check the schedule and the reset function's log.",
  ],
  audit_mismatches: [
    "The audit has found something wrong",
    "The log of the audit function names the accounts; scrip audit shows what is wrong. Keep the evidence before you repair anything.",
  ],
  accounts_unaudited: [
    "Accounts were too long to be audited in time",
    "The log of the audit function names them. Audit each with scrip audit --account.",
  ],
  audit_late: [
    "Not every account was audited within a day",
    "Check the schedule and the log of the audit function. Or there are more accounts than it can audit in a day.",
  ],
  dead_letters: [
    "Messages could not be processed",
    "Read them in the queue, fix the cause, and move them back.",
  ],
  queue_unreadable: [
    "A queue does not say how long it is",
    "Look at it in SQS, and ask again here.",
  ],
};

/** Loaded on each visit and by the button. */
export function HealthPage() {
  const health = useLoaded((signal) => get("admin/health", { signal }), []);
  return html`
    <div class="page-head">
      <${Heading} title="Health" />
      <button type="button" class="button" disabled=${health.isLoading} onClick=${health.reload}>
        Check again
      </button>
    </div>
    <${Loaded} of=${health} what="the health" lines=${6}>
      ${(data) => html`<${Report} health=${data} />`}
    <//>
  `;
}

function audited(audit) {
  if (audit === null) return "Has not run yet";
  const wrong = audit.mismatches === 0 ? "all right" : `${number(audit.mismatches)} wrong`;
  const since = `begun ${duration(audit.age_seconds)} ago`;
  if (audit.ended_at === null) return `The first is under way, ${since}, ${wrong} so far`;
  return `${number(audit.accounts)} accounts, ${since}, ${wrong}`;
}

const Report = ({ health }) => html`
  <section class="card padded" aria-label="Status">
    <div class="title-row">
      ${
        health.status === "ok"
          ? html`<${Chip} tone="good">All is well<//>`
          : html`<${Chip} tone="warn">Needs attention<//>`
      }
      ${health.problems.length === 0 && html`<p>The table answers and the catalog is sound.</p>`}
    </div>
    ${
      health.problems.length > 0 &&
      html`<ul class="records">
      ${health.problems.map(({ code, subject }) => {
        const [title, advice] = PROBLEMS[code] ?? [words(code), ""];
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
        depth === null ? "Did not say" : `${number(depth)} waiting`,
      ])}
    />
  </section>
  <section class="card padded" aria-labelledby="clock-title">
    <h2 id="clock-title">Clock and audit</h2>
    <${Facts}
      facts=${[
        [
          "Newest sweep",
          health.watermark_age_seconds === null
            ? "Has not run yet"
            : `${duration(health.watermark_age_seconds)} ago`,
        ],
        ["Audit of all ledgers", audited(health.audit)],
      ]}
    />
  </section>
`;

// What time alone will do to an account, as the server foresees it.

import { html } from "../lib/vendor.js";
import { counted, credits } from "../lib/format.js";
import { rowsOf, useUpcoming } from "../lib/upcoming.js";
import { Loaded } from "./states.js";
import { Table } from "./table.js";
import { Change, Credits, Time } from "./values.js";

/**
 * The next changes of an account. `nameOf(planId)` returns a plan's name.
 *
 * Changes that repeat, such as the renewals of a plan, are one row.
 */
export function Upcoming({ accountId, account, nameOf, turn }) {
  const changes = useUpcoming(accountId, turn);
  return html`<section class="card" aria-labelledby="upcoming-title">
    <h3 id="upcoming-title" class="card-title">What happens next</h3>
    <${Loaded} of=${changes} what="what happens next" lines=${3}>
      ${({ upcoming }) =>
        upcoming.length > 0
          ? html`<${Table}
            caption="Upcoming changes, soonest first"
            columns=${COLUMNS}
            rows=${rowsOf(upcoming, account, (before, then) => happenings(before, then, nameOf))}
            keyOf=${(row) => row.at}
          />`
          : html`<p class="quiet padded">No upcoming changes.</p>`}
    <//>
  </section>`;
}

const COLUMNS = [
  {
    name: "When",
    isRowHeader: true,
    cell: ({ at }) => html`<${Time} at=${at} />
      <span class="under"><${Time} at=${at} as="relative" /></span>`,
  },
  {
    name: "What",
    cell: ({ what, repeats }) => html`${what}
      ${
        repeats.length > 0 &&
        html`<span class="under">
          then ${counted(repeats.length, "more time", "more times")}, until <${Time} at=${repeats.at(-1)} as="date" />
        </span>`
      }`,
  },
  {
    name: "Change",
    isNumber: true,
    isMain: true,
    cell: ({ change }) => html`<${Change} value=${change} />`,
  },
  { name: "Balance after", isNumber: true, cell: ({ balance }) => html`<${Credits} value=${balance} />` },
];

/** Return what happens, each as a few words. */
const happenings = (before, then, nameOf) =>
  [
    then.plan_id !== before.plan_id &&
      `plan changes from ${nameOf(before.plan_id)} to ${nameOf(then.plan_id)}`,
    then.begins_period && "new period starts",
    then.granted > 0 && `${credits(then.granted)} added`,
    then.expired > 0 && `${credits(then.expired)} expire`,
    then.released > 0 && `${credits(then.released)} no longer held`,
  ].filter(Boolean);

// A month: its usage, its statement and every change. Its address can be sent to the user in a mail.

import { html } from "../lib/vendor.js";
import { dayFromToday, isDay, monthName } from "../lib/format.js";
import { useHash } from "../lib/router.js";
import { Usage } from "../components/usage.js";
import { beside, lastDay } from "./calendar.js";
import { features } from "./catalog.js";
import { Changes } from "./changes.js";
import { Statement } from "./statement.js";

/** The month in the address, such as #month=2026-11, or else the current one. */
export function Month({ account, catalog, turn }) {
  const query = Object.fromEntries(new URLSearchParams(useHash()));
  const now = dayFromToday(0).slice(0, 7);
  const month = isDay(`${query.month}-01`) && query.month <= now ? query.month : now;
  const to = (changed) => `#${new URLSearchParams(filled({ ...query, month, ...changed }))}`;
  const shared = { month, query, to, features: catalog.features, account, turn };
  return html`
    <div class="page-head month-head">
      <h2 aria-live="polite">${monthName(month)}</h2>
      <nav class="actions not-printed" aria-label="Other months">
        <a class="button small" rel="prev" href=${to({ month: beside(month, -1) })}>
          ${monthName(beside(month, -1))}
        </a>
        ${
          month < now &&
          html`<a class="button small" rel="next" href=${to({ month: beside(month, 1) })}>
            ${monthName(beside(month, 1))}
          </a>`
        }
      </nav>
    </div>
    <section class="card padded not-printed" aria-labelledby="usage">
      <h3 id="usage">What you used</h3>
      <${Usage}
        accountId="me"
        from=${`${month}-01`}
        to=${month === now ? dayFromToday(0) : lastDay(month)}
        features=${features}
        turn=${turn}
      />
      <p class="fine">Days begin and end at midnight UTC. New use appears within a few seconds.</p>
    </section>
    <${Statement} ...${shared} />
    <${Changes} ...${shared} />
  `;
}

const filled = (query) => Object.fromEntries(Object.entries(query).filter(([, value]) => value));

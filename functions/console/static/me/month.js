// A month or a day of it: usage, statement and every change. A mail can lead to its address.

import { html } from "../lib/vendor.js";
import { dayAfter, dayFromToday, isDay, monthName, utcDay } from "../lib/format.js";
import { useHash } from "../lib/router.js";
import { Usage } from "../components/usage.js";
import { beside, lastDay, spanOf } from "./calendar.js";
import { features } from "./catalog.js";
import { Changes } from "./changes.js";
import { Statement } from "./statement.js";
import { OTHER } from "./words.js";

/** The month in the address, or else the current one: #month=2026-11, #month=2026-11&day=2026-11-24. */
export function Month({ catalog, turn }) {
  const query = Object.fromEntries(new URLSearchParams(useHash()));
  const now = dayFromToday(0).slice(0, 7);
  const month = isDay(`${query.month}-01`) && query.month <= now ? query.month : now;
  const day = isDay(query.day) && query.day.startsWith(month) ? query.day : null;
  const to = (changed) => `#${new URLSearchParams(filled({ ...query, month, day, ...changed }))}`;
  const shared = {
    period: day ?? month,
    name: day ? utcDay(day) : monthName(month),
    span: day ? { from: day, to: dayAfter(day) } : spanOf(month),
    isOver: day ? day < dayFromToday(0) : month < now,
    query,
    to,
    features: catalog.features,
    turn,
  };
  return html`
    <div class="page-head month-head">
      <h2 aria-live="polite">${shared.name}</h2>
      <nav class="actions not-printed" aria-label="Other times">
        ${day && html`<a class="button small" href=${to({ day: null })}>All of ${monthName(month)}</a>`}
        <a class="button small" rel="prev" href=${to({ month: beside(month, -1), day: null })}>
          ${monthName(beside(month, -1))}
        </a>
        ${
          month < now &&
          html`<a class="button small" rel="next" href=${to({ month: beside(month, 1), day: null })}>
            ${monthName(beside(month, 1))}
          </a>`
        }
      </nav>
    </div>
    <section class="card padded not-printed" aria-labelledby="usage">
      <h3 id="usage">What you used</h3>
      <${Usage}
        accountId="me"
        from=${day ?? `${month}-01`}
        to=${day ?? (month === now ? dayFromToday(0) : lastDay(month))}
        features=${features}
        other=${OTHER}
        turn=${turn}
      />
      <p class="fine">Days begin and end at midnight UTC. New use appears here within a few seconds.</p>
    </section>
    <${Statement} ...${shared} />
    <${Changes} ...${shared} />
  `;
}

const filled = (query) => Object.fromEntries(Object.entries(query).filter(([, value]) => value));

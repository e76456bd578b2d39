// An account's usage in a range of days.

import { html } from "../lib/vendor.js";
import { features } from "../lib/catalog.js";
import { dayFromToday, isDay } from "../lib/format.js";
import { go, href } from "../lib/router.js";
import { DayField, Radios } from "../components/fields.js";
import { Usage } from "../components/usage.js";

const SPANS = ["30", "90"];

/**
 * `query` contains the range: `days` back from today, or `from` and `to` (UTC days, both included);
 * and `by`, "week" for weeks.
 *
 * Users edit addresses by hand, so invalid values are ignored.
 */
export function UsageTab({ accountId, turn, query }) {
  const range = rangeOf(query);
  return html`<section class="card padded" aria-label="Usage">
    <${Range} accountId=${accountId} ...${range} />
    <${Usage}
      accountId=${accountId}
      ...${range}
      features=${features}
      other="Custom amounts"
      turn=${turn}
    />
  </section>`;
}

function rangeOf({ days, from, to, by }) {
  const unit = by === "week" ? "week" : "day";
  if (isDay(from) && isDay(to) && from <= to) return { chosen: "own", from, to, by: unit };
  const chosen = SPANS.includes(days) ? days : SPANS[0];
  return { chosen, from: dayFromToday(1 - Number(chosen)), to: dayFromToday(0), by: unit };
}

function Range({ accountId, chosen, from, to, by }) {
  const at = (query) => href(["accounts", accountId, "usage"], { by: by === "week" && by, ...query });
  const edit = (changed) => go(at({ from, to, ...changed }), { replace: true });
  return html`<div class="filters">
    <${Radios}
      id="range"
      label="Days (UTC)"
      value=${chosen}
      change=${(days) => go(at(days === "own" ? { from, to } : { days }))}
      options=${[
        ...SPANS.map((days) => [days, `${days} days`]),
        ["own", "Custom"],
      ]}
    />
    ${
      chosen === "own" &&
      html`
      <${DayField} id="usage-from" label="From" value=${from} max=${to} required
        change=${(day) => edit({ from: day })} />
      <${DayField} id="usage-to" label="To" value=${to} min=${from} required
        change=${(day) => edit({ to: day })} />
    `
    }
    <${Radios}
      id="by"
      label="By"
      value=${by}
      change=${(unit) => edit({ ...(chosen !== "own" && { days: chosen, from: null, to: null }), by: unit })}
      options=${[
        ["day", "Day"],
        ["week", "Week"],
      ]}
    />
  </div>`;
}

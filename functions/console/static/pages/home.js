// Home: what happened, who ran out of credits, and what needs somebody.

import { html } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { nameOf } from "../lib/entries.js";
import { compared, counted, dayAfter, dayFromToday, isDay, money, number, utcDay } from "../lib/format.js";
import { useLoaded, usePages } from "../lib/loading.js";
import { ownerOf } from "../lib/owners.js";
import { described } from "../lib/problems.js";
import { go, href } from "../lib/router.js";
import { MESSAGES_MAX, failedMessages, problems, unmatchedMessages } from "../lib/waiting.js";
import { Owner } from "../components/actor.js";
import { DayField } from "../components/fields.js";
import { Heading } from "../components/heading.js";
import { More } from "../components/more.js";
import { Empty, Loaded } from "../components/states.js";
import { Trend } from "../components/trend.js";
import { Bar, Credits, Time } from "../components/values.js";

const SPANS = ["7", "30", "90"];
const TOP = 6;
const RAN_OUT = 5;
const RAN_OUT_DAYS = 91;
const OTHER = "(other)";
const CURRENCY = /^[a-z]{3}$/i;
const NOTHING = { days: [], sales: [] };

/** `query` has the period, `days` back from today (UTC), and the day of `ran_out`, if one is chosen. */
export function HomePage({ query }) {
  const days = SPANS.includes(query.days) ? query.days : "30";
  const to = dayAfter(dayFromToday(0));
  const from = dayAfter(to, -days);
  const totals = useTotals(from, to);
  const previous = useTotals(dayAfter(from, -days), from);
  const before = isKnown(previous.data) ? previous.data : NOTHING;
  const counts = useLoaded((signal) => get("admin/accounts/counts", { signal }), []);
  const known = useLoaded(features, []);
  const isNew =
    counts.data?.all.count <= 1 && [totals, previous].every(({ data }) => data && !data.days.some(isUsed));
  return html`
    <div class="page-head">
      <${Heading} title="Home" />
      <nav class="segments" aria-label="Period">
        ${SPANS.map(
          (span) => html`<a
            key=${span}
            href=${href([], { ...query, days: span })}
            aria-current=${span === days ? "true" : undefined}
            >${span} days</a
          >`,
        )}
      </nav>
    </div>
    ${isNew && html`<${FirstSteps} features=${known.data ?? []} />`}
    <${Attention} counts=${counts} />
    ${
      !isNew &&
      html`<div class="board">
        <section class="card padded" aria-labelledby="credits-title">
          <h2 id="credits-title">Credits</h2>
          <${Loaded} of=${totals} what="the credits" lines=${10}>
            ${(data) =>
              data.days.some(isBusy)
                ? html`<${Trend} days=${data.days} before=${before.days} />`
                : html`<${Empty} title=${`No activity in ${counted(data.days.length, "day")}`} />`}
          <//>
        </section>
        <div class="stack">
          <${RanOut} query=${query} />
          <${Card} title="Sales" of=${totals}>
            ${({ sales }) => html`<${Sales} sales=${sales} before=${before.sales} length=${Number(days)} />`}
          <//>
          ${
            totals.data?.models.some(isNamed) &&
            html`<${Card} title="Top models" of=${totals}>
              ${(data) => html`<${Top} rows=${topModels(data)} />`}
            <//>`
          }
        </div>
        <div class="cards">
          <${Card} title="Top features" of=${totals}>
            ${(data) => html`<${Top} rows=${topFeatures(data, known.data ?? [])} />`}
          <//>
          <${Card} title="Top accounts" of=${totals}>
            ${(data) => html`<${Top} rows=${topAccounts(data)} />`}
          <//>
        </div>
      </div>`
    }
  `;
}

/** A part of the totals. If they could not be read, the first card says why. */
const Card = ({ title, of: totals, children }) =>
  !totals.error &&
  html`<section class="card padded" aria-label=${title}>
    <h2>${title}</h2>
    <${Loaded} of=${totals} what=${title.toLowerCase()}>${children}<//>
  </section>`;

const useTotals = (from, to) =>
  useLoaded((signal) => get("admin/totals", { query: { from, to }, signal }), [from, to]);

/** Return whether a period's first third has anything: totals may have begun later, with an update. */
const isKnown = (totals) => totals?.days.slice(0, Math.ceil(totals.days.length / 3)).some(isBusy);

const isUsed = ({ uses }) => uses > 0;

const isBusy = ({ types }) => types.length > 0;

/** What a new installation needs, in order. */
const FirstSteps = ({ features: list }) => html`<section class="card padded" aria-labelledby="steps-title">
  <h2 id="steps-title">Get started</h2>
  <ol class="steps">
    <li>
      ${list.length > 0 ? "Check " : "Add "}<a href=${href(["catalog", "features"])}>the features</a> that cost
      credits, and <a href=${href(["catalog", "plans"])}>the plans</a> that grant them.
    </li>
    <li>Sign up in your app, or <a href=${href(["accounts"])}>open an account</a>.</li>
    <li>
      Charge the first credits: <a href="v1/docs">the API reference</a> has code for your language. Usage
      shows up here within seconds.
    </li>
  </ol>
</section>`;

const STATES = {
  frozen: ["frozen account", "frozen accounts"],
  in_debt: ["account in debt", "accounts in debt"],
  past_due: ["account past due", "accounts past due"],
};

/** What needs somebody: only what there is. */
function Attention({ counts }) {
  const failed = useLoaded(failedMessages, []);
  const unmatched = useLoaded(unmatchedMessages, []);
  const stack = useLoaded(problems, []);
  const sources = [
    ["stack's health", stack],
    ["failed messages", failed],
    ["unmatched messages", unmatched],
    ["accounts", counts],
  ];
  const found = [
    ...(stack.data ?? []).map(({ code, subject }) => ({
      name: described(code)[0],
      tone: "bad",
      to: href(["health"]),
      key: `${code} ${subject}`,
    })),
    messages(failed.data, "failed", "bad"),
    messages(unmatched.data, "unmatched", "warn"),
    ...Object.entries(STATES).map(([state, [one, many]]) => {
      const { count = 0, more } = counts.data?.states[state] ?? {};
      return (
        count > 0 && {
          name: `${number(count)}${more ? "+" : ""} ${count === 1 ? one : many}`,
          tone: "warn",
          to: href(["accounts"], { state }),
          key: state,
        }
      );
    }),
  ].filter(Boolean);
  const isLoading = sources.some(([, { data, error }]) => data === undefined && !error);
  return html`<section class="attention" aria-label="Needs attention" aria-busy=${isLoading}>
    ${
      found.length > 0 &&
      html`<ul>
        ${found.map(
          ({ key, name, tone, to }) => html`<li key=${key}><a class=${`chip ${tone}`} href=${to}>${name}</a></li>`,
        )}
      </ul>`
    }
    ${sources
      .filter(([, { error }]) => error)
      .map(
        ([name, { reload }]) => html`<p key=${name} class="quiet">
          Couldn't check the ${name}. <button type="button" class="link" onClick=${reload}>Try again</button>
        </p>`,
      )}
    ${isLoading && found.length === 0 && html`<p class="quiet">Checking what needs attention…</p>`}
    ${
      !isLoading &&
      found.length === 0 &&
      sources.every(([, { error }]) => !error) &&
      html`<p class="quiet">
        Nothing needs attention: no failed or unmatched messages, no health problems, no account frozen, in
        debt or past due.
      </p>`
    }
  </section>`;
}

const messages = (count, status, tone) =>
  count > 0 && {
    name: `${count >= MESSAGES_MAX ? `${MESSAGES_MAX}+` : count} ${status} ${count === 1 ? "message" : "messages"}`,
    tone,
    to: href(["inbox"], { status }),
    key: status,
  };

/** Who ran out of credits: today and yesterday, or on a chosen day (UTC). */
function RanOut({ query }) {
  const today = dayFromToday(0);
  const yesterday = dayFromToday(-1);
  const chosen = isDay(query.ran_out) && query.ran_out <= today ? query.ran_out : null;
  const at = (day) => href([], { ...query, ran_out: day });
  return html`<section class="card padded" aria-labelledby="ran-out-title">
    <div class="card-head">
      <h2 id="ran-out-title">Ran out of credits</h2>
      ${
        chosen
          ? html`<a href=${at(null)}>Today and yesterday</a>`
          : html`<a href=${at(dayFromToday(-2))}>Another day</a>`
      }
    </div>
    ${
      chosen
        ? html`
          <div class="narrow">
            <${DayField}
              id="ran-out-day"
              label="Day (UTC)"
              value=${chosen}
              min=${dayFromToday(-RAN_OUT_DAYS)}
              max=${today}
              required
              change=${(day) => go(at(day), { replace: true })}
            />
          </div>
          <${RanOutOn} key=${chosen} day=${chosen} title=${utcDay(chosen)} />
        `
        : html`
          <${RanOutOn} key=${today} day=${today} title="Today" />
          <${RanOutOn} key=${yesterday} day=${yesterday} title="Yesterday" />
        `
    }
  </section>`;
}

function RanOutOn({ day, title }) {
  const pages = usePages(
    async (cursor, signal) => {
      const query = { day, limit: RAN_OUT, cursor };
      const answer = await get("admin/ran-out", { query, signal });
      return { items: answer.ran_out, cursor: answer.cursor };
    },
    [day],
  );
  const { items, isComplete } = pages;
  return html`<section aria-label=${`Ran out of credits: ${title}`}>
    <h3>
      ${title}${" "}
      <span class="quiet">
        ${items.length > 0 && `${number(items.length)}${isComplete ? "" : "+"}`}
        ${items.length === 0 && isComplete && "Nobody"}
      </span>
    </h3>
    ${
      items.length > 0 &&
      html`<ul class="brief">
        ${items.map(
          ({ account, ran_out_at: at }) => html`<li key=${account.account_id}>
            <a href=${href(["accounts", account.account_id])}>${ownerOf(account)}</a>
            <span class="quiet">
              ${account.available > 0 && html`<${Credits} value=${account.available} /> now · `}
              <${Time} at=${at} as="relative" />
            </span>
          </li>`,
        )}
      </ul>`
    }
    ${!(isComplete && items.length <= RAN_OUT) && html`<${More} pages=${pages} noun="account" />`}
  </section>`;
}

/** What was paid, by currency, which is "" for payments that named none. */
const Sales = ({ sales, before, length }) =>
  sales.length === 0
    ? html`<p class="quiet">No sales in ${counted(length, "day")}.</p>`
    : html`
      <ul class="sales">
        ${sales.toSorted(byCount).map(({ currency, count, money: paid }) => {
          const then = before.find((one) => one.currency === currency)?.money;
          return html`<li key=${currency}>
            <span class="figure-value">
              ${CURRENCY.test(currency) ? money(paid, currency) : `${number(paid)} ${currency}`}
            </span>
            <span class="under">
              ${counted(count, "payment")}${currency === "" && " without a currency"}${
                then > 0 && `, ${compared(paid, then, length)}`
              }
            </span>
          </li>`;
        })}
      </ul>
      <p class="fine">Refunds aren't deducted.</p>
    `;

const byCount = (one, other) => other.count - one.count;

const isNamed = ({ model }) => model !== null;

const topFeatures = ({ features: uses }, list) =>
  uses.map(({ feature, credits, count }) => ({
    key: feature,
    name: feature === null ? "Custom amounts" : feature === OTHER ? "Others" : nameOf(feature, list),
    to: feature !== null && feature !== OTHER && href(["catalog", "features", feature]),
    credits,
    note: counted(count, "use"),
  }));

const topModels = ({ models: uses }) =>
  uses
    .filter(isNamed)
    .map(({ model, credits, count }) => ({ key: model, name: model, credits, note: counted(count, "use") }));

const topAccounts = ({ accounts }) =>
  accounts.map(({ account_id: id, credits }) => ({ key: id, name: html`<${Owner} accountId=${id} />`, credits }));

/** The rows with the most credits, each with its part of the largest. */
const Top = ({ rows }) =>
  rows.length === 0
    ? html`<p class="quiet">No usage in this period.</p>`
    : html`<ol class="brief">
        ${rows.slice(0, TOP).map(
          ({ key, name, to, credits, note }) => html`<li key=${key}>
            ${to ? html`<a href=${to}>${name}</a>` : html`<span>${name}</span>`}
            <span>${note && html`<span class="quiet">${note} · </span>`}<${Credits} value=${credits} /></span>
            <${Bar} part=${credits} whole=${rows[0].credits} />
          </li>`,
        )}
      </ol>`;

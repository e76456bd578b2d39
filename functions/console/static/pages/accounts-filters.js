// The filters of the list of accounts: its states and plans with their counts, and a search.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { STATES } from "../lib/accounts.js";
import { number } from "../lib/format.js";
import { go, href } from "../lib/router.js";

const TYPING_MS = 250;
const TYPED_MIN = 3;

/** `known` has the counts and the names of plans, once they are loaded. */
export function Filters({ filter, known }) {
  const { counts, plans } = known ?? {};
  const onPlans = Object.entries(counts?.plans ?? {}).filter(
    ([plan, { count }]) => count > 0 || plan === filter.plan,
  );
  return html`<div class="list-filters">
    <nav class="chips" aria-label="Filters">
      <${Filter} name="All" count=${counts?.all} isOn=${Object.values(filter).every((one) => !one)} />
      ${STATES.map(
        ({ state, name }) => html`<${Filter}
          key=${state}
          name=${name}
          query=${{ state }}
          count=${counts?.states[state]}
          isOn=${filter.state === state}
        />`,
      )}
      ${onPlans.map(
        ([plan, count]) => html`<${Filter}
          key=${`plan ${plan}`}
          name=${plans.get(plan) ?? plan}
          query=${{ plan }}
          count=${count}
          isOn=${filter.plan === plan}
        />`,
      )}
    </nav>
    <${Beginning} q=${filter.q ?? ""} />
  </div>`;
}

const Filter = ({ name, query, count, isOn }) => html`<a
  class="chip-link"
  href=${href(["accounts"], query)}
  aria-current=${isOn ? "true" : undefined}
>
  ${name}${count && html` <span class="count">${number(count.count)}${count.more && "+"}</span>`}
</a>`;

/** A search by the beginning of an address, a name or an ID. */
function Beginning({ q }) {
  const input = useRef(null);
  const timer = useRef(null);
  const [text, setText] = useState(q);
  useEffect(() => {
    // What is being typed is ahead of the address.
    if (input.current !== document.activeElement) setText(q);
  }, [q]);
  useEffect(() => () => clearTimeout(timer.current), []);
  const find = (typed) => {
    clearTimeout(timer.current);
    const wanted = typed.trim();
    if (wanted !== q) go(href(["accounts"], { q: wanted }), { replace: true });
  };
  const typed = (event) => {
    const { value } = event.target;
    setText(value);
    clearTimeout(timer.current);
    const { length } = value.trim();
    if (length === 0 || length >= TYPED_MIN) timer.current = setTimeout(find, TYPING_MS, value);
  };
  const submitted = (event) => {
    event.preventDefault();
    find(text);
  };
  return html`<form onSubmit=${submitted}>
    <input
      ref=${input}
      type="search"
      value=${text}
      onInput=${typed}
      placeholder="Email, name, or ID begins with"
      aria-label="Accounts whose email, name, or ID begins with"
      autocomplete="off"
      autocapitalize="none"
      spellcheck=${false}
    />
  </form>`;
}

// A list of options below an input: the input keeps the focus, the arrow keys mark an option.

import { html } from "../lib/vendor.js";

/**
 * `items` are `{name, about, hint}`; `marked` is the position of the one that Enter would choose.
 *
 * `id` is the list's ID. The options' are derived from it, by `optionId`.
 */
export const Options = ({ id, items, marked, mark, choose }) => html`<ul
  role="listbox"
  id=${id}
  class="options"
  aria-label="Results"
>
  ${items.map(
    ({ name, about, hint, to }, index) => html`<li
      key=${`${to ?? ""} ${name}`}
      id=${optionId(id, index)}
      role="option"
      aria-selected=${index === marked}
      onPointerMove=${() => mark(index)}
      onPointerDown=${(event) => event.preventDefault()}
      onClick=${() => choose(items[index])}
    >
      <span>${name}${about && html` <span class="quiet">${about}</span>`}</span>
      ${hint && html`<span class="quiet hint">${hint}</span>`}
    </li>`,
  )}
</ul>`;

/** Return the ID of an option, for `aria-activedescendant`. */
export const optionId = (id, index) => `${id}-${index}`;

/** Return the position that an arrow key moves to, or null for another key. */
export function moved({ key }, marked, count) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[key];
  return step && count > 0 ? (marked + step + count) % count : null;
}

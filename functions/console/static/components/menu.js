// A button that opens a menu of actions; those that the server would refuse say why.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { useLoaded } from "../lib/loading.js";

const MOVES = { ArrowDown: 1, ArrowUp: -1 };

/**
 * `actions` are `{name, act, isDanger, rehearse(signal)}`. `rehearse`, if there is one, is a dry run:
 * while the menu is open, an action whose dry run the server refuses is disabled, with the reason.
 */
export function Menu({ label, actions }) {
  const [isOpen, setOpen] = useState(false);
  const place = useRef(null);
  const button = useRef(null);
  useEffect(() => {
    if (!isOpen) return undefined;
    const outside = (event) => place.current.contains(event.target) || setOpen(false);
    addEventListener("pointerdown", outside);
    return () => removeEventListener("pointerdown", outside);
  }, [isOpen]);
  const close = () => {
    setOpen(false);
    button.current.focus();
  };
  return html`<div class="menu" ref=${place}>
    <button
      type="button"
      class="button"
      ref=${button}
      aria-haspopup="menu"
      aria-expanded=${isOpen}
      onClick=${() => setOpen(!isOpen)}
    >
      ${label}<span class="menu-arrow" aria-hidden="true"></span>
    </button>
    ${isOpen && html`<${Items} label=${label} actions=${actions} close=${close} leave=${() => setOpen(false)} />`}
  </div>`;
}

function Items({ label, actions, close, leave }) {
  const list = useRef(null);
  const refusals = useLoaded((signal) => refusalsOf(actions, signal), []);
  useEffect(() => list.current.querySelector("[role=menuitem]").focus(), []);
  const pressed = (event) => {
    const items = [...list.current.querySelectorAll("[role=menuitem]")];
    const at = items.indexOf(document.activeElement);
    if (event.key === "Escape") close();
    else if (event.key === "Tab") return leave();
    else if (event.key === "Home") items[0].focus();
    else if (event.key === "End") items.at(-1).focus();
    else if (event.key in MOVES) items.at((at + MOVES[event.key]) % items.length).focus();
    else return undefined;
    return event.preventDefault();
  };
  return html`<div class="menu-items" role="menu" aria-label=${label} ref=${list} onKeyDown=${pressed}>
    ${actions.map(({ name, act, isDanger }) => {
      const why = refusals.data?.get(name);
      const chosen = () => {
        if (why) return;
        close();
        act();
      };
      return html`<button
        key=${name}
        type="button"
        role="menuitem"
        tabindex="-1"
        class=${isDanger ? "danger" : ""}
        aria-disabled=${Boolean(why)}
        onClick=${chosen}
      >
        ${name}${why && html`<span class="under">${why}</span>`}
      </button>`;
    })}
  </div>`;
}

/** Return the reasons of the actions that the server would refuse, by name. */
async function refusalsOf(actions, signal) {
  const found = await Promise.all(
    actions
      .filter(({ rehearse }) => rehearse)
      .map(({ name, rehearse }) =>
        rehearse(signal).then(
          () => null,
          (error) => (error.code ? [name, error.message] : null),
        ),
      ),
  );
  return new Map(found.filter(Boolean));
}

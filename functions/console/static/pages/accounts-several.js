// Accounts that are selected in the list, and what is done with all of them.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { nameOf } from "../lib/accounts.js";
import { counted, credits, number } from "../lib/format.js";
import { announce } from "../lib/notice.js";
import { SeveralCreditsDialog, left } from "../dialogs/several-credits.js";

/** An adjustment that was begun and is not complete; it outlasts a visit to another page. */
let unfinished = null;

// Without it, nothing says who has been adjusted: to do it all again would adjust them twice.
addEventListener("beforeunload", (event) => {
  if (unfinished && left(unfinished).length > 0) event.preventDefault();
});

/**
 * Return the column and the checkbox that select `rows`, and the properties of Chosen.
 *
 * Another `filter` selects nothing. `adjusted(account)` receives each account that was adjusted.
 */
export function useSeveral(rows, filter, adjusted) {
  const [chosen, setChosen] = useState(new Set());
  const [run, setRun] = useState(unfinished);
  const [isOpen, setOpen] = useState(false);
  useEffect(() => setChosen(new Set()), [filter]);
  const able = rows.filter(({ error }) => !error);
  const picked = able.filter(({ account_id: id }) => chosen.has(id));
  const change = (next) => {
    unfinished = next?.made ? next : null;
    setRun(next);
  };
  const toggle = (id) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return {
    picked,
    run,
    isOpen,
    adjusted,
    change,
    setOpen,
    clear: () => setChosen(new Set()),
    selectAll: html`<${SelectAll}
      all=${able.length}
      count=${picked.length}
      change=${(isOn) => setChosen(new Set(isOn ? able.map((one) => one.account_id) : []))}
    />`,
    column: {
      name: "Select",
      isQuiet: true,
      isMark: true,
      cell: (account) =>
        !account.error &&
        html`<input
          type="checkbox"
          aria-label=${`Select ${nameOf(account)}`}
          checked=${chosen.has(account.account_id)}
          onChange=${() => toggle(account.account_id)}
        />`,
    },
  };
}

function SelectAll({ all, count, change }) {
  const box = useRef(null);
  useEffect(() => {
    box.current.indeterminate = count > 0 && count < all;
  });
  return html`<label class="select-all">
    <input
      ref=${box}
      type="checkbox"
      checked=${count > 0 && count === all}
      onChange=${(event) => change(event.target.checked)}
    />
    Select all on this page
  </label>`;
}

/** A bar of what can be done with the selected accounts, and of a run that is not complete. */
export function Chosen({ picked, run, isOpen, adjusted, change, setOpen, clear }) {
  const begin = () => {
    change({ accounts: picked });
    setOpen(true);
  };
  const close = () => {
    setOpen(false);
    if (!run?.made) change(null);
  };
  const rest = run?.made ? left(run) : [];
  useEffect(() => {
    if (!isOpen || !run?.made || rest.length > 0) return;
    const { amount, action } = run.body;
    const verb = action === "add" ? "added to" : "deducted from";
    announce(`${credits(amount)} ${verb} ${counted(run.made.size, "account")}`);
    setOpen(false);
    change(null);
    clear();
  }, [run]);
  return html`
    ${
      rest.length > 0 &&
      !isOpen &&
      html`<div class="bulk-bar" role="region" aria-label="Unfinished adjustment">
        <span>Adjustment unfinished: ${number(rest.length)} of ${counted(run.accounts.length, "account")} left</span>
        <button type="button" class="button primary small" onClick=${() => setOpen(true)}>Continue</button>
        <button type="button" class="button small" onClick=${() => change(null)}>Dismiss</button>
      </div>`
    }
    ${
      rest.length === 0 &&
      picked.length > 0 &&
      html`<div class="bulk-bar" role="region" aria-label="Selected accounts">
        <span role="status">${counted(picked.length, "account")} selected</span>
        <button type="button" class="button primary small" onClick=${begin}>Adjust credits</button>
        <button type="button" class="button small" onClick=${clear}>Clear</button>
      </div>`
    }
    ${isOpen && run && html`<${SeveralCreditsDialog} run=${run} change=${change} adjusted=${adjusted} close=${close} />`}
  `;
}

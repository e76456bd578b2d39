// Saves all accounts of a filter as CSV.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { readPage } from "../lib/accounts.js";
import { save } from "../lib/csv.js";
import { counted, dayFromToday } from "../lib/format.js";
import { Failure } from "../components/states.js";

const ROWS = 100;

const COLUMNS = {
  account_id: (account) => account.account_id,
  email: ({ emails = [] }) => emails.join(" "),
  name: (account) => account.name,
  plan: (account) => account.plan_id,
  balance: (account) => account.balance,
  available: (account) => account.available,
  debt: (account) => account.debt,
  status: ({ status, error }) => status ?? error,
  opened_at: (account) => account.opened_at,
};

/** A button that reads page after page, and says how far it is. */
export function Export({ filter }) {
  const [state, setState] = useState({});
  const stop = useRef(null);
  useEffect(() => () => stop.current?.abort(), []);
  const begin = async () => {
    stop.current = new AbortController();
    const { signal } = stop.current;
    // Accounts may change places while they are read.
    const found = new Map();
    setState({ count: 0 });
    try {
      let cursor = null;
      do {
        const page = await readPage(filter, cursor, ROWS, signal);
        for (const account of page.items) found.set(account.account_id, account);
        cursor = page.cursor;
        setState({ count: found.size });
      } while (cursor !== null);
      const rows = [...found.values()].map((one) => Object.values(COLUMNS).map((cell) => cell(one)));
      save(`${nameOf(filter)}-${dayFromToday(0)}.csv`, [Object.keys(COLUMNS), ...rows]);
      setState({ saved: found.size });
    } catch (error) {
      setState(signal.aborted ? {} : { error });
    }
  };
  const isBusy = state.count !== undefined;
  return html`<div class="export">
    <span class="quiet" role="status">
      ${isBusy && `Exporting ${counted(state.count, "account")}…`}
      ${state.saved !== undefined && `${counted(state.saved, "account")} exported`}
    </span>
    ${
      isBusy
        ? html`<button type="button" class="button small" onClick=${() => stop.current.abort()}>Stop</button>`
        : html`<button type="button" class="button small" onClick=${begin}>Export CSV</button>`
    }
    ${state.error && html`<${Failure} error=${state.error} retry=${begin} />`}
  </div>`;
}

/** Name the file after the filter: accounts-frozen. */
const nameOf = (filter) =>
  ["accounts", ...Object.values(filter).filter(Boolean)].join("-").replaceAll(/[^\w.-]+/g, "_");

// What time alone will do to an account, as the server foresees it.

import { get, path } from "./api.js";
import { capitalized } from "./format.js";
import { useLoaded } from "./loading.js";

const CHANGES = 24;

/** Load the next changes of an account. */
export const useUpcoming = (accountId, turn) =>
  useLoaded(
    (signal) => get(path`accounts/${accountId}/upcoming`, { query: { limit: CHANGES }, signal }),
    [accountId],
    turn,
  );

/**
 * Return rows of `{at, what, change, balance, repeats}`: what happens in words, and the instants at
 * which just the same follows.
 *
 * `happenings(before, then)` lists what happens, each as a few words.
 */
export function rowsOf(changes, account, happenings) {
  const rows = [];
  let before = account;
  for (const then of changes) {
    const what = capitalized(happenings(before, then).join(", "));
    const [last, change] = [rows.at(-1), then.balance - before.balance];
    if (last && what === last.what && then.balance === last.balance) last.repeats.push(then.at);
    else rows.push({ at: then.at, what, change, balance: then.balance, repeats: [] });
    before = then;
  }
  return rows;
}

// The ledger of all accounts, newest first, which the API returns oldest hour first.
//
// A window of some hours is read whole, then sorted. It gets longer while there is little in it.

import { get } from "./api.js";

const HOUR_MS = 3600 * 1000;
const HOURS_MAX = 24;
const LIMIT = 500;
const SHOWN = 50;
const WINDOW_REQUESTS = 8; // The stream writes up to 720 objects an hour; a request reads 100.
const PAGE_REQUESTS = 16;

/** Return the end of the current hour: the browser's clock may be behind. */
const nextHour = () => Math.ceil(Date.now() / HOUR_MS) * HOUR_MS;

/** Return the place of the newest entries before an instant, or of the newest of all. */
export const placeBefore = (instant) => ({
  to: instant ? Date.parse(instant) : nextHour(),
  hours: 1,
  rest: [],
});

/**
 * Read the entries before a place, newest first: `{items, cursor}`, where the cursor is the next place.
 *
 * `filter` has a `type` and an `account_id`, if any. Two other items say what is not here: `{busy}` is
 * the start of an hour with more entries than a few requests return, so that its newest are not known;
 * `{emptySince}` that nothing was found from there on, and that older entries have not been looked for.
 */
export async function readEarlier(place, filter, signal) {
  let { to, hours } = place;
  const items = place.rest.slice(0, SHOWN);
  let rest = place.rest.slice(SHOWN);
  let requests = 0;
  const read = (query) => {
    requests += 1;
    return readPage(query, filter, signal);
  };
  while (items.length < SHOWN && requests + WINDOW_REQUESTS <= PAGE_REQUESTS) {
    const from = to - hours * HOUR_MS;
    const found = await readWindow(from, to, read);
    if (found === null && hours > 1) {
      hours = 1;
      continue;
    }
    rest = found ?? [{ busy: new Date(from).toISOString() }];
    items.push(...rest.splice(0, SHOWN - items.length));
    to = from;
    hours = found && rest.length === 0 ? Math.min(HOURS_MAX, 2 * hours) : 1;
  }
  if (items.length === 0) items.push({ emptySince: new Date(to).toISOString() });
  return { items, cursor: { to, hours, rest } };
}

/** Return the entries of a window, newest first; null if they are too many. */
async function readWindow(from, to, read) {
  const entries = [];
  let cursor = null;
  for (let request = 0; request < WINDOW_REQUESTS; request += 1) {
    const answer = await read({ from, to, limit: LIMIT, cursor });
    entries.push(...answer.entries);
    cursor = answer.cursor;
    if (cursor === null) return entries.reverse().sort(byTime);
  }
  return null;
}

/** The newest first. Times have a fixed length, so their texts sort as they do. */
const byTime = ({ recorded_at: one }, { recorded_at: other }) => (one === other ? 0 : one < other ? 1 : -1);

/** Read a page of the hour that begins at an instant, as the API has it: oldest first. */
export async function readHour(start, cursor, filter, signal) {
  const from = Date.parse(start);
  const answer = await readPage({ from, to: from + HOUR_MS, limit: SHOWN, cursor }, filter, signal);
  return { items: answer.entries, cursor: answer.cursor };
}

const readPage = ({ from, to, ...query }, filter, signal) =>
  get("admin/entries", {
    query: { ...filter, ...query, from: new Date(from).toISOString(), to: new Date(to).toISOString() },
    signal,
  });

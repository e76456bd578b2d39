// Messages of providers: what they did.

import { get, path } from "./api.js";

const ENTRIES = 200;

/** Find the entries that a message made, among those recorded while it was processed. */
export async function entriesOf(message, signal) {
  const { webhook_id: id, account_id: accountId, received_at: from, changed_at: last } = message;
  if (!accountId || message.status !== "applied") return [];
  const to = new Date(Date.parse(last) + 1000).toISOString();
  const { entries } = await get(path`accounts/${accountId}/entries`, {
    query: { from, to, limit: ENTRIES },
    signal,
  });
  return entries.filter(({ reference }) => reference === id);
}

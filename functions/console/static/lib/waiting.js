// What waits for somebody: messages and problems, read at most once a minute.

import { get } from "./api.js";

const FRESH_MS = 60_000;

/** The most messages that are counted. */
export const MESSAGES_MAX = 100;

/** Return a function that calls `read()` if its last result is older than a minute, or an error. */
function recent(read) {
  let readAt = -FRESH_MS;
  let found;
  return () => {
    if (performance.now() - readAt >= FRESH_MS) {
      readAt = performance.now();
      found = read();
      found.catch(() => {
        readAt = -FRESH_MS;
      });
    }
    return found;
  };
}

const withStatus = (status) =>
  recent(async () => {
    const query = { status, limit: MESSAGES_MAX };
    return (await get("admin/webhooks", { query })).webhooks.length;
  });

/** Count the failed ones among the latest messages, as far back as one request looks. */
export const failedMessages = withStatus("failed");

/** Count the unmatched ones among the latest messages, as far back as one request looks. */
export const unmatchedMessages = withStatus("unmatched");

/** Return the problems of the stack: `{code, subject}`. */
export const problems = recent(async () => (await get("admin/health")).problems);

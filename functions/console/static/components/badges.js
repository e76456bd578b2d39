// Badges of the navigation: how many things wait for somebody.

import { html, useEffect, useState } from "../lib/vendor.js";
import { failedMessages, problems, unmatchedMessages } from "../lib/waiting.js";

/**
 * Return the numbers of things that wait, by the first segment of their page.
 *
 * They are read again when the user goes to another `place`. What cannot be read shows no badge: its
 * page says why.
 */
export function useWaiting(place) {
  const [counts, setCounts] = useState({});
  useEffect(() => {
    const note = (name, read) =>
      read().then(
        (count) => setCounts((before) => ({ ...before, [name]: count })),
        () => {},
      );
    note("inbox", async () => {
      const [failed, unmatched] = await Promise.all([failedMessages(), unmatchedMessages()]);
      return failed + unmatched;
    });
    note("health", async () => (await problems()).length);
  }, [place]);
  return counts;
}

/** A number beside a link. */
export const Badge = ({ count }) =>
  count > 0 && html`<span class="badge">${count}<span class="unseen"> need attention</span></span>`;

// Badges of the navigation: how many things wait for somebody.

import { html, useEffect, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { stuckMessages } from "../lib/messages.js";

const FRESH_MS = 60_000;

let readAt = -FRESH_MS;
let counts = {};

/**
 * Return the numbers of things that wait, by the first segment of their page.
 *
 * They are read again when the user goes to another `place`, at most once a minute. What cannot be
 * read shows no badge: its page says why.
 */
export function useWaiting(place) {
  const [known, setKnown] = useState(counts);
  useEffect(() => {
    if (performance.now() - readAt < FRESH_MS) return;
    readAt = performance.now();
    const note = (name, read) =>
      read().then(
        (count) => {
          counts = { ...counts, [name]: count };
          setKnown(counts);
        },
        () => {},
      );
    note("inbox", stuckMessages);
    note("health", async () => (await get("admin/health")).problems.length);
  }, [place]);
  return known;
}

/** A number beside a link. */
export const Badge = ({ count }) =>
  count > 0 && html`<span class="badge">${count}<span class="unseen"> need attention</span></span>`;

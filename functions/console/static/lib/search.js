// What the search box and the command palette find while somebody types.

import { get, pause } from "./api.js";
import { words } from "./format.js";
import { useLoaded } from "./loading.js";
import { href } from "./router.js";

const TYPING_SECONDS = 0.15;

const CUSTOMERS = { cus: "customer", sub: "subscription" };

/** Where a suggestion leads, and its kind in words. */
const KINDS = {
  account: ({ account_id: id }) => [href(["accounts", id]), "Account"],
  customer: ({ matched, account_id: id }) => [href(["accounts", id]), kindOfName(matched)],
  payment: ({ account_id: id }) => [
    id ? href(["accounts", id, "ledger"], { type: "purchase" }) : href(["inbox"]),
    "Payment",
  ],
  entry: ({ matched, account_id: id }) => [href(["accounts", id, "entries", matched]), "Entry"],
  reference: ({ matched, account_id: id }) => [
    href(["accounts", id, "ledger"], { reference: matched }),
    "Reference",
  ],
  webhook: ({ matched }) => [href(["inbox", matched]), "Message"],
};

/** Name what a provider calls somebody: stripe:cus_1 is a Stripe customer. */
function kindOfName(name) {
  const [provider, id] = name.split(":");
  return `${words(provider)} ${CUSTOMERS[id.split("_")[0]] ?? "ID"}`;
}

/** Return what a text may mean: `{name, about, hint, to}`, with the kind as hint and its page. */
async function suggestions(text, signal) {
  const answer = await get("admin/search", { query: { q: text }, signal });
  return answer.suggestions.map((one) => {
    const [to, hint] = KINDS[one.kind](one);
    const about = [one.name, one.account_id].filter((text) => text && text !== one.matched);
    return { name: one.matched, about: about.join(" · "), hint, to };
  });
}

/** Find what a text may mean once typing pauses. Only the answer to the latest text counts. */
export const useSuggestions = (text) =>
  useLoaded(
    async (signal) => {
      if (text === "") return [];
      await pause(TYPING_SECONDS);
      return signal.aborted ? [] : suggestions(text, signal);
    },
    [text],
  );

/** Return the page that a text clearly means: of the only result, or the only one named like it. */
export function meant(text, found) {
  const same = found.filter(({ name }) => name.toLowerCase() === text.toLowerCase());
  const [one, ...others] = same.length > 0 ? same : found;
  return one && others.length === 0 ? one.to : null;
}

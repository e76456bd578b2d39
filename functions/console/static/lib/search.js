// What the search box and the command palette find.

import { get } from "./api.js";
import { href } from "./router.js";

// An ID may contain @, too. Text that looks like an email address is tried as one first.
const ADDRESS = /^[^@\s|]+@[^@\s|]+$/;
const ID = /^[^\s/]{1,128}$/;

/** Return the address of the page that finds a text: an account, or the accounts of an address. */
export const foundAt = (text) =>
  ADDRESS.test(text) ? href(["accounts"], { email: text }) : href(["accounts", text]);

/**
 * Return what a text may mean: `{name, hint, to}`, with the address of its page.
 *
 * The API looks up whole email addresses and IDs.
 */
export async function suggestions(text, signal) {
  const queries = [
    ADDRESS.test(text) && { email: text },
    ID.test(text) && { account_id: text },
  ].filter(Boolean);
  const answers = await Promise.all(
    queries.map((query) => get("admin/accounts", { query, signal }).catch(() => ({ accounts: [] }))),
  );
  const accounts = answers.flatMap((answer) => answer.accounts);
  return accounts.map(({ account_id: id, emails = [] }) => ({
    name: emails[0] ?? id,
    hint: emails.length > 0 ? id : "Account",
    to: href(["accounts", id]),
  }));
}

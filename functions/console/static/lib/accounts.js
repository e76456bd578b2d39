// Lists of accounts: the states that they can be filtered by, and how they are read.

import { get } from "./api.js";

/** The states that may need attention, in words. */
export const STATES = [
  { state: "frozen", name: "Frozen" },
  { state: "in_debt", name: "In debt" },
  { state: "out_of_credits", name: "Out of credits" },
  { state: "past_due", name: "Past due" },
  { state: "held", name: "Held" },
];

/** Read a page of the accounts of a filter: a `state`, a `plan`, or `q`, how they begin. */
export async function readPage(filter, cursor, limit, signal) {
  const answer = await get("admin/accounts", { query: { ...filter, cursor, limit }, signal });
  return { items: answer.accounts, cursor: answer.cursor, areAllListed: answer.complete };
}

/** Name an account: by its owner's address, or else its ID. */
export const nameOf = ({ account_id: id, emails: [email] = [] }) => email ?? id;

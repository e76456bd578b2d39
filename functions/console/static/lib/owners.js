// Who people are: the email address or the name that the API knows for an ID.

import { useEffect, useState } from "./vendor.js";
import { get } from "./api.js";
import { signedIn } from "./session.js";

const AT_ONCE = 4;

const names = new Map();
const lanes = Array.from({ length: AT_ONCE }, () => Promise.resolve());

async function read(id) {
  const me = await signedIn();
  if (me.id === id) return me.name;
  const { accounts } = await get("admin/accounts", { query: { account_id: id } });
  return named(accounts[0] ?? {});
}

const named = ({ emails = [], name }) => emails[0] ?? name ?? undefined;

/** Read a person's name, once, a few people at a time: undefined if the API knows none. */
export function nameOfOwner(id) {
  if (!names.has(id)) {
    const lane = names.size % AT_ONCE;
    lanes[lane] = lanes[lane].then(() => read(id).catch(() => undefined));
    names.set(id, lanes[lane]);
  }
  return names.get(id);
}

/** Return an account of a list by its owner's name, or else by its ID. */
export const ownerOf = (account) => named(account) ?? account.account_id;

/** Return a person's name once it is known; undefined until then, and for `id` null. */
export function useName(id) {
  const [known, setKnown] = useState({});
  useEffect(() => {
    let isLeft = false;
    if (id) nameOfOwner(id).then((name) => isLeft || setKnown({ id, name }));
    return () => {
      isLeft = true;
    };
  }, [id]);
  return known.id === id ? known.name : undefined;
}

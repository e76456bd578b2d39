// Who made a change: by email address where the API knows one, else by ID.

import { html, useEffect, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { actorKind } from "../lib/entries.js";
import { words } from "../lib/format.js";
import { signedIn } from "../lib/session.js";
import { Id } from "./values.js";

const PEOPLE = ["user", "admin"];
const addresses = new Map();

/** Read a person's address, once: that of their account, or of the signed-in admin. */
export function addressOf(id) {
  if (!addresses.has(id)) {
    const read = async () => {
      const me = await signedIn();
      if (me.id === id) return me.name;
      const { accounts } = await get("admin/accounts", { query: { account_id: id } });
      return accounts[0]?.emails?.[0];
    };
    addresses.set(id, read().catch(() => undefined));
  }
  return addresses.get(id);
}

/** An actor's kind and name. `isBrief` leaves the kind out. */
export function Actor({ actor, isBrief = false }) {
  const [address, setAddress] = useState(undefined);
  const isPerson = PEOPLE.includes(actor.type) && actor.id;
  useEffect(() => {
    let isLeft = false;
    if (isPerson) addressOf(actor.id).then((found) => isLeft || setAddress(found));
    return () => {
      isLeft = true;
    };
  }, [actor.id]);
  const name = address ?? html`<${Id}>${actor.id}<//>`;
  if (isBrief) return html`<span title=${actor.id}>${name}</span>`;
  return html`${words(actorKind(actor))} <span class="quiet" title=${actor.id}>${name}</span>`;
}

// People: who made a change, and whose an account is.

import { html } from "../lib/vendor.js";
import { PEOPLE, actorKind } from "../lib/entries.js";
import { words } from "../lib/format.js";
import { useName } from "../lib/owners.js";
import { href } from "../lib/router.js";
import { Id } from "./values.js";

/** An actor's kind and name. `isBrief` leaves the kind out. */
export function Actor({ actor, isBrief = false }) {
  const address = useName(PEOPLE.includes(actor.type) ? actor.id : null);
  const name = address ?? html`<${Id}>${actor.id}<//>`;
  if (isBrief) return html`<span title=${actor.id}>${name}</span>`;
  return html`${words(actorKind(actor))} <span class="quiet" title=${actor.id}>${name}</span>`;
}

/** A link to an account, by its owner's address or name, or else by its ID. */
export const Owner = ({ accountId }) => html`<a href=${href(["accounts", accountId])} title=${accountId}>
  ${useName(accountId) ?? html`<span class="id clipped">${accountId}</span>`}
</a>`;

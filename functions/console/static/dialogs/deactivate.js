// Takes a plan or a feature out of use, or brings it back.

import { html, useState } from "../lib/vendor.js";
import { path, put, remove } from "../lib/api.js";
import { forgetCatalog } from "../lib/catalog.js";
import { ChangeDialog } from "../components/change.js";
import { Field } from "../components/fields.js";

/** `shelf` is what the item is one of; see the catalog page. */
export function DeactivateDialog({ shelf, item, close, done }) {
  const [reason, setReason] = useState("");
  const verb = item.active ? "Deactivate" : "Activate";
  const told = reason.trim() ? { reason: reason.trim() } : {};
  const send = ({ reason: why }) => {
    const { version, [shelf.id]: id, ...rest } = item;
    const to = path`admin/${shelf.name}/${id}`;
    return item.active
      ? remove(to, { version, query: { reason: why } })
      : put(to, { ...rest, active: true, ...(why && { reason: why }) }, { version });
  };
  return html`<${ChangeDialog}
    title=${`${verb} ${item.name}`}
    close=${close}
    prepare=${() => ({
      body: told,
      label: verb,
      effect: html`<p>${item.active ? shelf.deactivated : shelf.activated}</p>`,
    })}
    send=${send}
    done=${() => {
      forgetCatalog();
      done(`${item.name} is ${item.active ? "inactive" : "active"} now`);
    }}
  >
    <p>${item.active ? "It stays in the catalog, and can be activated again." : "It was taken out of use."}</p>
    <${Field} id="reason" label="Reason" hint="For the audit record." value=${reason} change=${setReason} maxlength="256" autofocus />
  <//>`;
}

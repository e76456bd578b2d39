// Takes a plan or a feature out of use, or brings it back.

import { html, useState } from "../lib/vendor.js";
import { path, put, remove } from "../lib/api.js";
import { forgetCatalog } from "../lib/catalog.js";
import { ChangeDialog } from "../components/change.js";
import { ReasonField, reasonOf } from "../components/fields.js";

/** `shelf` is what the item is one of; see the catalog page. */
export function DeactivateDialog({ shelf, item, close, done }) {
  const [reason, setReason] = useState("");
  const verb = item.active ? "Deactivate" : "Activate";
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
      body: reasonOf(reason),
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
    <${ReasonField} value=${reason} change=${setReason} autofocus />
  <//>`;
}

// Deactivates or activates a plan or a feature.

import { html, useRef, useState } from "../lib/vendor.js";
import { path, put, remove } from "../lib/api.js";
import { forgetCatalog, itemOf } from "../lib/catalog.js";
import { differences, shown } from "../lib/differences.js";
import { words } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { EditReasonField, whyOf } from "../components/fields.js";
import { Table } from "../components/table.js";

/** `shelf` is PLANS or FEATURES. */
export function DeactivateDialog({ shelf, item, close, done }) {
  const [reason, setReason] = useState("");
  const verb = item.active ? "Deactivate" : "Activate";
  const base = useRef(item);

  const send = async ({ reason: why }) => {
    const { version, [shelf.id]: id, ...rest } = base.current;
    const to = path`admin/${shelf.name}/${id}`;
    try {
      return item.active
        ? await remove(to, { version, query: { reason: why } })
        : await put(to, { ...rest, active: true, ...(why && { reason: why }) }, { version });
    } catch (error) {
      if (error.status !== 412) throw error;
      return settled(error);
    }
  };

  /** Handle a changed version: done if the item is as requested, else the retry is for that version. */
  const settled = async (error) => {
    const [before, theirs] = [base.current, await itemOf(shelf, item[shelf.id])];
    if (theirs.active !== item.active) return theirs;
    base.current = theirs;
    error.shown = () => html`<${Changed} before=${before} theirs=${theirs} />`;
    throw error;
  };

  return html`<${ChangeDialog}
    title=${`${verb} ${item.name}`}
    close=${close}
    isDanger=${item.active}
    prepare=${() => ({
      body: whyOf({ reason }),
      label: verb,
      effect: html`<p>${item.active ? shelf.deactivated : shelf.activated}</p>`,
    })}
    send=${send}
    done=${() => {
      forgetCatalog();
      done(`${item.name} ${item.active ? "deactivated" : "activated"}`);
    }}
  >
    <p>${item.active ? "It stays in the catalog, and you can reactivate it later." : "It's currently inactive."}</p>
    <${EditReasonField} value=${reason} change=${setReason} autofocus />
  <//>`;
}

const Changed = ({ before, theirs }) => html`<div class="state failure" role="alert">
  <p class="state-title">Another admin changed this</p>
  <${Table}
    caption="What they changed"
    columns=${[
      { name: "Field", isRowHeader: true, cell: ({ field }) => words(field) },
      { name: "Before", cell: (row) => shown(row.before) },
      { name: "Now", cell: (row) => shown(row.after) },
    ]}
    rows=${differences(before, theirs)}
    keyOf=${({ field }) => field}
  />
  <p>Your change wasn't made. Try again to make it anyway.</p>
</div>`;

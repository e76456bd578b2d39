// The catalog: plans, features and the dialogs that edit them.

import { html, useState } from "../lib/vendor.js";
import { features, forgetCatalog, plans } from "../lib/catalog.js";
import { useLoaded } from "../lib/loading.js";
import { announce } from "../lib/notice.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty, Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Chip } from "../components/values.js";
import { DeactivateDialog } from "../dialogs/deactivate.js";
import { EditDialog } from "../dialogs/edit.js";
import { FEATURES } from "./features.js";
import { PLANS } from "./plans.js";

const SHELVES = { plans: { ...PLANS, load: plans }, features: { ...FEATURES, load: features } };

/** `shelf` is "plans" or "features". */
export function CatalogPage({ shelf: name = "plans" }) {
  const shelf = SHELVES[name] ?? SHELVES.plans;
  const [dialog, setDialog] = useState(null);
  const items = useLoaded(() => {
    forgetCatalog();
    return shelf.load();
  }, [shelf]);
  const close = (trouble) => {
    setDialog(null);
    if (trouble) items.reload();
    if (trouble === "unknown") announce("The change may have been made. Check the version.");
  };
  const done = (text) => {
    setDialog(null);
    items.reload();
    announce(text);
  };
  const Shown =
    dialog?.item?.active !== undefined && dialog.isSwitch ? DeactivateDialog : EditDialog;
  return html`
    <div class="page-head">
      <${Heading} title="Catalog" place=${`catalog/${shelf.name}`} />
      <button type="button" class="button primary" onClick=${() => setDialog({ item: null })}>
        New ${shelf.one}
      </button>
    </div>
    <nav class="tabs" aria-label="Catalog">
      ${Object.values(SHELVES).map(
        ({ name: other, title }) => html`<a
          key=${other}
          href=${href(["catalog", other])}
          aria-current=${other === shelf.name ? "page" : undefined}
          >${title}</a
        >`,
      )}
    </nav>
    <section class="card" aria-label=${shelf.title}>
      <${Loaded} of=${items} what=${shelf.name} lines=${6}>
        ${(list) =>
          list.length === 0
            ? html`<${Empty} title=${`No ${shelf.name} yet`}>Create the first one.<//>`
            : html`<${Table}
                caption=${shelf.title}
                columns=${[...shelf.columns, state(shelf), actions(setDialog, shelf.columns)]}
                rows=${list}
                keyOf=${(item) => item[shelf.id]}
              />`}
      <//>
    </section>
    ${dialog && html`<${Shown} shelf=${shelf} item=${dialog.item} close=${close} done=${done} />`}
  `;
}

const state = ({ versionsHref }) => ({
  name: "State",
  cell: (item) => html`${
    versionsHref
      ? html`<a class="number" href=${versionsHref(item)}>version ${item.version}<span class="unseen"> of ${item.name}</span></a>`
      : html`<span class="number quiet">version ${item.version}</span>`
  }
  ${!item.active && html` <${Chip}>Inactive<//>`}`,
});

const actions = (setDialog, columns) => ({
  name: "Actions",
  isQuiet: true,
  isMain: !columns.some(({ isMain }) => isMain),
  cell: (item) => html`<div class="row-actions">
    <button type="button" class="button small" onClick=${() => setDialog({ item })}>
      Edit<span class="unseen"> ${item.name}</span>
    </button>
    <button
      type="button"
      class=${`button small ${item.active ? "danger-quiet" : ""}`}
      onClick=${() => setDialog({ item, isSwitch: true })}
    >
      ${item.active ? "Deactivate" : "Activate"}<span class="unseen"> ${item.name}</span>
    </button>
  </div>`,
});

// Edits or creates a plan or a feature, and shows both versions if another admin changed it.

import { html, useRef, useState } from "../lib/vendor.js";
import { path, post, put } from "../lib/api.js";
import { forgetCatalog, itemOf } from "../lib/catalog.js";
import { differences, shown } from "../lib/differences.js";
import { words } from "../lib/format.js";
import { ChangeDialog } from "../components/change.js";
import { Field, EditReasonField, whyOf } from "../components/fields.js";
import { Table } from "../components/table.js";

/**
 * `shelf` is PLANS or FEATURES; `item` is null to create one.
 *
 * The shelf supplies `Fields`, the inputs of a form; `formOf(item)`; `read(form)`, which returns
 * `{item}` or `{errors}`; and `note`, the effect of an edit on accounts.
 */
export function EditDialog({ shelf, item, close, done }) {
  const [form, setForm] = useState(shelf.formOf(item ?? shelf.blank));
  const [reason, setReason] = useState("");
  const [errors, setErrors] = useState({});
  const base = useRef(item);

  const prepare = () => {
    const { item: wanted, errors: wrong = {} } = shelf.read(form, item === null);
    setErrors(wrong);
    if (!wanted) return null;
    const changes = differences(base.current ? bare(base.current, shelf) : {}, wanted);
    if (base.current && changes.length === 0) {
      setErrors({ form: "No changes to save." });
      return null;
    }
    return {
      body: { ...wanted, ...whyOf({ reason }) },
      label: item ? "Save" : "Create",
      effect: html`
        ${
          base.current
            ? html`<p>Changes <strong>${base.current.name}</strong>. ${shelf.note}</p>
              <${Changes} changes=${changes} />`
            : html`<p>
                Creates <strong>${wanted.name}</strong> with the permanent ID <code>${wanted[shelf.id]}</code>.
              </p>`
        }
      `,
    };
  };

  const save = async (body) => {
    if (!item) return create(body);
    try {
      return await put(path`admin/${shelf.name}/${item[shelf.id]}`, body, {
        version: base.current.version,
      });
    } catch (error) {
      if (error.status !== 412) throw error;
      const { reason: _, ...mine } = body;
      return settled(error, mine);
    }
  };

  /** Create the item. An identical one is the result of an earlier try. */
  const create = async (body) => {
    try {
      return await post(`admin/${shelf.name}`, body);
    } catch (error) {
      if (error.code !== "already_exists") throw error;
      const { reason: _, [shelf.id]: id, ...mine } = body;
      const there = await itemOf(shelf, id);
      if (!there || differences(bare(there, shelf), mine).length > 0) throw error;
      return there;
    }
  };

  /** Handle an edit by another admin: done if it is the same, else a conflict that shows both. */
  const settled = async (error, mine) => {
    const theirs = await itemOf(shelf, item[shelf.id]);
    if (differences(bare(theirs, shelf), mine).length === 0) return theirs;
    const before = base.current;
    base.current = theirs;
    error.again = "Overwrite with mine";
    error.shown = (back) => html`<${Conflict}
      before=${bare(before, shelf)}
      theirs=${bare(theirs, shelf)}
      mine=${mine}
      take=${() => {
        setForm(shelf.formOf(theirs));
        back();
      }}
    />`;
    throw error;
  };

  return html`<${ChangeDialog}
    title=${item ? `Edit ${item.name}` : `New ${shelf.one}`}
    close=${close}
    prepare=${prepare}
    send=${save}
    done=${(saved) => {
      forgetCatalog();
      done(`${saved.name} saved as version ${saved.version}`);
    }}
  >
    <${shelf.Fields} form=${form} change=${setForm} errors=${errors} isNew=${item === null} />
    <${EditReasonField} value=${reason} change=${setReason} />
    ${errors.form && html`<p class="field-error" role="alert">${errors.form}</p>`}
  <//>`;
}

/** Return an item as the body of a PUT, without its ID and version. */
const bare = (item, shelf) => {
  const { version: _, [shelf.id]: __, ...rest } = item;
  return rest;
};

const Changes = ({ changes }) => html`<${Table}
  caption="What changes"
  columns=${[
    { name: "Field", isRowHeader: true, cell: ({ field }) => words(field) },
    { name: "Before", cell: (row) => shown(row.before) },
    { name: "After", cell: (row) => html`<strong>${shown(row.after)}</strong>` },
  ]}
  rows=${changes}
  keyOf=${({ field }) => field}
/>`;

function Conflict({ before, theirs, mine, take }) {
  const changed = new Set(
    [...differences(before, theirs), ...differences(before, mine)].map(({ field }) => field),
  );
  const of = (item) =>
    Object.fromEntries(differences({}, item).map(({ field, after }) => [field, after]));
  const [was, other, own] = [of(before), of(theirs), of(mine)];
  return html`<div class="state failure" role="alert">
    <p class="state-title">Another admin changed this</p>
    <${Table}
      caption="Their changes and yours"
      columns=${[
        { name: "Field", isRowHeader: true, cell: (field) => words(field) },
        { name: "Before", cell: (field) => shown(was[field]) },
        { name: "Theirs", cell: (field) => shown(other[field]) },
        { name: "Yours", cell: (field) => html`<strong>${shown(own[field])}</strong>` },
      ]}
      rows=${[...changed]}
      keyOf=${(field) => field}
    />
    <button type="button" class="button" onClick=${take}>Use theirs</button>
  </div>`;
}

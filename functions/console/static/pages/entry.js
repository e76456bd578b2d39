// The page of one entry, for links.

import { html } from "../lib/vendor.js";
import { features } from "../lib/catalog.js";
import { useLoaded } from "../lib/loading.js";
import { href } from "../lib/router.js";
import { Loaded } from "../components/states.js";
import { Story } from "../components/story.js";

/** The details of the entry `entryId`. */
export function EntryTab({ accountId, account, entryId, turn, open }) {
  const known = useLoaded(features, []);
  return html`<section class="card padded">
    <div class="card-head">
      <h2>Entry ${entryId}</h2>
      <a href=${href(["accounts", accountId, "ledger"])}>View ledger</a>
    </div>
    <${Loaded} of=${known} what="the catalog">
      ${(list) => html`<${Story}
        accountId=${accountId}
        account=${account}
        entryId=${entryId}
        features=${list}
        turn=${turn}
        open=${open}
      />`}
    <//>
  </section>`;
}

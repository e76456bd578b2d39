// A feature: what it has cost, since when, who changed it and why.

import { html } from "../lib/vendor.js";
import { get, path } from "../lib/api.js";
import { useLoaded } from "../lib/loading.js";
import { prices } from "../lib/prices.js";
import { href } from "../lib/router.js";
import { Actor } from "../components/actor.js";
import { Heading } from "../components/heading.js";
import { Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Lines, Time } from "../components/values.js";

/** The versions of the feature `featureId`, newest first. */
export function FeaturePage({ featureId }) {
  const found = useLoaded(
    (signal) => get(path`admin/features/${featureId}/versions`, { signal }),
    [featureId],
  );
  return html`
    <div class="page-head">
      <${Heading} title=${found.data?.versions[0].name ?? "Feature"} place=${featureId} />
      <a href=${href(["catalog", "features"])}>All features</a>
    </div>
    <section class="card" aria-label="Versions">
      <${Loaded} of=${found} what="the versions">
        ${({ versions }) => html`<${Table}
          caption="Versions, newest first"
          columns=${COLUMNS}
          rows=${versions}
          keyOf=${({ version }) => version}
        />`}
      <//>
    </section>
  `;
}

const COLUMNS = [
  { name: "Version", isRowHeader: true, cell: ({ version }) => `Version ${version}` },
  {
    name: "Price",
    cell: (feature) => html`<${Lines} lines=${prices(feature)} />
      ${!feature.active && html`<span class="under">inactive: uses were refused</span>`}`,
  },
  {
    name: "Since",
    cell: ({ since }) => (since ? html`<${Time} at=${since} />` : "Initial version"),
  },
  {
    name: "Who",
    cell: ({ actor }) =>
      actor && html`<${Actor} actor=${actor} />`,
  },
  { name: "Why", cell: ({ reason }) => reason ?? html`<span class="quiet">No reason given</span>` },
];

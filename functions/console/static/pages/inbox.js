// The inbox: messages of billing and identity providers, and their status.

import { html } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { words } from "../lib/format.js";
import { usePages } from "../lib/loading.js";
import { go, href } from "../lib/router.js";
import { Choice } from "../components/fields.js";
import { Heading } from "../components/heading.js";
import { More } from "../components/more.js";
import { Empty } from "../components/states.js";
import { Table } from "../components/table.js";
import { MessageStatus, Time } from "../components/values.js";

const STATUSES = ["received", "applied", "ignored", "unmatched", "failed"];

/** Messages of the past year, newest first, filtered by `status` unless it is empty. */
export function InboxPage({ status }) {
  const pages = usePages(
    async (cursor, signal) => {
      const answer = await get("admin/webhooks", { query: { status, cursor }, signal });
      return { items: answer.webhooks, cursor: answer.cursor };
    },
    [status],
  );
  return html`
    <div class="page-head"><${Heading} title="Inbox" /></div>
    <section class="card" aria-label="Messages">
      <div class="filters">
        <${Choice}
          id="inbox-status"
          label="Status"
          value=${status}
          change=${(wanted) => go(href(["inbox"], { status: wanted }))}
          options=${[["", "All"], ...STATUSES.map((one) => [one, words(one)])]}
        />
      </div>
      ${
        pages.isComplete && pages.items.length === 0
          ? html`<${Empty} title=${status ? `No ${status} messages` : "No messages yet"}>
            ${
              status
                ? "Choose another status."
                : "Billing and identity providers send them to /v1/webhooks."
            }
          <//>`
          : html`
            ${
              pages.items.length > 0 &&
              html`<${Table}
              caption="Messages, newest first"
              columns=${COLUMNS}
              rows=${pages.items}
              keyOf=${(message) => message.webhook_id}
            />`
            }
            <${More} pages=${pages} noun="message" />
          `
      }
    </section>
  `;
}

const COLUMNS = [
  {
    name: "Message",
    isRowHeader: true,
    cell: (message) => html`<a class="strong" href=${href(["inbox", message.webhook_id])}>${message.type}</a>`,
  },
  { name: "Provider", isSpare: true, cell: ({ provider }) => words(provider) },
  { name: "Status", cell: ({ status }) => html`<${MessageStatus} status=${status} />` },
  { name: "Reason", cell: ({ reason }) => reason && html`<span class="quiet">${reason}</span>` },
  {
    name: "Account",
    cell: ({ account_id: id }) =>
      id && html`<a class="id clipped" href=${href(["accounts", id])}>${id}</a>`,
  },
  { name: "Received", isMain: true, cell: (message) => html`<${Time} at=${message.received_at} as="relative" />` },
];

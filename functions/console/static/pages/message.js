// A message of the inbox: its payload, its status and a button that replays it.

import { html, useState } from "../lib/vendor.js";
import { get, path, post } from "../lib/api.js";
import { features } from "../lib/catalog.js";
import { entryHref, said } from "../lib/entries.js";
import { useLoaded } from "../lib/loading.js";
import { entriesOf } from "../lib/messages.js";
import { announce } from "../lib/notice.js";
import { nameOfOwner } from "../lib/owners.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty, Failure, Loaded } from "../components/states.js";
import { Table } from "../components/table.js";
import { Change, Facts, Id, Json, MessageStatus, Time } from "../components/values.js";

const UNMATCHED = `No account or plan matches this message yet. It's applied once the account exists. If a
  plan is missing, add its provider ID in the catalog, then replay the message.`;

const MEANINGS = {
  received: "It arrived but hasn't been processed. The provider will send it again.",
  applied: "It took effect. Replaying it changes nothing.",
  ignored: "There was nothing to do. See the reason.",
  unmatched: UNMATCHED,
  failed: "It couldn't be applied. Fix the reason, then replay it.",
};

/** The message `webhookId`. */
export function MessagePage({ webhookId }) {
  const message = useLoaded(
    async (signal) => {
      const found = await get(path`admin/webhooks/${webhookId}`, { signal });
      const [entries, list, email] = await Promise.all([
        entriesOf(found, signal),
        features(),
        found.account_id && nameOfOwner(found.account_id),
      ]);
      return { message: found, entries, list, email };
    },
    [webhookId],
  );
  return html`
    <div class="page-head">
      <${Heading} title=${message.data?.message.type ?? "Message"} place=${webhookId} />
      <a href=${href(["inbox"])}>Inbox</a>
    </div>
    <${Loaded} of=${message} what="the message">
      ${(data) => html`<${Message} ...${data} reload=${message.reload} />`}
    <//>
  `;
}

const Message = ({ message, entries, list, email, reload }) => html`
  <section class="card padded" aria-label="Outcome">
    <div class="title-row">
      <${MessageStatus} status=${message.status} />
      <p>${MEANINGS[message.status]}</p>
    </div>
    <${Facts}
      facts=${[
        ["Reason", message.reason],
        [
          "Waiting for",
          message.waits_for.length > 0 ? html`<${Names} names=${message.waits_for} />` : null,
        ],
        [
          "Account",
          message.account_id &&
            html`<a href=${href(["accounts", message.account_id])}>${email ?? message.account_id}</a>`,
        ],
        ["Provider", message.provider],
        ["ID", html`<${Id}>${message.webhook_id}<//>`],
        ["Sent", html`<${Time} at=${message.sent_at} as="exact" />`],
        ["Received", html`<${Time} at=${message.received_at} as="exact" />`],
        ["Changed", html`<${Time} at=${message.changed_at} as="exact" />`],
        ["Attempts", String(message.attempts)],
      ]}
    />
    ${message.payload && html`<${Replay} webhookId=${message.webhook_id} reload=${reload} />`}
  </section>
  ${message.status === "applied" && html`<${Effects} message=${message} entries=${entries} list=${list} />`}
  <section class="card padded" aria-labelledby="payload-title">
    <h2 id="payload-title">Contents</h2>
    ${
      message.payload
        ? html`<${Json} value=${message.payload} name="Payload" />`
        : html`<${Empty} title="Payload erased">
            It was erased with the account owner's personal data, so the message can't be replayed.
          <//>`
    }
  </section>
`;

/** The entries that it made. A message can also link an account, or change a subscription. */
const Effects = ({ message: { account_id: accountId }, entries, list }) => html`<section
  class="card"
  aria-labelledby="effects-title"
>
  <h2 id="effects-title" class="card-title">What it did</h2>
  ${
    entries.length > 0
      ? html`<${Table}
        caption="Entries it created"
        columns=${[
          {
            name: "Entry",
            isRowHeader: true,
            cell: (entry) => html`<a class="strong" href=${entryHref(accountId, entry.entry_id)}>${said(entry, list)}</a>`,
          },
          { name: "When", cell: (entry) => html`<${Time} at=${entry.recorded_at} />` },
          { name: "Change", isNumber: true, isMain: true, cell: (entry) => html`<${Change} value=${entry.amount} />` },
        ]}
        rows=${entries}
        keyOf=${({ seq }) => seq}
      />`
      : html`<p class="quiet padded">
          It moved no credits: it linked an account, updated a subscription, or repeated an earlier message.
        </p>`
  }
</section>`;

const Names = ({ names }) => names.map((name) => html`<div key=${name}><${Id}>${name}<//></div>`);

function Replay({ webhookId, reload }) {
  const [state, setState] = useState({});
  const replay = async () => {
    if (state.isBusy) return;
    setState({ isBusy: true });
    try {
      const { status, reason } = await post(path`admin/webhooks/${webhookId}/replay`);
      setState({});
      announce(`Replayed: ${status}${reason ? `, ${reason}` : ""}`);
      reload();
    } catch (error) {
      setState({ error });
    }
  };
  return html`
    ${state.error && html`<${Failure} error=${state.error} />`}
    <button type="button" class="button primary" disabled=${state.isBusy} onClick=${replay}>
      ${state.isBusy ? "Replaying…" : "Replay"}
    </button>
  `;
}

// A message of the inbox: its payload, its status and a button that replays it.

import { html, useState } from "../lib/vendor.js";
import { get, path, post } from "../lib/api.js";
import { useLoaded } from "../lib/loading.js";
import { announce } from "../lib/notice.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty, Failure, Loaded } from "../components/states.js";
import { Facts, Id, Json, MessageStatus, Time } from "../components/values.js";

const UNMATCHED = `No account or plan has the IDs in it: see the reason. It is applied once the account
  exists. If a plan is missing, edit the catalog and replay it.`;

const MEANINGS = {
  received: "It has arrived but is not processed yet. Its provider sends it again.",
  applied: "It has taken effect. Replaying it changes nothing.",
  ignored: "There was nothing to do, for the reason given.",
  unmatched: UNMATCHED,
  failed: "It could not be applied, for the reason given. Fix that, then replay it.",
};

/** The message `webhookId`. */
export function MessagePage({ webhookId }) {
  const message = useLoaded(
    (signal) => get(path`admin/webhooks/${webhookId}`, { signal }),
    [webhookId],
  );
  return html`
    <div class="page-head">
      <${Heading} title=${message.data?.type ?? "Message"} place=${webhookId} />
      <a href=${href(["inbox"])}>The whole inbox</a>
    </div>
    <${Loaded} of=${message} what="the message">
      ${(data) => html`<${Message} message=${data} reload=${message.reload} />`}
    <//>
  `;
}

const Message = ({ message, reload }) => html`
  <section class="card padded" aria-label="What became of it">
    <div class="title-row">
      <${MessageStatus} status=${message.status} />
      <p>${MEANINGS[message.status]}</p>
    </div>
    <${Facts}
      facts=${[
        ["Reason", message.reason],
        [
          "Waits for",
          message.waits_for.length > 0 ? html`<${Names} names=${message.waits_for} />` : null,
        ],
        [
          "Account",
          message.account_id &&
            html`<a class="id" href=${href(["accounts", message.account_id])}>${message.account_id}</a>`,
        ],
        ["Provider", message.provider],
        ["Id", html`<${Id}>${message.webhook_id}<//>`],
        ["Sent", html`<${Time} at=${message.sent_at} as="exact" />`],
        ["Received", html`<${Time} at=${message.received_at} as="exact" />`],
        ["Changed", html`<${Time} at=${message.changed_at} as="exact" />`],
        ["Attempts", String(message.attempts)],
      ]}
    />
    ${message.payload && html`<${Replay} webhookId=${message.webhook_id} reload=${reload} />`}
  </section>
  <section class="card padded" aria-labelledby="payload-title">
    <h2 id="payload-title">What it said</h2>
    ${
      message.payload
        ? html`<${Json} value=${message.payload} name="Payload" />`
        : html`<${Empty} title="It was erased">
            With the personal data of the account's owner. So it cannot be replayed.
          <//>`
    }
  </section>
`;

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
      ${state.isBusy ? "Replaying" : "Replay"}
    </button>
  `;
}

// A message of the inbox: its payload, its status and a button that replays it.

import { html, useState } from "../lib/vendor.js";
import { get, path, post } from "../lib/api.js";
import { useLoaded } from "../lib/loading.js";
import { announce } from "../lib/notice.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty, Failure, Loaded } from "../components/states.js";
import { Facts, Id, Json, MessageStatus, Time } from "../components/values.js";

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
    (signal) => get(path`admin/webhooks/${webhookId}`, { signal }),
    [webhookId],
  );
  return html`
    <div class="page-head">
      <${Heading} title=${message.data?.type ?? "Message"} place=${webhookId} />
      <a href=${href(["inbox"])}>Inbox</a>
    </div>
    <${Loaded} of=${message} what="the message">
      ${(data) => html`<${Message} message=${data} reload=${message.reload} />`}
    <//>
  `;
}

const Message = ({ message, reload }) => html`
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
            html`<a class="id" href=${href(["accounts", message.account_id])}>${message.account_id}</a>`,
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

// The users' page: signs a user in and shows their credits.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { get } from "../lib/api.js";
import { credits, setNow } from "../lib/format.js";
import { useLoaded } from "../lib/loading.js";
import { announce } from "../lib/notice.js";
import { signOut, signedIn, topUpUrl } from "../lib/session.js";
import { Brand } from "../components/brand.js";
import { enter } from "../components/door.js";
import { Guarded } from "../components/guarded.js";
import { Notice } from "../components/notice.js";
import { Loaded, advise } from "../components/states.js";
import { Balance } from "./balance.js";
import { catalog } from "./catalog.js";
import { Month } from "./month.js";

advise({
  account_not_found: "Sign out and in again.",
  catalog_unsound: "Contact support.",
  corrupt_account: "Contact support.",
  forbidden: "Sign out and in again.",
  internal_error: "Try again. If it keeps failing, contact support and quote this request.",
  invalid_cursor: "Load the page again.",
  unanswered: "No answer came",
});

/** The page of a signed-in user. */
function Page({ name }) {
  const main = useRef(null);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to your credits</a>
    <header class="bar-top">
      <div class="bar-inside slim">
        <span class="brand"><${Brand} /></span>
        <div class="who">
          <span class="who-name" title=${`Signed in as ${name}`}>${name}</span>
          <button type="button" class="button small quiet" onClick=${signOut}>Sign out</button>
        </div>
      </div>
    </header>
    <main id="main" ref=${main} tabindex="-1" class="slim">
      <${Guarded}><${Credits} name=${name} /><//>
    </main>
    <${Notice} />
  `;
}

/** Everything about the user's own account. Each refresh is another `turn`. */
function Credits({ name }) {
  const [turn, setTurn] = useState(0);
  const about = useLoaded(
    async (signal) => {
      const [account, { holds }, prices] = await Promise.all([
        get("accounts/me", { signal }),
        get("accounts/me/holds", { signal }),
        catalog(),
      ]);
      setNow(account.clock);
      return { account, holds, catalog: prices, turn };
    },
    [],
    turn,
  );
  const balance = about.data?.account.balance;
  useEffect(() => {
    if (turn > 0 && balance !== undefined) announce(`Up to date: your balance is ${credits(balance)}.`);
  }, [about.data]);
  return html`
    <div class="page-head">
      <h1>Your credits</h1>
      <div class="actions not-printed">
        ${topUpUrl() && html`<a class="button small primary" href=${topUpUrl()}>Get more credits</a>`}
        <button type="button" class="button small" onClick=${() => setTurn(turn + 1)}>Refresh</button>
      </div>
    </div>
    <p class="for-print">${name}</p>
    <${Loaded} of=${about} what="your credits" lines=${8}>
      ${(data) => html`
        <${Balance} ...${data} />
        <${Month} ...${data} />
      `}
    <//>
  `;
}

enter(async () => html`<${Page} name=${(await signedIn()).name} />`);

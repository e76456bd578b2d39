// The console: signs users in, admits admins and shows the page of the current route.

import { html, render, useEffect, useErrorBoundary } from "./lib/vendor.js";
import { get } from "./lib/api.js";
import { go, href, useRoute } from "./lib/router.js";
import { begin, hasSignedOut, signIn, signOut, signedIn } from "./lib/session.js";
import { Failure } from "./components/states.js";
import { later } from "./components/later.js";
import { Brand, Shell } from "./components/shell.js";
import { AccountPage } from "./pages/account.js";
import { AccountsPage } from "./pages/accounts.js";
import { NotFoundPage } from "./pages/not-found.js";

const CatalogPage = later(async () => (await import("./pages/catalog.js")).CatalogPage);
const FeaturePage = later(async () => (await import("./pages/feature.js")).FeaturePage);
const HealthPage = later(async () => (await import("./pages/health.js")).HealthPage);
const InboxPage = later(async () => (await import("./pages/inbox.js")).InboxPage);
const MessagePage = later(async () => (await import("./pages/message.js")).MessagePage);

/** The console of a signed-in admin. */
function Console({ name }) {
  const { segments, query } = useRoute();
  const [place] = segments;
  useEffect(() => {
    if (!place) go(href(["accounts"]), { replace: true });
  }, [place]);
  return html`<${Shell} place=${place} userName=${name}>
    <${Guarded} address=${href(segments, query)}>
      ${place && html`<${Page} segments=${segments} query=${query} />`}
    <//>
  <//>`;
}

/** Show a page's failure in its place; the rest of the console and the next page keep working. */
function Guarded({ address, children }) {
  const [error, recover] = useErrorBoundary((thrown) => console.error(thrown));
  useEffect(() => {
    if (error) recover();
  }, [address]);
  if (!error) return children;
  return html`<div class="state failure" role="alert">
    <p class="state-title">This page couldn't be displayed</p>
    <p>Something unexpected happened: ${String(error)}</p>
    <button type="button" class="button" onClick=${() => location.reload()}>Reload</button>
  </div>`;
}

function Page({ segments: [place, id, ...rest], query }) {
  switch (place) {
    case "accounts":
      return id
        ? html`<${AccountPage} key=${id} accountId=${id} rest=${rest} query=${query} />`
        : html`<${AccountsPage} email=${query.email} />`;
    case "catalog":
      return id === "features" && rest.length > 0
        ? html`<${FeaturePage} featureId=${rest[0]} />`
        : html`<${CatalogPage} shelf=${id} />`;
    case "inbox":
      return id
        ? html`<${MessagePage} key=${id} webhookId=${id} />`
        : html`<${InboxPage} status=${query.status ?? ""} />`;
    case "health":
      return html`<${HealthPage} />`;
    default:
      return html`<${NotFoundPage} />`;
  }
}

/** A page for users who are not signed in or not admins. */
const Door = ({ title, children }) => html`<main class="door card">
  <p class="brand"><${Brand} /></p>
  <h1>${title}</h1>
  ${children}
</main>`;

const SignedOut = () => html`<${Door} title="You're signed out">
  <p>Your session in this browser tab has ended.</p>
  <button type="button" class="button primary" onClick=${signIn}>Sign in</button>
<//>`;

const NotAdmin = ({ name }) => html`<${Door} title="This console is for admins">
  <p>You're signed in as <strong>${name}</strong>, who isn't an admin.</p>
  <p>
    Ask your Scrip operator to add you to the group <code>admin</code>, then sign in again.
  </p>
  <button type="button" class="button primary" onClick=${signOut}>
    Sign in as someone else
  </button>
<//>`;

const NotSignedIn = ({ error }) => html`<${Door} title="Sign-in failed">
  <p>${error.error_description ?? error.message}</p>
  <p>The sign-in may have started in another tab, or it may have expired.</p>
  <button type="button" class="button primary" onClick=${signIn}>Try again</button>
<//>`;

const NotReached = ({ error }) => html`<${Door} title="Can't reach Scrip">
  <${Failure} error=${error} retry=${() => location.reload()} />
<//>`;

/** Return the first view: the console, or the reason why it cannot be shown. */
async function opened() {
  try {
    if (!(await begin())) {
      if (hasSignedOut()) return html`<${SignedOut} />`;
      await signIn();
    }
  } catch (error) {
    return html`<${NotSignedIn} error=${error} />`;
  }
  const { name } = await signedIn();
  try {
    await get("admin/health");
  } catch (error) {
    return error.status === 403
      ? html`<${NotAdmin} name=${name} />`
      : html`<${NotReached} error=${error} />`;
  }
  return html`<${Console} name=${name} />`;
}

const root = document.getElementById("app");
opened().then((page) => {
  root.replaceChildren();
  render(page, root);
});

// The console: signs users in, admits admins and shows the page of the current route.

import { html } from "./lib/vendor.js";
import { href, useRoute } from "./lib/router.js";
import { signOut, signedIn } from "./lib/session.js";
import { problems } from "./lib/waiting.js";
import { Door, NotReached, enter } from "./components/door.js";
import { Guarded } from "./components/guarded.js";
import { later } from "./components/later.js";
import { Shell } from "./components/shell.js";
import { HomePage } from "./pages/home.js";
import { NotFoundPage } from "./pages/not-found.js";

const AccountPage = later(async () => (await import("./pages/account.js")).AccountPage);
const AccountsPage = later(async () => (await import("./pages/accounts.js")).AccountsPage);
const ActivityPage = later(async () => (await import("./pages/activity.js")).ActivityPage);
const CatalogPage = later(async () => (await import("./pages/catalog.js")).CatalogPage);
const FeaturePage = later(async () => (await import("./pages/feature.js")).FeaturePage);
const HealthPage = later(async () => (await import("./pages/health.js")).HealthPage);
const InboxPage = later(async () => (await import("./pages/inbox.js")).InboxPage);
const MessagePage = later(async () => (await import("./pages/message.js")).MessagePage);

/** The console of a signed-in admin. */
function Console({ name }) {
  const { segments, query } = useRoute();
  return html`<${Shell} place=${segments[0]} userName=${name}>
    <${Guarded} address=${href(segments, query)}>
      <${Page} segments=${segments} query=${query} />
    <//>
  <//>`;
}

function Page({ segments: [place, id, ...rest], query }) {
  switch (place) {
    case undefined:
      return html`<${HomePage} query=${query} />`;
    case "activity":
      return html`<${ActivityPage} query=${query} />`;
    case "accounts":
      return id
        ? html`<${AccountPage} key=${id} accountId=${id} rest=${rest} query=${query} />`
        : html`<${AccountsPage} query=${query} />`;
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

const NotAdmin = ({ name }) => html`<${Door} title="This console is for admins">
  <p>You're signed in as <strong>${name}</strong>, who isn't an admin.</p>
  <p>
    Ask your Scrip operator to add you to the group <code>admin</code>, then sign in again.
  </p>
  <button type="button" class="button primary" onClick=${signOut}>
    Sign in as someone else
  </button>
<//>`;

enter(async () => {
  const { name } = await signedIn();
  try {
    await problems();
  } catch (error) {
    return error.status === 403
      ? html`<${NotAdmin} name=${name} />`
      : html`<${NotReached} error=${error} />`;
  }
  return html`<${Console} name=${name} />`;
});

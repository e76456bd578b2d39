// The session: the OAuth code flow with PKCE, with the issuer in config.json.

import { UserManager, WebStorageStateStore } from "./vendor.js";

const SIGNED_OUT = "scrip:signed-out";

let manager;
let config;

/** The page's own address, which is the redirect URI. */
const home = () => location.origin + location.pathname;

/**
 * Return whether a user is signed in, after handling an issuer's response in the address.
 *
 * Throws the issuer's error.
 */
export async function begin() {
  const answer = await fetch(new URL("console/config.json", document.baseURI));
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  config = await answer.json();
  const store = new WebStorageStateStore({ store: sessionStorage });
  manager = new UserManager({
    authority: config.authority,
    client_id: config.client_id,
    scope: config.scope,
    redirect_uri: home(),
    post_logout_redirect_uri: home(),
    userStore: store,
    stateStore: store,
    extraQueryParams: config.audience ? { audience: config.audience } : {},
    automaticSilentRenew: true,
  });
  const query = new URLSearchParams(location.search);
  if (query.has("state") && (query.has("code") || query.has("error"))) {
    await handleCallback();
  }
  const user = await manager.getUser();
  return user !== null && (!user.expired || (await renewed(user)) !== null);
}

/** Return whether the stack is for tests: accounts can have clocks of their own. */
export const isDev = () => config.stage === "dev";

/** Return the address where users can get more credits, or null if the stack has none. */
export const topUpUrl = () => config.top_up_url;

/** Return whether the user signed out in this tab. */
export const hasSignedOut = () => sessionStorage.getItem(SIGNED_OUT) !== null;

/** Go to the issuer's sign-in page, then back to the current route. Never returns. */
export async function signIn() {
  sessionStorage.removeItem(SIGNED_OUT);
  await manager.signinRedirect({ state: { hash: location.hash } });
  return new Promise(() => {});
}

/** End the session, here and at the issuer. Never returns. */
export async function signOut() {
  sessionStorage.setItem(SIGNED_OUT, "yes");
  try {
    // Cognito's own names for these parameters.
    const extraQueryParams = { client_id: config.client_id, logout_uri: home() };
    await manager.signoutRedirect({ extraQueryParams });
  } catch {
    // Not every issuer has a sign-out page. End at least the local session.
    await manager.removeUser();
    location.replace(home());
  }
  return new Promise(() => {});
}

/** Return the access token, renewed if it has expired; null if the session has ended. */
export async function accessToken() {
  const user = await manager.getUser();
  if (!user) return null;
  if (!user.expired) return user.access_token;
  return (await renewed(user))?.access_token ?? null;
}

/** Return the user's `id`, and as `name` the email address, name or ID that the issuer has. */
export async function signedIn() {
  const { profile } = await manager.getUser();
  return { id: profile.sub, name: profile.email ?? profile.name ?? profile.sub };
}

/** Handle the issuer's response in the address, then restore the address. */
async function handleCallback() {
  const address = location.href;
  history.replaceState(null, "", home());
  const user = await manager.signinCallback(address);
  const hash = user?.state?.hash ?? "";
  if (hash) history.replaceState(null, "", home() + hash);
}

async function renewed(user) {
  if (!user.refresh_token) return null;
  try {
    return await manager.signinSilent();
  } catch {
    return null;
  }
}

// Who is signed in: the OAuth code flow with PKCE, against the issuer that config.json names.

import { UserManager, WebStorageStateStore } from "./vendor.js";

const SIGNED_OUT = "scrip:signed-out";

let manager;
let config;

/** The page's own address, where the issuer sends people back to. */
const home = () => location.origin + location.pathname;

/**
 * Tell whether somebody is signed in; takes up an answer of the issuer that the address carries.
 *
 * Throws what the issuer refused.
 */
export async function begin() {
  const answer = await fetch(new URL("config.json", document.baseURI));
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
    await takeUp();
  }
  const user = await manager.getUser();
  return user !== null && (!user.expired || (await renewed(user)) !== null);
}

/** Whether somebody signed out here, rather than came for the first time. */
export const hasSignedOut = () => sessionStorage.getItem(SIGNED_OUT) !== null;

/** Go to the issuer's page to sign in, and come back to where one is now. Never returns. */
export async function signIn() {
  sessionStorage.removeItem(SIGNED_OUT);
  await manager.signinRedirect({ state: { hash: location.hash } });
  return new Promise(() => {});
}

/** End the session, here and at the issuer. Never returns. */
export async function signOut() {
  sessionStorage.setItem(SIGNED_OUT, "yes");
  try {
    // Cognito wants to hear both of these under names of its own.
    const told = { client_id: config.client_id, logout_uri: home() };
    await manager.signoutRedirect({ extraQueryParams: told });
  } catch {
    // Not every issuer has a page for that. Then at least nothing is left here.
    await manager.removeUser();
    location.replace(home());
  }
  return new Promise(() => {});
}

/** The access token, renewed if it is about to end; null if nobody is signed in any more. */
export async function accessToken() {
  const user = await manager.getUser();
  if (!user) return null;
  if (!user.expired) return user.access_token;
  return (await renewed(user))?.access_token ?? null;
}

/** What the issuer calls whoever is signed in: an address, or else an id. */
export async function userName() {
  const { profile } = await manager.getUser();
  return profile.email ?? profile.name ?? profile.sub;
}

/** Read the issuer's answer off the address, and put the address back to what it was before. */
async function takeUp() {
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

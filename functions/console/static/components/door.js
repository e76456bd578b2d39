// The way into a page: people who are not signed in are sent to sign in first.

import { html, render } from "../lib/vendor.js";
import { begin, hasSignedOut, signIn } from "../lib/session.js";
import { Brand, product } from "./brand.js";
import { Failure } from "./states.js";

/** A page for people who cannot see the one that they wanted. */
export const Door = ({ title, children }) => html`<main class="door card">
  <p class="brand"><${Brand} /></p>
  <h1>${title}</h1>
  ${children}
</main>`;

const SignedOut = () => html`<${Door} title="You're signed out">
  <p>Your session in this browser tab has ended.</p>
  <button type="button" class="button primary" onClick=${signIn}>Sign in</button>
<//>`;

const NotSignedIn = ({ error }) => html`<${Door} title="Sign-in failed">
  <p>${error.error_description ?? error.message}</p>
  <p>The sign-in may have started in another tab, or it may have expired.</p>
  <button type="button" class="button primary" onClick=${signIn}>Try again</button>
<//>`;

/** A door for when the API does not let a page begin. */
export const NotReached = ({ error }) => html`<${Door} title=${`Can't reach ${product}`}>
  <${Failure} error=${error} retry=${() => location.reload()} />
<//>`;

/** Sign the user in, then show what `view()` promises: the page or a door. */
export async function enter(view) {
  const page = await opened(view);
  const root = document.getElementById("app");
  root.replaceChildren();
  render(page, root);
}

async function opened(view) {
  try {
    if (!(await begin())) {
      if (hasSignedOut()) return html`<${SignedOut} />`;
      await signIn();
    }
  } catch (error) {
    return html`<${NotSignedIn} error=${error} />`;
  }
  return view();
}

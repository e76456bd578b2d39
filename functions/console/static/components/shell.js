// The frame of the console's pages: brand, navigation, search, the signed-in user, the latest notice.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { href } from "../lib/router.js";
import { signOut } from "../lib/session.js";
import { Badge, useWaiting } from "./badges.js";
import { Brand } from "./brand.js";
import { Notice } from "./notice.js";
import { Palette } from "./palette.js";
import { SearchBox } from "./search-box.js";

const PLACES = [
  ["Home", []],
  ["Accounts", ["accounts"]],
  ["Activity", ["activity"]],
  ["Catalog", ["catalog", "plans"]],
  ["Inbox", ["inbox"]],
  ["Health", ["health"]],
];

/** The frame around a page; `place` is the first segment of the route, undefined at home. */
export function Shell({ place, userName, children }) {
  const main = useRef(null);
  const waiting = useWaiting(place);
  const [isPalette, setPalette] = useState(false);
  useEffect(() => {
    const pressed = (event) => {
      if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      // Another dialog may have unsaved input.
      if (!document.querySelector("dialog[open]")) setPalette(true);
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const skip = (event) => {
    event.preventDefault();
    main.current.focus();
  };
  return html`
    <a class="skip" href="#main" onClick=${skip}>Skip to content</a>
    <header class="bar-top">
      <div class="bar-inside">
        <a class="brand" href=${href([])}><${Brand} /></a>
        <nav aria-label="Main">
          ${PLACES.map(
            ([name, segments]) => html`<a
              key=${name}
              href=${href(segments)}
              aria-current=${segments[0] === place ? "page" : undefined}
              >${name}<${Badge} count=${waiting[segments[0]]} /></a
            >`,
          )}
        </nav>
        <${SearchBox} open=${() => setPalette(true)} />
        <div class="who">
          <span class="who-name" title=${`Signed in as ${userName}`}>${userName}</span>
          <button type="button" class="button small quiet" onClick=${signOut}>Sign out</button>
        </div>
      </div>
    </header>
    <main id="main" ref=${main} tabindex="-1">${children}</main>
    ${isPalette && html`<${Palette} close=${() => setPalette(false)} />`}
    <${Notice} />
  `;
}

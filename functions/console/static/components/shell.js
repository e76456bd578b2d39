// The frame of the console's pages: brand, navigation, search, the signed-in user, the latest notice.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { go, href } from "../lib/router.js";
import { onNotice } from "../lib/notice.js";
import { foundAt } from "../lib/search.js";
import { signOut } from "../lib/session.js";
import { Badge, useWaiting } from "./badges.js";
import { Brand } from "./brand.js";
import { Notice } from "./notice.js";
import { KEYS, Palette } from "./palette.js";

const PLACES = [
  ["Accounts", ["accounts"]],
  ["Catalog", ["catalog", "plans"]],
  ["Inbox", ["inbox"]],
  ["Health", ["health"]],
];

/** The frame around a page; `place` is the first segment of the route. */
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
        <a class="brand" href=${href(["accounts"])}><${Brand} /></a>
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
        <${Search} open=${() => setPalette(true)} />
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

/** Find an account by email address or ID, from any page; the / key moves the focus here. */
function Search({ open }) {
  const input = useRef(null);
  const [text, setText] = useState("");
  useEffect(() => {
    const pressed = (event) => {
      const isTyping = event.target.closest?.("input, textarea, select, dialog");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      input.current.focus();
      input.current.select();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const search = (event) => {
    event.preventDefault();
    const wanted = text.trim();
    if (!wanted) return;
    setText("");
    go(foundAt(wanted));
  };
  return html`<form role="search" onSubmit=${search}>
    <input
      ref=${input}
      type="search"
      value=${text}
      onInput=${(event) => setText(event.target.value)}
      placeholder="Email or account ID"
      aria-label="Find an account by email or ID"
      aria-keyshortcuts="/"
      autocomplete="off"
      autocapitalize="none"
      spellcheck=${false}
    />
    <button type="button" class="keys" aria-keyshortcuts="Control+K Meta+K" aria-haspopup="dialog" onClick=${open}>
      <span class="unseen">Commands </span><kbd>${KEYS}</kbd>
    </button>
  </form>`;
}

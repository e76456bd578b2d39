// The command palette: pages, actions of the current page, and what search finds, by keyboard.

import { html, useLayoutEffect, useRef, useState } from "../lib/vendor.js";
import { STATES } from "../lib/accounts.js";
import { commands } from "../lib/commands.js";
import { go, href } from "../lib/router.js";
import { useSuggestions } from "../lib/search.js";
import { signOut } from "../lib/session.js";
import { Options, moved, optionId } from "./options.js";

const LIST = "palette-list";

const PAGES = [
  { name: "Home", to: href([]) },
  { name: "Accounts", to: href(["accounts"]) },
  ...STATES.map(({ name, state }) => ({
    name: `Accounts: ${name.toLowerCase()}`,
    to: href(["accounts"], { state }),
  })),
  { name: "Activity", to: href(["activity"]) },
  { name: "Plans", to: href(["catalog", "plans"]) },
  { name: "Features", to: href(["catalog", "features"]) },
  { name: "Inbox", to: href(["inbox"]) },
  { name: "Unmatched messages", to: href(["inbox"], { status: "unmatched" }) },
  { name: "Failed messages", to: href(["inbox"], { status: "failed" }) },
  { name: "Health", to: href(["health"]) },
].map((page) => ({ hint: "Go to", ...page }));

const SIGN_OUT = { name: "Sign out", act: signOut };

/** The name of the keys that open it. */
export const KEYS = /Mac|iP/.test(navigator.platform) ? "⌘K" : "Ctrl K";

/** Open while it is rendered; `close` is called when something was chosen, or nothing. */
export function Palette({ close }) {
  const dialog = useRef(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  // Before the next key arrives.
  useLayoutEffect(() => {
    dialog.current.showModal();
    addEventListener("hashchange", close);
    return () => {
      removeEventListener("hashchange", close);
      dialog.current?.close();
    };
  }, []);
  const wanted = text.trim();
  const found = useSuggestions(wanted);
  const items = [...matching(wanted), ...(found.data ?? [])];
  const marked = Math.min(at, items.length - 1);
  const choose = ({ act, to }) => {
    close();
    // After the dialog has given the focus back.
    setTimeout(() => (to ? go(to) : act()));
  };
  const pressed = (event) => {
    const next = moved(event, marked, items.length);
    if (next !== null) setAt(next);
    else if (event.key === "Enter" && items[marked]) choose(items[marked]);
    else return;
    event.preventDefault();
  };
  return html`<dialog class="palette" aria-label="Commands" ref=${dialog} onClose=${close}>
    <input
      role="combobox"
      aria-label="Search everything or run a command"
      aria-expanded="true"
      aria-controls=${LIST}
      aria-activedescendant=${items[marked] && optionId(LIST, marked)}
      placeholder="Email, name, ID, page, or action"
      value=${text}
      autofocus
      autocomplete="off"
      autocapitalize="none"
      spellcheck=${false}
      onInput=${(event) => {
        setText(event.target.value);
        setAt(0);
      }}
      onKeyDown=${pressed}
    />
    <${Options} id=${LIST} items=${items} marked=${marked} mark=${setAt} choose=${choose} />
    <p class="palette-foot" role="status">${statusOf(wanted, items, found)}</p>
  </dialog>`;
}

/** Return the actions and pages whose names have a word that begins with each typed word. */
function matching(wanted) {
  const typed = wanted.toLowerCase().split(/\s+/);
  return [...commands(), ...PAGES, SIGN_OUT].filter(({ name }) => {
    const names = name.toLowerCase().split(" ");
    return typed.every((word) => names.some((one) => one.startsWith(word)));
  });
}

function statusOf(wanted, items, { isLoading, error }) {
  if (error) return error.message;
  if (isLoading && wanted) return "Searching…";
  if (items.length === 0) return "Nothing matches. Type at least 3 characters of an email, a name, an ID, or a reference.";
  return "↑ ↓ to choose, Enter to open, Esc to close";
}

// The search box of every page, with suggestions while somebody types.

import { html, useEffect, useRef, useState } from "../lib/vendor.js";
import { go, href } from "../lib/router.js";
import { meant, useSuggestions } from "../lib/search.js";
import { Options, moved, optionId } from "./options.js";
import { KEYS } from "./palette.js";

const LIST = "search-list";

/**
 * The / key moves the focus here, and `open` opens the command palette.
 *
 * Enter opens the marked suggestion, or what the text clearly means, or else the list of accounts
 * that begin like it. If it comes before the suggestions do, it waits for them.
 */
export function SearchBox({ open }) {
  const input = useRef(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(-1);
  const [isShown, setShown] = useState(false);
  const [isAsked, setAsked] = useState(false);
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
  const wanted = text.trim();
  const { data: found = [], error, isLoading } = useSuggestions(wanted);
  const all = { name: `Accounts that begin with “${wanted}”`, to: href(["accounts"], { q: wanted }) };
  const items = [...found, all];
  const leave = (to) => {
    setText("");
    setShown(false);
    setAsked(false);
    go(to);
  };
  useEffect(() => {
    if (isAsked && !isLoading) leave(meant(wanted, found) ?? all.to);
  }, [isAsked, isLoading]);
  const typed = (event) => {
    setText(event.target.value);
    setAt(-1);
    setAsked(false);
    setShown(true);
  };
  const pressed = (event) => {
    const next = moved(event, at < 0 && event.key === "ArrowUp" ? 0 : at, items.length);
    if (next !== null && wanted) {
      event.preventDefault();
      setShown(true);
      setAt(next);
    } else if (event.key === "Escape" && isShown && wanted) {
      event.preventDefault();
      setShown(false);
      setAt(-1);
    }
  };
  const submitted = (event) => {
    event.preventDefault();
    if (!wanted) return;
    if (isShown && items[at]) leave(items[at].to);
    else setAsked(true);
  };
  const isOpen = isShown && wanted !== "" && !isLoading && !error;
  return html`<form role="search" onSubmit=${submitted}>
    <input
      ref=${input}
      type="search"
      role="combobox"
      value=${text}
      onInput=${typed}
      onKeyDown=${pressed}
      onFocus=${() => setShown(true)}
      onBlur=${() => setShown(false)}
      placeholder="Search"
      aria-label="Search accounts, payments, entries, references, and messages"
      aria-keyshortcuts="/"
      aria-expanded=${isOpen}
      aria-controls=${LIST}
      aria-autocomplete="list"
      aria-activedescendant=${isOpen && items[at] ? optionId(LIST, at) : undefined}
      autocomplete="off"
      autocapitalize="none"
      spellcheck=${false}
    />
    <button type="button" class="keys" aria-keyshortcuts="Control+K Meta+K" aria-haspopup="dialog" onClick=${open}>
      <span class="unseen">Commands </span><kbd>${KEYS}</kbd>
    </button>
    <div class="search-found" hidden=${!isOpen}>
      <${Options} id=${LIST} items=${items} marked=${at} mark=${setAt} choose=${({ to }) => leave(to)} />
    </div>
    <span class="unseen" role="status">${isOpen && `${found.length} found`}</span>
  </form>`;
}

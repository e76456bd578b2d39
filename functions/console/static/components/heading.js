// A page's heading. It sets the document's title and takes the focus after navigation.

import { html, useEffect, useRef } from "../lib/vendor.js";
import { product } from "./brand.js";

let isFirstPage = true;

/** The h1 of a page. `title` is the document's title; the focus moves whenever `place` changes. */
export function Heading({ title, place = title, children }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} · ${product}`;
  }, [title]);
  useEffect(() => {
    // The first page leaves the focus at the top, as the browser does.
    if (!isFirstPage) {
      heading.current.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    isFirstPage = false;
  }, [place]);
  return html`<h1 ref=${heading} tabindex="-1">${children ?? title}</h1>`;
}

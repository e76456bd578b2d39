// A page's heading, which names the page in the browser and takes the focus when one comes to it.

import { html, useEffect, useRef } from "../lib/vendor.js";

let isFirstPage = true;

/** The h1 of a page. `title` names the page where the heading alone would not; `place` its address. */
export function Heading({ title, place = title, children }) {
  const heading = useRef(null);
  useEffect(() => {
    document.title = `${title} · Scrip`;
  }, [title]);
  useEffect(() => {
    // Whoever has just opened the console starts at its top, as in any page.
    if (!isFirstPage) {
      heading.current.focus({ preventScroll: true });
      scrollTo(0, 0);
    }
    isFirstPage = false;
  }, [place]);
  return html`<h1 ref=${heading} tabindex="-1">${children ?? title}</h1>`;
}

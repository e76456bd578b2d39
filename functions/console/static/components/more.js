// The end of a paginated list, which loads the next page on scrolling or by a button.

import { html, useEffect, useRef } from "../lib/vendor.js";
import { counted } from "../lib/format.js";
import { Failure, Loading } from "./states.js";

/** The end of `pages`: loading, error, button or total; `isEndless` loads more on scrolling. */
export function More({ pages, noun, plural, label = "Show more", isEndless = false }) {
  const end = useRef(null);
  const { items, isComplete, isLoading, error, more } = pages;
  useEffect(() => {
    if (!isEndless || isComplete || isLoading || error) return undefined;
    const seen = ([sight]) => sight.isIntersecting && more();
    const observer = new IntersectionObserver(seen, { rootMargin: "400px" });
    observer.observe(end.current);
    return () => observer.disconnect();
  });
  return html`<div class="more" ref=${end}>
    ${error && html`<${Failure} error=${error} retry=${items.length ? more : pages.reload} />`}
    ${isLoading && html`<${Loading} what=${plural ?? `${noun}s`} lines=${items.length ? 2 : 6} />`}
    ${
      !error &&
      !isLoading &&
      !isComplete &&
      items.length === 0 &&
      html`<p class="fine">No matches yet. Older ${plural ?? `${noun}s`} may match.</p>`
    }
    ${
      !error &&
      !isLoading &&
      !isComplete &&
      html`<button type="button" class="button" onClick=${more}>${label}</button>`
    }
    ${
      isComplete &&
      items.length > 0 &&
      html`<p class="fine">${counted(items.length, noun, plural)}</p>`
    }
  </div>`;
}

// The logo, and the name of the page's product.

import { html } from "../lib/vendor.js";

/** What the page calls itself: Scrip for staff, Your credits for users. */
export const product = document.querySelector("meta[name=application-name]").content;

/** The logo and the name. */
export const Brand = () => html`
  <svg viewBox="0 0 32 32" aria-hidden="true">
    <rect width="32" height="32" rx="8" />
    <path d="M8 11h16M8 16h11M8 21h6" />
    <circle cx="22.5" cy="20.5" r="3" />
  </svg>
  ${product}
`;

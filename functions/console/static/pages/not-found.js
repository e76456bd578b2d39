// The page of an unknown route.

import { html } from "../lib/vendor.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty } from "../components/states.js";

/** Say that the page does not exist, with a link to one that does. */
export const NotFoundPage = () => html`
  <${Heading} title="Page not found" />
  <${Empty} title="There's nothing at this address">
    <a href=${href(["accounts"])}>Go to accounts</a>
  <//>
`;

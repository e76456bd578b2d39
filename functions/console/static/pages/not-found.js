// The page of an unknown route.

import { html } from "../lib/vendor.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty } from "../components/states.js";

/** Say that the page does not exist, with a link to one that does. */
export const NotFoundPage = () => html`
  <${Heading} title="Nothing is here" />
  <${Empty} title="This address leads nowhere">
    <a href=${href(["accounts"])}>Go to the accounts</a>
  <//>
`;

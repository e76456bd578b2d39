// The page of an address that leads nowhere.

import { html } from "../lib/vendor.js";
import { href } from "../lib/router.js";
import { Heading } from "../components/heading.js";
import { Empty } from "../components/states.js";

/** Says so, and where to go. */
export const NotFoundPage = () => html`
  <${Heading} title="Nothing is here" />
  <${Empty} title="This address leads nowhere">
    <a href=${href(["accounts"])}>Go to the accounts</a>
  <//>
`;

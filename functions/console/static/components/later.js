// Pages whose modules are loaded when they are first shown, so that the console opens soon.

import { html } from "../lib/vendor.js";
import { NetworkError } from "../lib/api.js";
import { useLoaded } from "../lib/loading.js";
import { Failure, Loading } from "./states.js";

/** Return a component that stands for the one that `load()` resolves to. */
export function later(load) {
  let read = null;
  const once = () => {
    read ??= load().catch((error) => {
      throw new NetworkError(error.message, { cause: error });
    });
    return read;
  };
  return function Later(props) {
    const { data: Page, error } = useLoaded(once, []);
    // The browser does not ask again for a module that it could not load.
    if (error) return html`<${Failure} error=${error} retry=${() => location.reload()} />`;
    return Page ? html`<${Page} ...${props} />` : html`<${Loading} what="the page" />`;
  };
}

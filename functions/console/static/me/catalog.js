// Plans and prices as everyone may see them, read once.

import { get } from "../lib/api.js";

let read = null;

/** Return the active plans and features. */
export function catalog() {
  read ??= get("catalog");
  read.catch(() => {
    read = null;
  });
  return read;
}

/** Return the active features. */
export const features = async () => (await catalog()).features;

// Plans and features as admins see them, cached until one is edited in this console.

import { get } from "./api.js";

let plansRead = null;
let featuresRead = null;

/** Return all plans, including inactive ones. */
export function plans() {
  plansRead ??= get("admin/plans").then((answer) => answer.plans);
  plansRead.catch(forgetCatalog);
  return plansRead;
}

/** Return all features, including inactive ones. */
export function features() {
  featuresRead ??= get("admin/features").then((answer) => answer.features);
  featuresRead.catch(forgetCatalog);
  return featuresRead;
}

/** Read the current item of a shelf of the catalog page; undefined if it does not exist. */
export async function itemOf(shelf, id) {
  const answer = await get(`admin/${shelf.name}`);
  return answer[shelf.name].find((one) => one[shelf.id] === id);
}

/** Clear the cache. */
export function forgetCatalog() {
  plansRead = null;
  featuresRead = null;
}

// Plans and features as admins see them, read once and kept until somebody edits one here.

import { get } from "./api.js";

let plansRead = null;
let featuresRead = null;

/** All plans, by id; inactive ones too. */
export function plans() {
  plansRead ??= get("admin/plans").then((answer) => answer.plans);
  plansRead.catch(forgetCatalog);
  return plansRead;
}

/** All features, by id; inactive ones too. */
export function features() {
  featuresRead ??= get("admin/features").then((answer) => answer.features);
  featuresRead.catch(forgetCatalog);
  return featuresRead;
}

/** The item of a shelf of the catalog page as it is now; undefined if there is none. */
export async function itemOf(shelf, id) {
  const answer = await get(`admin/${shelf.name}`);
  return answer[shelf.name].find((one) => one[shelf.id] === id);
}

/** Read the catalog anew next time. */
export function forgetCatalog() {
  plansRead = null;
  featuresRead = null;
}

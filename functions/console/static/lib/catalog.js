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

/** Read the catalog anew next time. */
export function forgetCatalog() {
  plansRead = null;
  featuresRead = null;
}

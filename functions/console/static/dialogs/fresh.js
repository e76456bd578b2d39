// Reads an account as it is now: what a change will do is told from that, not from an old page.

import { get, path } from "../lib/api.js";
import { forgetCatalog, plans } from "../lib/catalog.js";

/** Its account, its quota and all plans, as the account's page has them. */
export async function readAnew(accountId) {
  forgetCatalog();
  const [account, quota, allPlans] = await Promise.all([
    get(path`accounts/${accountId}`),
    get(path`accounts/${accountId}/quota`),
    plans(),
  ]);
  return { account, quota, plans: allPlans };
}

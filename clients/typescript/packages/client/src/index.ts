/**
 * Charge for what your app does.
 *
 *     const scrip = new Scrip({ url, clientCredentials });
 *     const image = await scrip.account(id).charge({ feature: "image-generation" }, draw);
 *
 * The credits are taken before the block, and given back if it throws. `hold` sets credits aside
 * for a block that reports what it used; `lease` is for thousands of uses a second.
 */

export { Account } from "./account.js";
export type { Log } from "./caller.js";
export type { Charge, ChargeUse, FailOpen, RefundPart } from "./charge.js";
export * from "./errors.js";
export type { HoldOptions } from "./held-credits.js";
export type { Hold } from "./hold.js";
export type { Lease, LeaseOptions } from "./lease.js";
export type {
  Account as AccountAnswer,
  Balance,
  Batch,
  Catalog,
  EntriesQuery,
  Entry,
  Feature,
  Held,
  HoldPosting,
  HoldState,
  HoldUse,
  Keyed,
  OneEntry,
  Plan,
  Posting,
  Quote,
  Schemas,
  Statement,
  StatementQuery,
  Upcoming,
  Usage,
  UsageQuery,
  Use,
} from "./models.js";
export { isUserError, problemResponse } from "./problems.js";
export type { Retries } from "./retries.js";
export { clientFor, Scrip, type ScripOptions } from "./scrip.js";
export type { ClientCredentials, Token } from "./tokens.js";
export { type Meters, priceOf, type ProviderUsage, type Used } from "./used.js";

// Entries of the ledger: their descriptions, and how to find related ones.

import { get, path } from "./api.js";
import { credits, number, words } from "./format.js";
import { calculated, prices } from "./prices.js";
import { href } from "./router.js";

/** All types of entries. */
export const TYPES = [
  "usage",
  "refund",
  "signup",
  "plan",
  "rollover",
  "purchase",
  "admin_grant",
  "admin_deduct",
  "promo",
  "referral",
  "expiry",
  "clawback",
  "reset",
  "hold",
  "release",
  "debt_settled",
  "freeze",
  "unfreeze",
];

const SAID = {
  signup: "Welcome credits",
  purchase: "Credits purchased",
  admin_grant: "Credits added by an admin",
  admin_deduct: "Credits deducted by an admin",
  promo: "Promotional credits",
  referral: "Referral credits",
  expiry: "Unused credits expired",
  plan: "Plan credits",
  rollover: "Rolled over from last period",
  clawback: "Reversed with a payment",
  reset: "Usage reset",
  hold: "Hold placed",
  release: "Hold released",
  debt_settled: "Debt paid",
  freeze: "Account frozen",
  unfreeze: "Account unfrozen",
};

/** Describe an entry in a few words: Chat × 3, Refund of Chat, Credits purchased. */
export function said(entry, features) {
  const name = entry.feature && nameOf(entry.feature, features);
  switch (entry.type) {
    case "usage":
      return (name ?? "Custom amount") + (entry.quantity > 1 ? ` × ${number(entry.quantity)}` : "");
    case "refund":
      return `Refund of ${name ?? "a custom amount"}`;
    default:
      return SAID[entry.type] ?? words(entry.type);
  }
}

const GRANTS = { signup: "Welcome", admin: "Added by an admin" };

/** Name a kind of grant: Plan, Purchase, Welcome. */
export const grantName = (kind) => GRANTS[kind] ?? words(kind);

/** Return a feature's name, or its ID if it is no longer in the catalog. */
export const nameOf = (featureId, features) =>
  features.find((feature) => feature.feature_id === featureId)?.name ?? featureId;

const ACTORS = {
  user: "the user",
  service: "the app",
  admin: "an admin",
  system: "Scrip",
  webhook: "a provider",
};

/** Actors whose IDs are people's. */
export const PEOPLE = ["user", "admin"];

/** Describe the kind of an actor. */
export const actorKind = ({ type }) => ACTORS[type] ?? words(type);

/**
 * Explain the cost of a use: 150 credits: 1,200 input at 3 per 80 + 350 output at 3 per 10.
 *
 * A use without meters does not keep its price: `then` is the feature as `versionOf` found it.
 */
export function priced(entry, features, then) {
  if (entry.type !== "usage") return null;
  if (entry.feature === null) return `${credits(entry.cost)}, set by the app`;
  const version = `price version ${entry.feature_version}`;
  const today = features.find((one) => one.feature_id === entry.feature);
  const since =
    today && today.version !== entry.feature_version
      ? `. Now version ${today.version}: ${prices(today).join(", ")}`
      : "";
  if (entry.price) {
    return `${credits(entry.cost)}: ${calculated(entry.usage, entry.price)}, at ${version}${since}`;
  }
  const unit = (then ?? today)?.unit ?? "unit";
  const used = entry.quantity === 1 ? `1 ${unit}` : `${number(entry.quantity)} × ${unit}`;
  const price = then ? `: ${prices(then).join(", ")}` : "";
  return `${credits(entry.cost)} for ${used}, at ${version}${price}${since}`;
}

/**
 * Return the version of a feature that priced a use.
 *
 * Null if the use keeps its price or had none, or if the feature's item cannot be read any more.
 */
export async function versionOf(entry, features, signal) {
  if (entry.type !== "usage" || entry.feature === null || entry.price) return null;
  const isIt = ({ feature_id: id, version }) =>
    id === entry.feature && version === entry.feature_version;
  const today = features.find(isIt);
  if (today) return today;
  try {
    const { versions } = await get(path`admin/features/${entry.feature}/versions`, { signal });
    return versions.find(isIt) ?? null;
  } catch (error) {
    if (error.status !== 404) throw error;
    return null;
  }
}

/** Return the address of an entry's page. */
export const entryHref = (accountId, entryId) => href(["accounts", accountId, "entries", entryId]);

const PAGE = 1000;
const PAGES_MAX = 20;

/**
 * Find the entry that created a grant, going back through the ledger; null if that is too far.
 *
 * A grant's ID contains the seq of its entry: g12.
 */
export async function originOf(accountId, grantId) {
  const seq = Number(grantId.slice(1));
  let cursor = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await get(path`accounts/${accountId}/entries`, {
      query: { limit: PAGE, cursor },
    });
    const found = answer.entries.find((entry) => entry.seq === seq);
    if (found) return found;
    cursor = answer.cursor;
    if (cursor === null) break;
  }
  return null;
}

/** Find the refunds of a use among the later entries of its feature. */
export async function refundsOf(accountId, entry, signal) {
  const found = [];
  let cursor = null;
  for (let page = 0; page < PAGES_MAX; page += 1) {
    const answer = await get(path`accounts/${accountId}/entries`, {
      query: { type: "refund", feature: entry.feature, from: entry.recorded_at, cursor },
      signal,
    });
    found.push(...answer.entries.filter(({ refunds }) => refunds === entry.entry_id));
    cursor = answer.cursor;
    if (cursor === null) break;
  }
  return found;
}

// What happens to credits, in the words of the people who use them.

import { nameOf } from "../lib/entries.js";
import { counted, credits, number, words } from "../lib/format.js";
import { calculated } from "../lib/prices.js";

const SOURCES = {
  rollover: "Carried over from last month",
  plan: "Your plan",
  signup: "Welcome credits",
  promo: "Promotion",
  referral: "Referral",
  admin: "Added by support",
  refund: "Refund",
  purchase: "Bought",
};

/** Say where credits came from, by their kind. */
export const sourceOf = (kind) => SOURCES[kind] ?? words(kind);

const CHANGES = {
  signup: "Welcome credits",
  purchase: "Credits bought",
  admin_grant: "Credits added by support",
  admin_deduct: "Credits removed by support",
  promo: "Promotion",
  referral: "Referral",
  expiry: "Unused credits expired",
  plan: "Credits from your plan",
  rollover: "Credits carried over",
  clawback: "Payment returned",
  reset: "Monthly credits refilled",
  hold: "Set aside",
  release: "No longer set aside",
  debt_settled: "Paid toward what you owed",
  freeze: "Account paused",
  unfreeze: "Account active again",
};

/** What a use of no feature is called. */
export const OTHER = "Other use";

/** Describe a kind of change; a use or a refund by its feature. */
export function changeOf({ type, feature }, features) {
  const name = feature ? nameOf(feature, features) : null;
  if (type === "usage") return name ?? OTHER;
  if (type === "refund") return name ? `Refund: ${name}` : "Refund";
  return CHANGES[type] ?? words(type);
}

/** Say what a use was charged for: 3 images, or 1,200 input at 1 per 4,000. Null for all else. */
export function priceOf({ type, feature, quantity, cost, usage, price, unlimited }, features) {
  if (type !== "usage") return null;
  const unit = features.find((one) => one.feature_id === feature)?.unit ?? "use";
  const each = quantity > 1 && cost % quantity === 0 ? ` at ${number(cost / quantity)} each` : "";
  const what = price ? calculated(usage, price) : feature && counted(quantity, unit) + each;
  const free = unlimited && `${credits(cost)}, included in your plan`;
  return [what, free].filter(Boolean).join(": ") || null;
}

/** List what happens at an instant to come, each as a few words; `nameOf(planId)` names a plan. */
export const happenings = (nameOf) => (before, then) =>
  [
    then.plan_id !== before.plan_id && `your plan changes to ${nameOf(then.plan_id)}`,
    then.expired > 0 && counted(then.expired, "unused credit expires", "unused credits expire"),
    then.granted > 0 && counted(then.granted, "new credit arrives", "new credits arrive"),
    then.released > 0 &&
      counted(then.released, "credit is no longer set aside", "credits are no longer set aside"),
    then.granted === 0 && then.begins_period && "a new month begins",
  ].filter(Boolean);

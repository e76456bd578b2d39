/** What was used of a feature: its units, counts of its meters, or what a provider says. */

import type { Feature, Schemas } from "./models.js";

/** Counts of a feature's meters, such as `input` and `output` tokens. */
export type Meters = Readonly<Record<string, number>>;

/** The usage object that a provider answered, of which Scrip makes counts of meters. */
export interface ProviderUsage {
  readonly usage_of: Schemas["Provider"];
  readonly usage: object;
}

/** Units of a feature without meters, or credits where there is no feature; or one of the above. */
export type Used = number | Meters | ProviderUsage;

/** What was used of a hold: of its own feature, or of one of its lines' features. */
export interface Share {
  readonly feature?: string | undefined;
  readonly used: Used;
}

/** What is charged together, in this order: an entry each, all of them or none. */
export type Shares = readonly Share[];

/** @throws {RangeError} a count is not a whole number from 0. */
export function check(used: Used): void {
  if (isOfProvider(used)) return;
  for (const count of countsOf(used)) {
    if (!Number.isSafeInteger(count) || count < 0) {
      throw new RangeError(`units must be a whole number from 0, not ${count}`);
    }
  }
}

export function isNothing(used: Used): boolean {
  return !isOfProvider(used) && countsOf(used).every((count) => count === 0);
}

/**
 * Return both together.
 *
 * @throws {RangeError} one has units and the other meters, or one is what a provider says.
 */
export function sum(one: Used | undefined, other: Used): Used {
  if (one === undefined || one === 0) return other;
  return combined(one, other, (a, b) => a + b);
}

/**
 * Return what has not been captured of what was used; never less than nothing.
 *
 * @throws {RangeError} one has units and the other meters, or one is what a provider says.
 */
export function rest(used: Used, captured: Used | undefined): Used {
  if (captured === undefined) return used;
  if (captured === used) return 0;
  return combined(used, captured, (a, b) => Math.max(0, a - b));
}

/** Return what was used as fields of the API. */
export function fieldsOf(used: Used, hasFeature: boolean) {
  if (typeof used === "number") return hasFeature ? { quantity: used } : { amount: used };
  if (isOfProvider(used)) return { usage_of: used.usage_of, usage: { ...used.usage } };
  const counted = Object.entries(used).filter(([, count]) => count > 0);
  return { usage: Object.fromEntries(counted) };
}

/**
 * Return the credits that a use costs: the exact sum, rounded up once. Undefined if the feature has
 * no price for it.
 */
export function priceOf(feature: Feature, used: number | Meters): number | undefined {
  const { cost, per, meters } = feature;
  if (typeof used === "number") return cost === null ? undefined : Math.ceil((used * cost) / per);
  let numerator = 0n;
  let denominator = 1n;
  for (const [meter, count] of Object.entries(used)) {
    const price = Object.hasOwn(meters, meter) ? meters[meter] : undefined;
    if (price === undefined) return undefined;
    numerator = numerator * BigInt(price.per) + BigInt(count * price.cost) * denominator;
    denominator *= BigInt(price.per);
  }
  return Number((numerator + denominator - 1n) / denominator);
}

export function isOfProvider(used: Used): used is ProviderUsage {
  return typeof used === "object" && typeof used["usage"] === "object";
}

function countsOf(used: number | Meters): number[] {
  return typeof used === "number" ? [used] : Object.values(used);
}

function combined(one: Used, other: Used, combine: (a: number, b: number) => number): Used {
  if (typeof one === "number" && typeof other === "number") return combine(one, other);
  if (typeof one === "number" || typeof other === "number" || isOfProvider(one)) {
    throw new RangeError("a hold is used in units, in meters or by what a provider says, not both");
  }
  if (isOfProvider(other)) return combined(other, one, combine);
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  const counts = Array.from(names, (name) => [name, combine(one[name] ?? 0, other[name] ?? 0)]);
  return Object.fromEntries(counts) as Meters;
}

// What uses cost, in words.

import { counted, credits, number, words } from "./format.js";

const meterName = (meter) => words(meter).toLowerCase();

const counts = (per, what) => (per === 1 ? what : `${number(per)} ${what}`);

/** List a feature's prices: 5 credits per use, or for a meter 1 credit per 4,000 input. */
export function prices({ cost, per, unit, meters }) {
  if (cost !== null) return [`${credits(cost)} per ${per === 1 ? unit : counted(per, unit)}`];
  return Object.entries(meters).map(
    ([meter, price]) => `${credits(price.cost)} per ${counts(price.per, meterName(meter))}`,
  );
}

/** List what meters counted: 1,200 input, 350 output. */
export const metered = (meters) =>
  Object.entries(meters)
    .filter(([, count]) => count > 0)
    .map(([meter, count]) => `${number(count)} ${meterName(meter)}`)
    .join(", ");

const rate = ({ cost, per }) => number(cost) + (per === 1 ? " each" : ` per ${number(per)}`);

/** Explain a cost by meters: 1,200 input at 1 per 4,000 + 350 output at 1 per 500, rounded up. */
export function calculated(usage, price) {
  const parts = Object.entries(usage)
    .filter(([, count]) => count > 0)
    .map(([meter, count]) => ({ meter, count, ...price[meter] }));
  const sum = parts
    .map((part) => `${number(part.count)} ${meterName(part.meter)} at ${rate(part)}`)
    .join(" + ");
  return isWhole(parts) ? sum : `${sum}, rounded up`;
}

/** Return whether a sum of fractions is a whole number; exact, whatever the size. */
function isWhole(parts) {
  let [top, bottom] = [0n, 1n];
  for (const { count, cost, per } of parts) {
    top = top * BigInt(per) + BigInt(count) * BigInt(cost) * bottom;
    bottom *= BigInt(per);
  }
  return top % bottom === 0n;
}

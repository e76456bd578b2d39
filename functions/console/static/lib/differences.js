// The differences between two objects, field by field, for audit records and conflicts.

import { number } from "./format.js";

/** List the fields that differ: `{field, before, after}`; nested names are joined: limits.seats. */
export function differences(before, after) {
  const [old, now] = [flat(before), flat(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((field) => old[field] !== now[field])
    .map((field) => ({ field, before: old[field], after: now[field] }));
}

function flat(value, prefix = "") {
  const fields = {};
  for (const [name, part] of Object.entries(value)) {
    const isNested = part !== null && typeof part === "object" && !Array.isArray(part);
    if (isNested) Object.assign(fields, flat(part, `${prefix}${name}.`));
    else fields[prefix + name] = Array.isArray(part) ? part.join(", ") : part;
  }
  return fields;
}

/** Format a field's value. */
export function shown(value) {
  if (value === undefined || value === null || value === "") return "none";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value === "number") return number(value);
  return String(value);
}

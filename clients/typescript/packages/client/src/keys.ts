/** Idempotency keys: 1 to 128 of `A-Z a-z 0-9 . _ -`, unique within an account. */

import type { Entry } from "./models.js";

const KEY_LENGTH_MAX = 128;
const KEY = /^[A-Za-z0-9._-]{1,128}$/;

/** Prefix of the id of every entry and hold that a user's token created. */
export const USER_PREFIX = "user:";

/**
 * Return a key that the app chose, if it is valid, or else a unique one.
 *
 * @throws {RangeError} it is invalid; `.` and `..` cannot be part of a URL path.
 */
export function keyOf(chosen: string | undefined): string {
  if (chosen === undefined) return crypto.randomUUID();
  if (!KEY.test(chosen) || chosen === "." || chosen === "..") {
    throw new RangeError(`an idempotency key is 1 to 128 of A-Z a-z 0-9 . _ -, not "${chosen}"`);
  }
  return chosen;
}

/**
 * Return a key made of another key and a suffix: always the same, and never too long.
 *
 * The Python client makes the same one, so that either can take over the other's job.
 */
export async function derivedKey(key: string, suffix: string): Promise<string> {
  if (key.length + suffix.length <= KEY_LENGTH_MAX) return key + suffix;
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(key));
  const hex = Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0"));
  const digest = hex.join("").slice(0, 32);
  return `${key.slice(0, KEY_LENGTH_MAX - digest.length - suffix.length - 1)}.${digest}${suffix}`;
}

/**
 * Whether the app, and not a user on their own, created an entry.
 *
 * `ownId` is the id of something the app created; its prefix shows whether the app itself uses a
 * user's token.
 */
export function isByApp(entry: Entry, ownId: string): boolean {
  return ownId.startsWith(USER_PREFIX) || entry.actor.type !== "user";
}

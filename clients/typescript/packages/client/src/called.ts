/** What was called, as the ledger keeps it with a charge. */

import type { Metadata } from "./held-credits.js";

/** As much of a model's name as usage is counted by. */
const CHARACTERS_MAX = 128;

/** Scrip takes a little more, for what a capture may add. */
const METADATA_BYTES_MAX = 4_000;

/** Return metadata that names what was called, unless it does or has no room. */
export function withCalled<Given extends Metadata | null | undefined>(
  metadata: Given,
  name: "model" | "endpoint",
  called: string | undefined,
): Given | Metadata {
  if (!called) return metadata;
  const named = { [name]: called.slice(0, CHARACTERS_MAX), ...metadata };
  const { length } = new TextEncoder().encode(JSON.stringify(named));
  return length > METADATA_BYTES_MAX ? metadata : named;
}

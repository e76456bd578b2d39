import { afterAll, expect, inject, test } from "vitest";
import { kindOf, Reader, type Run, runs } from "./left-streams.ts";

const reader = new Reader({ scripUrl: inject("scripUrl"), providerUrl: inject("providerUrl") });

afterAll(() => reader.close());

/** One run of each kind, and each at another chunk. */
function oneOfEach(): Run[] {
  const kinds = new Map<string, Run[]>();
  for (const run of runs()) kinds.set(kindOf(run), [...(kinds.get(kindOf(run)) ?? []), run]);
  return [...kinds.values()].map((alike, number) => alike[number % alike.length] as Run);
}

test("a stream is charged for the prompt and what was delivered, however it ends", async () => {
  expect(await reader.wrong(oneOfEach())).toEqual([]);
});

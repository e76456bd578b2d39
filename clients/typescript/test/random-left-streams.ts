/**
 * Random streams that are read, left and broken, while calls of Scrip's API fail, too.
 *
 *     npm run left-streams --prefix clients/typescript -- 10000           # runs
 *     npm run left-streams --prefix clients/typescript -- 10000 1234567   # those of a seed
 */

import type { Fault } from "./books.ts";
import { Reader, runs } from "./left-streams.ts";
import { startServers } from "./scrip-in-memory.ts";

/** Return a function whose random numbers a seed determines (mulberry32). */
function random(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What may happen to the calls of Scrip's API: to that which holds, or that which charges. */
const FAULTS: readonly Fault[][] = [
  [],
  ["answer lost"],
  ["request lost"],
  ["none", "answer lost"],
  ["none", "request lost"],
  ["none", "proxy", "answer lost"],
];
const AT_ONCE = 100;

/** Make random runs, and print those that charged wrongly. */
async function main(number: number, seed: number): Promise<void> {
  const servers = await startServers(`${process.cwd()}/../..`);
  const reader = new Reader(servers);
  const next = random(seed);
  const pick = <T>(from: readonly T[]) => from[Math.floor(next() * from.length)] as T;
  const all = [...runs()];
  const chosen = Array.from({ length: number }, () => ({ ...pick(all), faults: pick(FAULTS) }));
  let wrong = 0;
  for (let start = 0; start < number; start += AT_ONCE) {
    for (const [run, faults] of await reader.wrong(chosen.slice(start, start + AT_ONCE))) {
      wrong += 1;
      console.log(JSON.stringify(run), faults.join("; "));
    }
  }
  console.log(`seed ${seed}: ${number} runs, ${wrong} charged wrongly`);
  reader.close();
  servers.stop();
  process.exit(wrong ? 1 : 0);
}

await main(Number(process.argv[2]), Number(process.argv[3] ?? Date.now() % 2 ** 32));

/** What becomes of the credits that a killed process held, and of its job when it is delivered again. */

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { heldStream } from "@scrip/client/ai";
import { streamText } from "ai";
import { beforeEach, expect, inject, test } from "vitest";
import { World } from "./world.ts";

const prompt = "x".repeat(400);
const use = { feature: "model", usage: { input: 400, output: 40 }, idempotencyKey: "job" };
const HOLD_SECONDS = 300;

/** A process of the built package, which is killed in the middle of a stream. */
const READ_AND_DIE = `
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { Scrip } from "@scrip/client";
import { heldStream } from "@scrip/client/ai";
import { streamText } from "ai";

const [url, baseURL, use, prompt] = process.argv.slice(1);
const account = new Scrip({ url, token: "service" }).account("u1");
const model = createOpenAICompatible({ name: "fake", baseURL, includeUsage: true })("ok");
let tokens = 0;
for await (const text of streamText(
  await heldStream(account, JSON.parse(use), { model, prompt }),
).textStream) {
  if (++tokens === 2) process.kill(process.pid, "SIGKILL");
}
`;

let here: World;
let baseURL: string;

beforeEach(async () => {
  here = new World();
  baseURL = `${inject("providerUrl")}/v1`;
  await here.priceTokens("model");
  const words = [here.url, baseURL, JSON.stringify(use), prompt];
  const dying = spawn(process.execPath, ["--input-type=module", "--eval", READ_AND_DIE, ...words], {
    cwd: `${import.meta.dirname}/..`,
    stdio: "inherit",
  });
  expect(await once(dying, "exit")).toEqual([null, "SIGKILL"]);
  expect(await here.books()).toMatchObject({ held: 440, uses: [] });
});

/** Deliver the job, and read its stream to the end, or leave it. */
async function deliver(tokensMax = Infinity): Promise<void> {
  const model = createOpenAICompatible({ name: "fake", baseURL, includeUsage: true })("ok");
  const abort = new AbortController();
  const settings = { model, prompt, abortSignal: abort.signal };
  const { textStream } = streamText(await heldStream(here.account(), use, settings));
  let tokens = 0;
  for await (const _ of textStream) if (++tokens === tokensMax) abort.abort();
  await expect.poll(async () => (await here.books()).held).toBe(0);
}

test("what a killed process held comes back when the hold expires, and nobody is charged", async () => {
  await here.wait(HOLD_SECONDS);
  expect(await here.books()).toMatchObject({ available: 10_150, held: 0, uses: [] });
});

test.for([0, HOLD_SECONDS])(
  "a job that is delivered again %i seconds after its process was killed is charged once",
  async (seconds) => {
    await here.wait(seconds);
    await deliver();
    await deliver();
    await deliver(1);
    expect((await here.books()).uses.map(({ cost }) => cost)).toEqual([110]);
  },
);

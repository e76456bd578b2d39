/** With the real AI SDK, and its mock of a language model. */

import type { Hold } from "@scrip/client";
import { heldStream, meteredStream } from "@scrip/client/ai";
import { heldRoute } from "@scrip/client/next";
import { simulateReadableStream, stepCountIs, streamText, tool } from "ai";
import { MockLanguageModelV3 } from "ai/test";
import { describe, expect, test, vi } from "vitest";
import { z } from "zod";
import { thrown, World } from "../../../test/world.ts";

type Stream = Awaited<ReturnType<MockLanguageModelV3["doStream"]>>["stream"];
type Part = Stream extends ReadableStream<infer P> ? P : never;

const use = { amount: 100 };
/** As estimated: 4 characters are a token. */
const PROMPT_TOKENS = 10;
const prompt = "x".repeat(4 * PROMPT_TOKENS);

const finish = (input?: number, output?: number, cacheRead?: number): Part => ({
  type: "finish",
  finishReason: { unified: "stop", raw: "stop" },
  usage: {
    inputTokens: { total: input, noCache: undefined, cacheRead, cacheWrite: undefined },
    outputTokens: { total: output, text: output, reasoning: undefined },
  },
});

const tools = {
  look: tool({ inputSchema: z.object({}), execute: async () => "eyes".repeat(5) }),
};
const looks: Part = { type: "tool-call", toolCallId: "1", toolName: "look", input: "{}" };
/** As estimated: its name, and the JSON schema of its input. */
const TOOLS_TOKENS = 13;
const RESULT_TOKENS = 5;

const said = (...words: string[]): Part[] => [
  { type: "text-start", id: "1" },
  ...words.map((delta): Part => ({ type: "text-delta", id: "1", delta })),
];

/** A model that answers a step each time with the next parts; those that are slow come one by one. */
function model(steps: Part[][], chunkDelayInMs: number | null = null) {
  return new MockLanguageModelV3({
    doStream: async () => ({
      stream: simulateReadableStream({
        chunks: steps.shift() ?? [],
        initialDelayInMs: null,
        chunkDelayInMs,
      }),
    }),
  });
}

async function read(stream: AsyncIterable<string>, most = Infinity): Promise<string[]> {
  const got: string[] = [];
  for await (const text of stream) {
    got.push(text);
    if (got.length >= most) break;
  }
  return got;
}

test("a stream that ends is charged for the tokens that the provider counted", async () => {
  const here = new World();
  const onFinish = vi.fn();
  const settings = { model: model([[...said("Hello"), finish(30, 12)]]), prompt, onFinish };
  const result = streamText(await heldStream(here.account(), use, settings));
  expect(await read(result.textStream)).toEqual(["Hello"]);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-42]));
  expect(await here.books()).toMatchObject({ held: 0, metadata: { model: "mock-model-id" } });
  expect(onFinish).toHaveBeenCalledOnce();
});

test("the ledger names the model, unless the hold does", async () => {
  for (const metadata of [{ run: 7 }, { model: "my-assistant" }]) {
    const here = new World();
    const settings = { model: model([[...said("Hello"), finish(30, 12)]]), prompt };
    await read(
      streamText(await heldStream(here.account(), { ...use, metadata }, settings)).textStream,
    );
    await vi.waitFor(async () => expect(await here.amounts()).toEqual([-42]));
    expect((await here.books()).metadata).toEqual({ model: "mock-model-id", ...metadata });
  }
});

test("who lacks the credits never reaches the model", async () => {
  const here = new World();
  const silent = model([]);
  const held = heldStream(here.account(), { amount: 151 }, { model: silent, prompt });
  await expect(held).rejects.toThrow("insufficient_credits");
  expect(silent.doStreamCalls).toEqual([]);
});

test("usage that never comes is estimated from what was delivered", async () => {
  const here = new World();
  const settings = { model: model([[...said("four", "four"), finish()]]), prompt };
  const result = streamText(await heldStream(here.account(), use, settings));
  await read(result.textStream);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-(PROMPT_TOKENS + 2)]));
  expect((await here.books()).metadata).toEqual({ model: "mock-model-id", estimated: true });
});

test("a model that breaks before its first chunk is charged for nothing", async () => {
  const here = new World();
  const onError = vi.fn();
  const broken = new MockLanguageModelV3({
    doStream: async () => {
      throw new Error("no such model");
    },
  });
  const settings = { model: broken, prompt, onError, maxRetries: 0 };
  const result = streamText(await heldStream(here.account(), use, settings));
  await thrown(read(result.textStream));
  await vi.waitFor(async () => expect((await here.books()).held).toBe(0));
  expect(await here.amounts()).toEqual([]);
  expect(onError).toHaveBeenCalledOnce();
});

test("a model that breaks later is charged for the prompt and what was delivered", async () => {
  const here = new World();
  const error = new Error("the model broke");
  const broken = model([[...said("four"), { type: "error", error }]]);
  const settings = { model: broken, prompt, onError: vi.fn() };
  const result = streamText(await heldStream(here.account(), use, settings));
  await thrown(read(result.textStream));
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-(PROMPT_TOKENS + 1)]));
});

test("an error in the middle of a stream that goes on makes nothing free", async () => {
  for (const words of [[], ["four"]]) {
    const here = new World();
    const garbled: Part = { type: "error", error: new Error("no JSON") };
    const parts = [...said(...words), garbled, ...said("four").slice(1), finish(30, 12)];
    const settings = { model: model([parts]), prompt, onError: vi.fn() };
    const result = streamText(await heldStream(here.account(), use, settings));
    await read(result.textStream);
    await vi.waitFor(async () => expect(await here.amounts()).toEqual([-42]));
  }
});

test("a server that counts nothing, or only a part, is not believed", async () => {
  for (const counted of [finish(0, 0), finish(PROMPT_TOKENS, 0), finish(0, 2), finish()]) {
    const here = new World();
    const settings = { model: model([[...said("four", "four"), counted]]), prompt };
    const result = streamText(await heldStream(here.account(), use, settings));
    await read(result.textStream);
    await vi.waitFor(async () => expect(await here.amounts()).toEqual([-(PROMPT_TOKENS + 2)]));
    expect((await here.books()).metadata).toEqual({ model: "mock-model-id", estimated: true });
  }
});

test("a step that is not counted is estimated, although others are counted", async () => {
  const here = new World();
  const steps = [
    [looks, finish()],
    [...said("done"), finish(20, 7)],
  ];
  const settings = { model: model(steps), prompt: "", tools, stopWhen: stepCountIs(2) };
  const result = streamText(await heldStream(here.account(), use, settings));
  await read(result.textStream);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-(TOOLS_TOKENS + 27)]));
  expect((await here.books()).metadata).toEqual({ model: "mock-model-id", estimated: true });
});

test("a signal that comes before the model is asked charges nothing", async () => {
  const here = new World();
  const silent = model([]);
  const settings = { model: silent, prompt, abortSignal: AbortSignal.abort() };
  const result = streamText(await heldStream(here.account(), use, settings));
  await read(result.textStream);
  await vi.waitFor(async () => expect((await here.books()).held).toBe(0));
  expect(await here.amounts()).toEqual([]);
});

test("a hold pays for one stream, so that a second one is not free", async () => {
  const here = new World();
  const settings = { model: model([[...said("Hello"), finish(30, 12)]]), prompt };
  const held = await heldStream(here.account(), use, settings);
  await read(streamText(held).textStream);
  expect(() => streamText(held)).toThrow("hold again for the next");
});

test("settings that are never used, or after their signal, cost nothing", async () => {
  const here = new World();
  const abort = new AbortController();
  const settings = { model: model([]), prompt };
  await heldStream(here.account(), use, { ...settings, abortSignal: abort.signal });
  abort.abort();
  await vi.waitFor(async () => expect((await here.books()).held).toBe(0));
  await heldStream(here.account(), { ...use, expires_in: 1 }, settings);
  await vi.waitFor(async () => expect((await here.books()).held).toBe(0), 4000);
  expect(await here.amounts()).toEqual([]);
});

test("units that cannot be charged give the credits back", async () => {
  const here = new World();
  const held = heldStream(here.account(), use, { model: model([]), prompt }, () => -1);
  await expect(held).rejects.toThrow(RangeError);
  expect(await here.books()).toMatchObject({ available: 150, held: 0 });
});

test("the steps of a tool's use are charged together", async () => {
  const here = new World();
  const steps = [
    [looks, finish(10, 5)],
    [...said("done"), finish(20, 7)],
  ];
  const settings = { model: model(steps), prompt, tools, stopWhen: stepCountIs(2) };
  const result = streamText(await heldStream(here.account(), use, settings));
  await read(result.textStream);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-42]));
});

test("units may be weighed otherwise than by the sum of tokens", async () => {
  const here = new World();
  const settings = { model: model([[...said("Hello"), finish(100, 12)]]), prompt };
  const units = ({ inputTokens = 0 }) => inputTokens * 0.07; // 7.000000000000001
  const result = streamText(await heldStream(here.account(), use, settings, units));
  await read(result.textStream);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-7]));
});

test("a feature with meters is charged by them, cached tokens by their own", async () => {
  const here = new World();
  const parts = [...said("Hello"), finish(44_000, 500, 40_000)];
  const metered = { feature: "model", usage: { input: 80_000, output: 5_000 } };
  const settings = { model: model([parts]), prompt };
  const result = streamText(await heldStream(here.account(), metered, settings));
  await read(result.textStream);
  // 4 000 at 1 for 4 000, 40 000 at 1 for 40 000, and 500 at 1 for 500
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-3]));
});

test("a stream that is left in its second step is charged for tools and their results", async () => {
  const here = new World();
  const abort = new AbortController();
  const steps = [
    [looks, finish(undefined, 5)],
    [...said("four", "four"), finish(30, 12)],
  ];
  const settings = { tools, stopWhen: stepCountIs(2), abortSignal: abort.signal };
  const slow = { ...settings, model: model(steps, 20), prompt: "" };
  const result = streamText(await heldStream(here.account(), use, slow));
  await read(result.textStream, 1);
  abort.abort();
  const first = TOOLS_TOKENS + 5;
  const second = first + RESULT_TOKENS + 1;
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-(first + second)]));
});

test("a token of other scripts has fewer characters, as many bytes, and a chunk has one", async () => {
  const here = new World();
  const parts = [...said("\u6f22\u5b57\u6f22\u5b57", "a", "b"), finish()];
  const settings = { model: model([parts]), prompt: "\u6f22\u5b57\u6f22\u5b57" };
  const result = streamText(await heldStream(here.account(), use, settings));
  await read(result.textStream);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-(3 + 4)]));
});

test("raw chunks of the provider deliver nothing", async () => {
  const here = new World();
  const parts: Part[] = [{ type: "raw", rawValue: {} }, finish()];
  const settings = { model: model([parts]), prompt, includeRawChunks: true };
  const result = streamText(await heldStream(here.account(), use, settings));
  await read(result.textStream);
  await vi.waitFor(async () => expect((await here.books()).held).toBe(0));
  expect(await here.amounts()).toEqual([]);
});

test("a silent stream that nobody reads is charged, and its hold expires", async () => {
  const here = new World();
  const settings = { model: model([[...said("four", "four"), finish(30, 12)]]), prompt };
  const short = { ...use, expires_in: 1 };
  streamText(await heldStream(here.account(), short, settings));
  await vi.waitFor(async () => expect((await here.amounts()).length).toBe(1), 4000);
  await here.wait(1);
  expect((await here.books()).held).toBe(0);
});

test("a stream that goes on after its hold has expired is not free", async () => {
  const here = new World();
  const settings = { model: model([[...said("four", "four"), finish(30, 12)]]), prompt };
  const short = { ...use, expires_in: 1 };
  const { textStream } = streamText(await heldStream(here.account(), short, settings));
  await vi.waitFor(async () => expect((await here.amounts()).length).toBe(1), 4000);
  await here.wait(1);
  await read(textStream);
  const total = async () => (await here.amounts()).reduce((sum, amount) => sum + amount, 0);
  await vi.waitFor(async () => expect(await total()).toBe(-42));
});

test.for([
  [1_000_000, 1_600],
  [100, 100],
] as const)("an image of %i bytes in a prompt counts as %i tokens", async ([bytes, tokens]) => {
  const here = new World();
  const content = [
    { type: "text" as const, text: prompt },
    { type: "image" as const, image: new Uint8Array(bytes) },
  ];
  const messages = [{ role: "user" as const, content }];
  const settings = { model: model([[...said("four"), finish()]]), messages };
  const units = ({ totalTokens = 0 }) => totalTokens / 100;
  const result = streamText(await heldStream(here.account(), use, settings, units));
  await read(result.textStream);
  // "user" is a token, too.
  const most = Math.ceil((PROMPT_TOKENS + 1 + tokens + 1) / 100);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-most]));
});

test.for([
  { answer: "text", ahead: 1 },
  { answer: "UI messages", ahead: 3 },
])("a model that is faster than its reader is ahead by $ahead, reading $answer", async (to) => {
  const here = new World();
  const abort = new AbortController();
  const fast = model([said(...Array<string>(30).fill("four"))]);
  const settings = { model: fast, prompt, abortSignal: abort.signal };
  const result = streamText(await heldStream(here.account(), use, settings));
  const response =
    to.answer === "text" ? result.toTextStreamResponse() : result.toUIMessageStreamResponse();
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    if (new TextDecoder().decode(chunk).includes("four")) break;
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  abort.abort();
  const most = PROMPT_TOKENS + 1 + to.ahead;
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-most]));
});

describe.for([1, 2, 3, 4, 5])("a reader that leaves after chunk %i", (chunks) => {
  const words = Array<string>(6).fill("four");
  const slow = () => model([[...said(...words), finish(30, 12)]], 20);
  /** Within one chunk, since the SDK reads ahead. */
  const expectDelivered = async (here: World) => {
    await vi.waitFor(async () => expect((await here.amounts()).length).toBe(1));
    const [amount = 0] = await here.amounts();
    expect(-amount).toBeGreaterThanOrEqual(PROMPT_TOKENS + chunks);
    expect(-amount).toBeLessThanOrEqual(PROMPT_TOKENS + chunks + 1);
    expect(await here.books()).toMatchObject({ held: 0, metadata: { estimated: true } });
  };

  test("of a route is charged for the prompt and what it got", async () => {
    const here = new World();
    const handler = (_: Request, hold: Hold) =>
      streamText(meteredStream(hold, { model: slow(), prompt })).toTextStreamResponse();
    const options = { scrip: here.scrip(), accountId: () => "u1", use };
    const answer = await heldRoute(options, handler)(new Request("https://app.example"), {});
    const reader = answer.body?.getReader();
    for (let chunk = 0; chunk < chunks; chunk += 1) await reader?.read();
    await reader?.cancel();
    await expectDelivered(here);
  });

  test("by the request's signal is charged for the prompt and what it got", async () => {
    const here = new World();
    const abort = new AbortController();
    const settings = { model: slow(), prompt, abortSignal: abort.signal };
    const result = streamText(await heldStream(here.account(), use, settings));
    await read(result.textStream, chunks);
    abort.abort();
    await expectDelivered(here);
  });
});

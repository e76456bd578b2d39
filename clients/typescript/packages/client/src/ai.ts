/**
 * Charge for what the AI SDK (`ai`) streams.
 *
 *     const use = { feature: "gpt-5-mini", usage: { input: 8_000, output: 2_000 } };
 *     const settings = { model, prompt, abortSignal: request.signal };
 *     const result = streamText(await heldStream(account, use, settings));
 */

import { asSchema, type LanguageModelUsage, type streamText } from "ai";
import type { Account } from "./account.js";
import { withCalled } from "./called.js";
import { reasonOf } from "./charge.js";
import type { HoldOptions } from "./held-credits.js";
import { type Hold, wholeUnits } from "./hold.js";
import type { Meters } from "./used.js";

type Settings = Parameters<typeof streamText>[0];
type EventOf<Callback> = Callback extends (event: infer Event) => unknown ? Event : never;
type Event<Name extends keyof Settings> = EventOf<NonNullable<Settings[Name]>>;
type Chunk = Event<"onChunk">["chunk"];

/** What was used, counted by the provider or estimated. */
export type Tokens = Pick<
  LanguageModelUsage,
  "inputTokens" | "inputTokenDetails" | "outputTokens" | "totalTokens"
>;

/**
 * Return the units or meters of a feature for what was used.
 *
 * By default, a hold that was opened with `usage` is charged by the meters `input`, `cached_input`,
 * `cache_write` and `output`, and any other by all tokens.
 */
export type Units = (tokens: Tokens) => number | Meters;

/** Estimates: a token of most languages is about 4 bytes. */
const BYTES_PER_TOKEN = 4;

/** What an image, a sound or a file counts as, unless it has fewer bytes. */
const MEDIA_TOKENS = 1_600;

const allTokens: Units = ({ totalTokens }) => totalTokens ?? 0;

const allMeters: Units = ({ inputTokens = 0, inputTokenDetails, outputTokens = 0 }) => {
  const { cacheReadTokens = 0, cacheWriteTokens = 0 } = inputTokenDetails;
  const meters = {
    input: Math.max(0, inputTokens - cacheReadTokens - cacheWriteTokens),
    cached_input: cacheReadTokens,
    cache_write: cacheWriteTokens,
    output: outputTokens,
  };
  return Object.fromEntries(Object.entries(meters).filter(([, count]) => count > 0));
};

/**
 * Hold credits for one `streamText`, and return its settings, with callbacks that charge for it.
 *
 * A stream that ends is charged for the tokens that the provider counted. One that is aborted or
 * breaks off is charged for the prompt and what was delivered, estimated where the provider has not
 * counted it: the entry's `metadata` has `estimated: true` then. One that breaks or times out before
 * its first chunk is charged for nothing. The `metadata` names the model, unless `use` does. Pass the request's `abortSignal`: without it nothing says
 * that the reader left, and the charge waits until the stream has been silent for `expires_in`
 * seconds.
 *
 * @throws {InsufficientCreditsError} the account has too few credits: the model is not called.
 * @throws {ScripError} the credits are not held.
 */
export async function heldStream<Given extends Settings>(
  account: Account,
  use: HoldOptions,
  settings: Given,
  units?: Units,
): Promise<Given> {
  const hold = await account.startHold(use);
  try {
    return meteredStream(hold, settings, units);
  } catch (error) {
    await hold.release(reasonOf(error));
    throw error;
  }
}

/** Return the settings of one `streamText` with callbacks that charge an open hold, and end it. */
export function meteredStream<Given extends Settings>(
  hold: Hold,
  settings: Given,
  units: Units = hold.isMetered ? allMeters : allTokens,
): Given {
  const { abortSignal, model, system, prompt, messages, tools } = settings;
  const modelId = typeof model === "string" ? model : model.modelId;
  const metadata = withCalled(hold.metadata, "model", modelId);
  const meter = new Meter(bytesIn([system, prompt, messages, described(tools)]));
  const end = (reason: unknown, isLeft = false) => {
    clearTimeout(silence);
    abortSignal?.removeEventListener("abort", abort);
    return isLeft || meter.hasDelivered ? hold.settle() : hold.release(reasonOf(reason));
  };
  let isStarted = false;
  const start = () => {
    if (isStarted) throw new Error("a hold pays for one stream: hold again for the next");
    isStarted = true;
    return watched(end);
  };
  const abort = () => {
    void end(abortSignal?.reason, isStarted && !isTimeout(abortSignal?.reason));
  };
  let silence: ReturnType<typeof setTimeout>;
  const update = () => {
    clearTimeout(silence);
    if (hold.isOver) return;
    // The stream may go on: its reader is slow, or a tool.
    const pause = () => void (isStarted ? hold.suspend() : end("nobody called streamText"));
    silence = setTimeout(pause, hold.expiresIn * 1000);
    const used = units(meter.tokens);
    const whole = typeof used === "number" ? wholeUnits(used) : used;
    hold.report(whole, meter.isEstimated ? { ...metadata, estimated: true } : metadata);
  };
  if (abortSignal?.aborted) void end(abortSignal.reason);
  update();
  // `onAbort` comes only to those who read on.
  abortSignal?.addEventListener("abort", abort);
  return {
    ...settings,
    experimental_transform: [settings.experimental_transform ?? [], start].flat(),
    onChunk: async (event: Event<"onChunk">) => {
      meter.deliver(event.chunk);
      update();
      await settings.onChunk?.(event);
    },
    onStepFinish: async (event: Event<"onStepFinish">) => {
      meter.finishStep(event.usage);
      update();
      await settings.onStepFinish?.(event);
    },
    onFinish: async (event: Event<"onFinish">) => {
      await end(NOTHING_CAME);
      await settings.onFinish?.(event);
    },
    onAbort: async (event: Event<"onAbort">) => {
      // The SDK's own time-out: the caller's signal has ended the hold already.
      await end("the stream timed out");
      await settings.onAbort?.(event);
    },
  };
}

const NOTHING_CAME = "the stream ended before its first chunk";

/** What `AbortSignal.timeout` aborts with: the provider was silent, and the reader has not left. */
function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === "TimeoutError";
}

/** Return what the model reads of its tools. */
function described(tools: Settings["tools"]): unknown {
  return Object.entries(tools ?? {}).map(([name, { description, inputSchema }]) => {
    return [name, description, asSchema(inputSchema).jsonSchema];
  });
}

/**
 * Return a transform that passes everything on, and says when the stream has broken off, or has
 * ended without a step: no callback of the SDK comes then. An error alone does not end a stream.
 */
function watched<Part extends { type: string }>(
  over: (reason: unknown) => void,
): TransformStream<Part, Part> {
  const { readable, writable } = new TransformStream<Part, Part>();
  const writer = writable.getWriter();
  let reason: unknown = NOTHING_CAME;
  let hasStep = false;
  const passing = new WritableStream<Part>({
    write(part) {
      hasStep ||= part.type === "finish-step";
      if (part.type === "error" && "error" in part) reason = part.error;
      return writer.write(part);
    },
    async close() {
      await writer.close();
      if (!hasStep) over(reason);
    },
    abort(error) {
      over(error);
      return writer.abort(error);
    },
  });
  return { readable, writable: passing };
}

/** Counts the tokens of a stream's steps: those of finished ones, and estimates of the running. */
class Meter {
  /** Whether there is anything to charge: something came, or the provider counted something. */
  hasDelivered = false;
  #isCounted = true;
  #finished = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };
  #promptTokens: number;
  #nextPromptTokens = 0;
  #bytes = 0;
  #chunks = 0;
  #resultBytes = 0;

  constructor(promptBytes: number) {
    this.#promptTokens = tokensOf(promptBytes);
  }

  /** Whether the provider has not counted everything. */
  get isEstimated(): boolean {
    return !this.#isCounted || this.#promptTokens > 0 || this.#chunks > 0;
  }

  get tokens(): Tokens {
    const { input, cacheRead, cacheWrite, output } = this.#finished;
    const inputTokens = input + this.#promptTokens;
    const outputTokens = output + this.#outputTokens;
    const inputTokenDetails = {
      noCacheTokens: inputTokens - cacheRead - cacheWrite,
      cacheReadTokens: cacheRead,
      cacheWriteTokens: cacheWrite,
    };
    return {
      inputTokens,
      inputTokenDetails,
      outputTokens,
      totalTokens: inputTokens + outputTokens,
    };
  }

  /** A chunk has a token at least. */
  get #outputTokens(): number {
    return Math.max(tokensOf(this.#bytes), this.#chunks);
  }

  deliver(chunk: Chunk): void {
    const text = textOf(chunk);
    if (chunk.type === "raw" || text === "") return;
    this.hasDelivered = true;
    this.#promptTokens ||= this.#nextPromptTokens;
    if (text !== undefined) {
      this.#bytes += bytesIn(text);
      this.#chunks += 1;
    } else if (chunk.type === "tool-result" && !chunk.preliminary) {
      this.#resultBytes += bytesIn(chunk.output);
    }
  }

  /** Some servers count nothing, or leave a part out: what they answered was not free. */
  finishStep({ inputTokens, inputTokenDetails, outputTokens }: Tokens): void {
    const input = inputTokens || this.#promptTokens;
    const output = outputTokens || this.#outputTokens;
    this.#isCounted &&= input === inputTokens && output === outputTokens;
    this.hasDelivered ||= Boolean(inputTokens || outputTokens);
    this.#finished = {
      input: this.#finished.input + input,
      cacheRead: this.#finished.cacheRead + (inputTokenDetails.cacheReadTokens ?? 0),
      cacheWrite: this.#finished.cacheWrite + (inputTokenDetails.cacheWriteTokens ?? 0),
      output: this.#finished.output + output,
    };
    // If another step follows, it is given what this one was, what it answered, and what tools did.
    this.#nextPromptTokens = input + output + tokensOf(this.#resultBytes);
    this.#promptTokens = this.#bytes = this.#chunks = this.#resultBytes = 0;
  }
}

/** Return what a chunk adds to the answer, if it is text. */
function textOf(chunk: Chunk): string | undefined {
  if (chunk.type === "text-delta" || chunk.type === "reasoning-delta") return chunk.text;
  return chunk.type === "tool-input-delta" ? chunk.delta : undefined;
}

const encoder = new TextEncoder();

/** Return how much text a value has, with its media as if they were text. */
function bytesIn(value: unknown): number {
  if (typeof value === "string") return encoder.encode(value).length;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return 0;
  if ("type" in value && /^(image|file|media)/.test(String(value.type))) {
    const inline = Object.values(value).find((part) => part instanceof Uint8Array);
    return BYTES_PER_TOKEN * Math.min(MEDIA_TOKENS, inline?.length ?? MEDIA_TOKENS);
  }
  return Object.values(value).reduce<number>((sum, part) => sum + bytesIn(part), 0);
}

function tokensOf(bytes: number): number {
  return Math.ceil(bytes / BYTES_PER_TOKEN);
}

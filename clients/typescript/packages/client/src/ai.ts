/**
 * Charge for what the AI SDK (`ai`) streams.
 *
 *     const use = { feature: "gpt-5-mini", usage: { input: 8_000, output: 2_000 } };
 *     const settings = { model, prompt, abortSignal: request.signal };
 *     const result = streamText(await heldStream(account, use, settings));
 */

import type { LanguageModelUsage, streamText } from "ai";
import type { Account } from "./account.js";
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

/** Estimates: a token of most languages is about 4 characters. */
const CHARACTERS_PER_TOKEN = 4;

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
 * Hold credits for a `streamText`, and return its settings, with callbacks that charge for it.
 *
 * A stream that ends is charged for the tokens that the provider counted. One that is aborted or
 * breaks off is charged for the prompt and what was delivered, estimated where the provider has not
 * counted it: the entry's `metadata` has `estimated: true` then. One that breaks before its first
 * chunk is charged for nothing. Pass the request's `abortSignal`: without it nothing says that
 * the reader left, and the charge waits until the stream has been silent for `expires_in` seconds.
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
  return meteredStream(await account.startHold(use), settings, units);
}

/** Return the settings of a `streamText` with callbacks that charge an open hold, and end it. */
export function meteredStream<Given extends Settings>(
  hold: Hold,
  settings: Given,
  units: Units = hold.isMetered ? allMeters : allTokens,
): Given {
  const { abortSignal, system, prompt, messages } = settings;
  const meter = new Meter(charactersIn([system, prompt, messages]));
  const settle = () => {
    clearTimeout(silence);
    abortSignal?.removeEventListener("abort", settle);
    return hold.settle();
  };
  const report = (tokens: Tokens, isEstimated: boolean) => {
    if (hold.isOver) return;
    const used = units(tokens);
    const whole = typeof used === "number" ? wholeUnits(used) : used;
    hold.report(whole, isEstimated ? { estimated: true } : {});
  };
  let silence: ReturnType<typeof setTimeout>;
  const update = () => {
    report(meter.tokens, true);
    clearTimeout(silence);
    silence = setTimeout(settle, hold.expiresIn * 1000);
  };
  update();
  // `onAbort` comes only to those who read on.
  abortSignal?.addEventListener("abort", settle);
  return {
    ...settings,
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
      const isCounted = event.totalUsage.totalTokens !== undefined;
      if (isCounted) report(event.totalUsage, false);
      await settle();
      await settings.onFinish?.(event);
    },
    onAbort: async (event: Event<"onAbort">) => {
      await settle();
      await settings.onAbort?.(event);
    },
    onError: async (event: Event<"onError">) => {
      if (!meter.hasDelivered) await hold.release(reasonOf(event.error));
      await settle();
      await (settings.onError ?? logged)(event);
    },
  };
}

/** What the AI SDK does with an error that nobody listens for. */
function logged({ error }: Event<"onError">): void {
  console.error(error);
}

/** Counts the tokens of a stream's steps: those of finished ones, and estimates of the running. */
class Meter {
  hasDelivered = false;
  #finished = { input: 0, cacheRead: 0, cacheWrite: 0, output: 0 };
  #promptTokens: number;
  #nextPromptTokens = 0;
  #characters = 0;

  constructor(promptCharacters: number) {
    this.#promptTokens = tokensOf(promptCharacters);
  }

  get tokens(): Tokens {
    const { input, cacheRead, cacheWrite, output } = this.#finished;
    const inputTokens = input + this.#promptTokens;
    const outputTokens = output + tokensOf(this.#characters);
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

  deliver(chunk: Chunk): void {
    this.hasDelivered = true;
    this.#promptTokens ||= this.#nextPromptTokens;
    if (chunk.type === "text-delta" || chunk.type === "reasoning-delta") {
      this.#characters += chunk.text.length;
    } else if (chunk.type === "tool-input-delta") {
      this.#characters += chunk.delta.length;
    }
  }

  finishStep({ inputTokens, inputTokenDetails, outputTokens }: Tokens): void {
    this.hasDelivered = true;
    const input = inputTokens ?? this.#promptTokens;
    const output = outputTokens ?? tokensOf(this.#characters);
    this.#finished = {
      input: this.#finished.input + input,
      cacheRead: this.#finished.cacheRead + (inputTokenDetails.cacheReadTokens ?? 0),
      cacheWrite: this.#finished.cacheWrite + (inputTokenDetails.cacheWriteTokens ?? 0),
      output: this.#finished.output + output,
    };
    this.#promptTokens = this.#characters = 0;
    // If another step follows, it is given at least what this one was, and what it answered.
    this.#nextPromptTokens = input + output;
  }
}

/** Return how much text a prompt has. Nobody can know from here what its media cost. */
function charactersIn(value: unknown): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return 0;
  if ("type" in value && /^(image|file|media)/.test(String(value.type))) return 0;
  return Object.values(value).reduce<number>((sum, part) => sum + charactersIn(part), 0);
}

function tokensOf(characters: number): number {
  return Math.ceil(characters / CHARACTERS_PER_TOKEN);
}

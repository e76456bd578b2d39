/**
 * Streams of the AI SDK that are read, left and broken at every chunk, and what is charged for them.
 *
 * Each token costs a credit, so what is charged can be counted.
 */

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { type Hold, type HoldOptions, Scrip } from "@scrip/client";
import { heldStream, meteredStream } from "@scrip/client/ai";
import { heldRoute } from "@scrip/client/next";
import { streamText } from "ai";
import { type Books, type Fault, order } from "./books.ts";
import type { Servers } from "./scrip-in-memory.ts";

const FEATURE = "model";
/** What fake_provider.py says; the client counts a token for each 4 bytes. */
const [TOKENS, TOKEN, PROMPT] = [5, "word", "x".repeat(400)];
const [PROMPT_TOKENS, PROMPT_ESTIMATE] = [105, 100];
const TIMEOUT_MS = 500;

const STREAMS = ["text", "parts", "response", "UI response"] as const;
const ROUTES = ["route", "UI route", "route over HTTP"] as const;
const LEFT_HOW = [
  "by its signal",
  "by its signal, reading on",
  "by a break",
  "by an exception",
  "without a word",
] as const;
const TIMED_OUT_HOW = ["by the SDK", "by its signal"] as const;

/** An API, what becomes of its stream (the model's name), and when its reader leaves how. */
export interface Run {
  api: (typeof STREAMS)[number] | (typeof ROUTES)[number];
  model: string;
  leaveAfter?: number;
  how?: (typeof LEFT_HOW)[number];
  timesOut?: (typeof TIMED_OUT_HOW)[number];
  faults?: readonly Fault[];
}

/** Yield each way in which a stream of each API can end, at each chunk. */
export function* runs(): Generator<Run> {
  for (const api of [...STREAMS, ...ROUTES]) {
    for (const model of ["ok", "busy", "down", "short"]) yield { api, model };
    for (let tokens = 0; tokens < TOKENS; tokens += 1) {
      yield { api, model: `die-${tokens}` };
      yield { api, model: `short-${tokens}` };
      for (const how of LEFT_HOW) {
        // Who neither reads nor closes a connection is sent all.
        if (api === "route over HTTP" && how === "without a word") continue;
        if (api === "route over HTTP" && how === "by an exception" && !tokens) continue;
        yield { api, model: "ok", leaveAfter: tokens, how };
      }
      for (const timesOut of TIMED_OUT_HOW) yield { api, model: `stall-${tokens}`, timesOut };
    }
  }
}

/** Return what is alike in runs that differ in the chunk only. */
export function kindOf({ api, model, how, timesOut }: Run): string {
  const what = timesOut ? `timed out ${timesOut}` : (how ?? model.split("-")[0]);
  return `${api}: ${what}`;
}

class ReaderError extends Error {}

/** What a reader got of a stream. */
interface Reading {
  delivered: number;
  url: string;
}

/** A network that lets a token through when the one before was read: models are slow. */
class Turns {
  #left = 1;
  #next = () => undefined as void;

  next(): void {
    this.#left += 1;
    this.#next();
  }

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const response = await fetch(input, init);
    const turns = new TransformStream<string, string>({
      transform: async (chunk, controller) => {
        for (const event of chunk.split(/(?<=\n\n)/)) {
          if (event.includes(TOKEN)) await this.#turn();
          controller.enqueue(event);
        }
      },
    });
    const text = response.body?.pipeThrough(new TextDecoderStream()).pipeThrough(turns);
    return new Response(text?.pipeThrough(new TextEncoderStream()) ?? null, response);
  };

  async #turn(): Promise<void> {
    while (this.#left === 0) {
      await new Promise<void>((resolve) => {
        this.#next = resolve;
      });
    }
    this.#left -= 1;
  }
}

/** A web server, as that of Next.js: it cancels the answer of a client that has hung up. */
class Site {
  readonly #routes = new Map<string, (request: Request) => Promise<Response>>();
  readonly #server: Server;

  constructor() {
    this.#server = createServer(async (incoming, outgoing) => {
      const gone = new AbortController();
      outgoing.once("close", () => gone.abort());
      const path = incoming.url ?? "";
      const request = new Request(`http://127.0.0.1${path}`, { signal: gone.signal });
      const response = await this.#routes.get(path)?.(request);
      this.#routes.delete(path);
      outgoing.writeHead(response?.status ?? 404, Object.fromEntries(response?.headers ?? []));
      outgoing.flushHeaders();
      const written = new WritableStream<Uint8Array>({
        write: (chunk) => void outgoing.write(chunk),
        close: () => void outgoing.end(),
        abort: () => void outgoing.destroy(),
      });
      await response?.body?.pipeTo(written, { signal: gone.signal }).catch(() => undefined);
    });
    this.#server.listen(0, "127.0.0.1");
  }

  /** Serve a route, and return its address. */
  add(route: (request: Request) => Promise<Response>): string {
    const path = `/${crypto.randomUUID()}`;
    this.#routes.set(path, route);
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}${path}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

/** Makes runs. */
export class Reader {
  readonly #site = new Site();
  #number = 0;

  constructor(readonly servers: Omit<Servers, "stop">) {}

  close(): void {
    this.#site.close();
  }

  /** Make runs at the same time, and return those that charged wrongly, and how. */
  async wrong(chosen: Run[]): Promise<[Run, string[]][]> {
    const readings = await Promise.all(chosen.map(async (run) => [run, await this.#make(run)]));
    const found: [Run, string[]][] = [];
    for (const [run, reading] of readings as [Run, Reading][]) {
      const faults = faultsOf(run, reading, await order(reading.url, {}));
      if (faults.length) found.push([run, faults]);
    }
    return found;
  }

  async #make(run: Run): Promise<Reading> {
    const reading = { delivered: 0, url: `${this.servers.scripUrl}/${crypto.randomUUID()}` };
    await order(reading.url, { tokens: FEATURE, faults: run.faults ?? [] });
    const abort = new AbortController();
    const turns = new Turns();
    const left = new Promise<void>((resolve) => {
      abort.signal.addEventListener("abort", () => setTimeout(resolve, 0));
      const reads = async () => {
        const stream = await this.#open(run, reading.url, turns, abort.signal);
        await read(run, stream, reading, turns, abort, resolve);
      };
      // What a reader is thrown is the app's business.
      reads().catch(() => resolve());
    });
    await left;
    await charged(run, reading);
    return reading;
  }

  async #open(
    run: Run,
    url: string,
    turns: Turns,
    signal: AbortSignal,
  ): Promise<AsyncIterable<unknown>> {
    const scrip = new Scrip({ url, token: "service", log: () => undefined });
    const use: HoldOptions = { feature: FEATURE, usage: { input: 400, output: 40 } };
    if (isSilent(run)) use.expires_in = 1;
    const model = createOpenAICompatible({
      name: "fake",
      baseURL: `${this.servers.providerUrl}/v1`,
      includeUsage: true,
      fetch: turns.fetch,
    })(run.model === "busy" ? `busy-${++this.#number}` : run.model);
    const timeout = run.timesOut === "by the SDK" ? { timeout: TIMEOUT_MS } : {};
    const settings = { model, prompt: PROMPT, onError: () => undefined, ...timeout };
    const signals = {
      ...(run.how?.startsWith("by its signal") ? { abortSignal: signal } : {}),
      ...(run.timesOut === "by its signal" ? { abortSignal: AbortSignal.timeout(TIMEOUT_MS) } : {}),
    };
    const answer = (_: Request, hold: Hold) => {
      const given = run.timesOut ? { ...settings, ...signals } : settings;
      const result = streamText(meteredStream(hold, given));
      return run.api === "UI route"
        ? result.toUIMessageStreamResponse()
        : result.toTextStreamResponse();
    };
    const route = heldRoute({ scrip, accountId: () => "u1", use }, answer);
    switch (run.api) {
      case "route over HTTP":
        return bodyOf(
          await fetch(
            this.#site.add((request) => route(request, {})),
            { signal },
          ),
        );
      case "route":
      case "UI route":
        return bodyOf(await route(new Request("http://127.0.0.1", { signal }), {}));
    }
    const held = await heldStream(scrip.account("u1"), use, { ...settings, ...signals });
    const result = streamText(held);
    switch (run.api) {
      case "text":
        return result.textStream;
      case "parts":
        return result.fullStream;
      case "response":
        return bodyOf(result.toTextStreamResponse());
      case "UI response":
        return bodyOf(result.toUIMessageStreamResponse());
    }
  }
}

/** Read a stream until its reader leaves. */
async function read(
  { leaveAfter, how }: Run,
  stream: AsyncIterable<unknown>,
  reading: Reading,
  turns: Turns,
  abort: AbortController,
  left: () => void,
): Promise<void> {
  /** Return whether the reader goes on. */
  const leave = async (): Promise<boolean> => {
    if (how === "by an exception") throw new ReaderError();
    if (how?.startsWith("by its signal")) abort.abort();
    if (how === "without a word") left();
    if (how === "without a word" || how === "by its signal") await new Promise(() => undefined);
    return how !== "by a break";
  };
  if (leaveAfter === 0 && !(await leave())) {
    await stream[Symbol.asyncIterator]().return?.();
    return left();
  }
  for await (const chunk of stream) {
    const before = reading.delivered;
    reading.delivered += tokensIn(chunk);
    if (reading.delivered > before) turns.next();
    if (leaveAfter && before < leaveAfter && reading.delivered >= leaveAfter) {
      if (!(await leave())) break;
    }
  }
  left();
}

/** Whether nothing says that the reader has left: it is charged after a while. */
function isSilent({ api, how, leaveAfter, timesOut }: Run): boolean {
  if (timesOut || how === undefined || how.startsWith("by its signal")) return false;
  if (!(ROUTES as readonly string[]).includes(api)) return true;
  // Who fails before the first chunk does not close what nobody has begun to read.
  return how === "without a word" || (how === "by an exception" && leaveAfter === 0);
}

/** Wait until a stream has been charged for. */
async function charged(run: Run, { url, delivered }: Reading): Promise<void> {
  const until = performance.now() + 8_000;
  const isOver = ({ held, uses }: Books) =>
    isSilent(run) ? costOf(uses) >= PROMPT_ESTIMATE + delivered : held === 0;
  while (!isOver(await order(url, {})) && performance.now() < until) {
    await new Promise((resolve) => setTimeout(resolve, isSilent(run) ? 100 : 10));
  }
  if (isSilent(run)) await order(url, { wait: 1 });
}

/** Return what is wrong with what was charged. */
function faultsOf(run: Run, { delivered }: Reading, { held, uses }: Books): string[] {
  const faults = held ? [`${held} credits are still held`] : [];
  if (uses.length > 1 && !isSilent(run)) faults.push("it was charged twice");
  const estimated = uses.filter(({ metadata }) => metadata && "estimated" in metadata);
  const isLeft = run.leaveAfter !== undefined;
  const isComplete = !isLeft && /^(ok|busy)/.test(run.model);
  const charged = costOf(uses);
  // The provider's count comes with the last token, which the SDK reads ahead.
  if (isLeft && delivered >= TOKENS - 1 && charged === PROMPT_TOKENS + TOKENS) return faults;
  if (isComplete) {
    if (delivered !== TOKENS) faults.push(`${delivered} tokens were delivered`);
    if (estimated.length) faults.push("what is known is called estimated");
    if (charged !== PROMPT_TOKENS + TOKENS) faults.push(`${charged} were charged`);
  } else if (delivered || isLeft) {
    if (estimated.length < uses.length) faults.push("what is estimated is not marked");
    const excess = charged - PROMPT_ESTIMATE - delivered;
    // One is read ahead.
    if (excess < 0 || excess > 1) faults.push(`${charged} were charged for ${delivered} tokens`);
  } else if (charged) {
    faults.push(`${charged} were charged for nothing`);
  }
  return faults;
}

function costOf(uses: Books["uses"]): number {
  return uses.reduce((total, { cost }) => total + cost, 0);
}

function bodyOf({ body }: Response): AsyncIterable<unknown> {
  if (body === null) throw new Error("an answer without a body");
  return body as unknown as AsyncIterable<unknown>;
}

const decoder = new TextDecoder();

function tokensIn(chunk: unknown): number {
  const text = chunk instanceof Uint8Array ? decoder.decode(chunk) : JSON.stringify(chunk);
  return text.split(TOKEN).length - 1;
}

/** One call, from its token to its answer, with as many tries as its limits allow. */

import type { Call } from "./calls.js";
import {
  apiError,
  isFromScrip,
  type ApiError,
  type Problem,
  ScripError,
  UnavailableError,
  UnreadableAnswerError,
} from "./errors.js";
import { isTransient, pauseSeconds, type Retries, wasNeverSent } from "./retries.js";
import type { Received, TokenSource } from "./tokens.js";

/** Where warnings go: what an operator may have to do by hand, and why. */
export type Log = (message: string, error?: unknown) => void;

/** Statuses with which a gateway rejects a request before Scrip sees it. */
const REJECTED_UNREAD = [401, 429];

/**
 * A call's deadline, and whether it may have taken effect, whatever it throws.
 *
 * Its requests, those for tokens included, share the deadline; each has its own number of tries.
 */
export class CallState {
  mayHaveTakenEffect = false;
  readonly #deadline: number;

  constructor(readonly retries: Retries) {
    this.#deadline = performance.now() + retries.deadlineSeconds * 1000;
  }

  get secondsLeft(): number {
    return (this.#deadline - performance.now()) / 1000;
  }

  /** Whether no try, or no time after a pause, is left. */
  isExhausted(tries: number, pause: number): boolean {
    return tries >= this.retries.triesMax || this.secondsLeft <= pause;
  }
}

export interface Connection {
  url: string;
  tokens: TokenSource;
  retries: Retries;
  fetch: typeof fetch;
  log: Log;
}

/** Sends calls to one API. */
export class Caller {
  readonly log: Log;
  readonly #base: string;
  readonly #tokens: TokenSource;
  readonly #retries: Retries;
  readonly #fetch: typeof fetch;

  /** @throws {RangeError} the address is not a URL. */
  constructor({ url, tokens, retries, fetch, log }: Connection) {
    if (!/^https?:\/\//.test(url)) {
      throw new RangeError(`the API's address begins with https://, unlike "${url}"`);
    }
    this.log = log;
    this.#base = url.replace(/\/+$/, "");
    this.#tokens = tokens;
    this.#retries = retries;
    this.#fetch = fetch;
  }

  /** Return the state of a call that begins now. */
  newState(): CallState {
    return new CallState(this.#retries);
  }

  /**
   * Send a call and return the API's answer.
   *
   * @throws {ApiError} Scrip refused; each reason has a class of its own.
   * @throws {UnavailableError} Scrip could not be reached, or was too busy.
   * @throws {TokenError} the client's credentials were refused.
   * @throws {UnreadableAnswerError} the answer is not one of Scrip's.
   */
  async send<Answer>(call: Call<Answer>, state = this.newState()): Promise<Answer> {
    try {
      return readAnswer(call, await this.#sendAuthorized(call, state));
    } catch (error) {
      if (error instanceof ScripError) {
        error.mayHaveTakenEffect = state.mayHaveTakenEffect;
        error.idempotencyKey = call.key;
      }
      throw error;
    }
  }

  /** Send a call with a token; if the token is refused, once more with another one. */
  async #sendAuthorized(call: Call<unknown>, state: CallState): Promise<Received> {
    const send = (address: string, init: RequestInit, changesSomething = false) =>
      this.#sendWithRetries(address, init, state, changesSomething);
    const query = call.query ? `?${new URLSearchParams(call.query)}` : "";
    const sendAs = (token: string) => {
      const headers = new Headers({ Accept: "application/json", Authorization: `Bearer ${token}` });
      if (call.body !== undefined) headers.set("Content-Type", "application/json");
      if (call.key !== undefined) headers.set("Idempotency-Key", call.key);
      const body = call.body === undefined ? null : JSON.stringify(call.body);
      const address = `${this.#base}/${call.path}${query}`;
      return send(address, { method: call.method, headers, body }, call.key !== undefined);
    };
    const token = await this.#tokens.get(send);
    const received = await sendAs(token);
    if (received.status !== 401) return received;
    const other = await this.#tokens.get(send, token);
    return other === token ? received : sendAs(other);
  }

  /**
   * Return the first response that another try would not improve.
   *
   * From the moment it is sent, a request that changes something may have taken effect, until a
   * response says that it has not.
   *
   * @throws {UnavailableError} there was no such response within the limits.
   */
  async #sendWithRetries(
    address: string,
    init: RequestInit,
    state: CallState,
    changesSomething: boolean,
  ): Promise<Received> {
    let last: unknown = new Error("no time was left");
    let tries = 0;
    let pause = 0;
    while (!state.isExhausted(tries, pause)) {
      await sleep(pause);
      const seconds = Math.max(0, Math.min(state.retries.trySeconds, state.secondsLeft));
      // What is invalid about a request throws here: it is no failure of the network.
      const signal = AbortSignal.timeout(Math.ceil(seconds * 1000));
      const request = new Request(address, { ...init, signal });
      const before = state.mayHaveTakenEffect;
      state.mayHaveTakenEffect = before || changesSomething;
      let retryAfter: string | null = null;
      try {
        const received = await this.#receive(request);
        if (isRefusal(received)) state.mayHaveTakenEffect = before;
        if (!isTransient(received.status, problemOf(received))) return received;
        retryAfter = received.headers.get("Retry-After");
        last = errorOf(received);
      } catch (error) {
        if (wasNeverSent(error)) state.mayHaveTakenEffect = before;
        last = error;
      }
      pause = pauseSeconds(tries, retryAfter, Date.now());
      tries += 1;
    }
    const host = new URL(address).host;
    throw new UnavailableError(
      `${host} gave no usable response in ${tries} tries: ${String(last)}`,
      {
        cause: last,
      },
    );
  }

  async #receive(request: Request): Promise<Received> {
    const fetch = this.#fetch;
    const response = await fetch(request);
    const { status, headers } = response;
    return { url: request.url, status, headers, text: await response.text() };
  }
}

/** Wait. */
export function sleep(seconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, seconds * 1000));
}

function readAnswer<Answer>(call: Call<Answer>, received: Received): Answer {
  if (!isSuccess(received)) throw errorOf(received);
  const replayed = received.headers.has("Idempotency-Replayed");
  let isAnswer: boolean;
  let answer: Answer;
  try {
    answer = { ...(JSON.parse(received.text) as Answer), replayed };
    isAnswer = call.isAnswer(answer);
  } catch (error) {
    throw new UnreadableAnswerError(`the response from ${received.url} cannot be read`, {
      cause: error,
    });
  }
  if (isAnswer) return answer;
  throw new UnreadableAnswerError(`the response from ${received.url} is about something else`);
}

function errorOf(received: Received): ApiError {
  return apiError(received.status, problemOf(received));
}

/** Whether a response guarantees that the request has had no effect. */
function isRefusal(received: Received): boolean {
  const problem = problemOf(received);
  const isFromUs = isFromScrip(problem) && !isTransient(received.status, problem);
  return REJECTED_UNREAD.includes(received.status) || isFromUs;
}

/** Return the JSON object of an error; empty if there is none, as on a proxy's HTML page. */
function problemOf(received: Received): Problem {
  if (isSuccess(received)) return {};
  try {
    const problem: unknown = JSON.parse(received.text);
    if (problem !== null && typeof problem === "object" && !Array.isArray(problem)) {
      const { code, detail, message, ...rest } = problem as Record<string, unknown>;
      const named = { code, detail, message };
      const texts = Object.entries(named).filter(([, value]) => typeof value === "string");
      return { ...rest, ...Object.fromEntries(texts) };
    }
  } catch {
    // It is no JSON.
  }
  return {};
}

function isSuccess({ status }: Received): boolean {
  return status >= 200 && status <= 299;
}

/** How long and how often the client tries a call, and how long it pauses between tries. */

import type { Problem } from "./errors.js";

/** The limits of one call: seconds in all, seconds per try, and number of tries. */
export interface Retries {
  deadlineSeconds: number;
  trySeconds: number;
  triesMax: number;
}

export const RETRIES: Retries = { deadlineSeconds: 10, trySeconds: 5, triesMax: 8 };

/** For undoing a call that has already used up its own time. */
export const ONE_TRY: Retries = { deadlineSeconds: 5, trySeconds: 5, triesMax: 1 };

/** The pause after try n is up to PAUSE_SECONDS * 2^n, on top of what `Retry-After` asks for. */
const PAUSE_SECONDS = 0.1;
const PAUSE_SECONDS_MAX = 2;

/** Problems that outlast any call: corrupt data, and a rate limit of an hour. */
const LASTING_CODES = ["catalog_unsound", "corrupt_account", "hold_rate_limited"];

/** Node's codes of errors that occur before a request is sent; other runtimes do not say. */
const NEVER_SENT = ["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "UND_ERR_CONNECT_TIMEOUT"];

/** Whether another try may help: a timeout, too many requests, or a failure that may pass. */
export function isTransient(status: number, problem: Problem): boolean {
  const mayPass = status === 408 || status === 429 || status >= 500;
  return mayPass && !LASTING_CODES.includes(problem.code ?? "");
}

/** Whether an error of `fetch` proves that the request was not sent. */
export function wasNeverSent(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return NEVER_SENT.includes(String((cause as { code?: unknown } | undefined)?.code));
}

/** Return how long to pause after try `number`, from 0: `Retry-After` plus full jitter. */
export function pauseSeconds(number: number, retryAfter: string | null, now: number): number {
  const jitter = Math.random() * Math.min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2 ** number);
  return retryAfterSeconds(retryAfter, now) + jitter;
}

/** Parse `Retry-After`, seconds or an HTTP date; 0 if it is missing or invalid. */
function retryAfterSeconds(retryAfter: string | null, now: number): number {
  if (retryAfter === null) return 0;
  if (/^\d+$/.test(retryAfter)) return Number(retryAfter);
  const until = Date.parse(retryAfter);
  return Number.isNaN(until) ? 0 : Math.max(0, (until - now) / 1000);
}

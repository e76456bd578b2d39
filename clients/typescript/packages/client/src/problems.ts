/** The HTTP answer with which an app explains to its own user that a charge failed. */

import {
  AccountClosedError,
  AccountFrozenError,
  ApiError,
  InsufficientCreditsError,
  UnavailableError,
} from "./errors.js";

const RETRY_AFTER_SECONDS = 5;

/** Whether a user should see an error. All others are the app's own. */
export function isUserError(error: unknown): error is Error {
  return (
    error instanceof InsufficientCreditsError ||
    error instanceof AccountFrozenError ||
    error instanceof AccountClosedError ||
    error instanceof UnavailableError
  );
}

/**
 * Return the answer (RFC 9457) for an error that a user should see: Scrip's own problem, such as
 * 402 with the missing credits, or a 503. Undefined for the app's own errors.
 */
export function problemResponse(error: unknown): Response | undefined {
  if (!isUserError(error)) return undefined;
  const headers = { "Content-Type": "application/problem+json", "Cache-Control": "no-store" };
  if (error instanceof ApiError) {
    return new Response(JSON.stringify(error.problem), { status: error.status, headers });
  }
  const detail = "Credits cannot be charged right now. Try again in a moment.";
  const problem = {
    type: "urn:scrip:problem:unavailable",
    title: "Credits cannot be charged right now.",
    status: 503,
    detail,
    code: "unavailable",
  };
  return new Response(JSON.stringify(problem), {
    status: 503,
    headers: { ...headers, "Retry-After": String(RETRY_AFTER_SECONDS) },
  });
}

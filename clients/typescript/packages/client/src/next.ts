/**
 * Charge for a route of Next.js, or of anything else that answers a `Request` with a `Response`.
 *
 *     export const POST = heldRoute(
 *       { scrip, accountId: userIdOf, use: { feature: "chat", quantity: 4_000 } },
 *       async (request, hold) => new Response(await answer(request)),
 *     );
 */

import { withCalled } from "./called.js";
import { reasonOf } from "./charge.js";
import type { HoldOptions } from "./held-credits.js";
import { type Hold, wholeUnits } from "./hold.js";
import { problemResponse } from "./problems.js";
import type { Scrip } from "./scrip.js";

export interface RouteOptions<Incoming extends Request, Context> {
  scrip: Scrip;
  /** Who pays: the signed-in user's id, or the answer to those who are not signed in. */
  accountId: (request: Incoming, context: Context) => Promised<string | Response>;
  /** What the answer may cost at most. */
  use: HoldOptions | ((request: Incoming, context: Context) => Promised<HoldOptions>);
  /**
   * How many units a chunk is that the reader got, in fractions if need be: their sum is rounded
   * up. Without it, call `hold.use` yourself.
   */
  count?: (chunk: Uint8Array) => number;
  /** Keeps a serverless function alive until the use is charged: `after` of `next/server`. */
  waitUntil?: (charged: Promise<unknown>) => void;
}

type Promised<T> = T | Promise<T>;

/**
 * Return a route that holds credits before its handler runs, and charges what its reader got.
 *
 * Who lacks the credits is answered 402 (RFC 9457), before anything else begins. An answer that is
 * read to its end, left by its reader, or broken off, is charged for what was used; one whose
 * handler says nothing of its use, for all that was held. A handler that throws or answers with a
 * status from 400 is charged for nothing, and neither is a stream that breaks before its first
 * chunk. If the framework passes the path's `params`, the entries' metadata names the endpoint.
 */
export function heldRoute<Incoming extends Request, Context>(
  options: RouteOptions<Incoming, Context>,
  handler: (request: Incoming, hold: Hold, context: Context) => Promised<Response>,
): (request: Incoming, context: Context) => Promise<Response> {
  return async (request, context) => {
    const { scrip, use, count = () => 0, waitUntil } = options;
    const accountId = await options.accountId(request, context);
    if (accountId instanceof Response) return accountId;
    let hold: Hold;
    try {
      const most = typeof use === "function" ? await use(request, context) : use;
      const metadata = withCalled(most.metadata, "endpoint", await endpointOf(request, context));
      hold = await scrip.account(accountId).startHold({ ...most, metadata } as HoldOptions);
    } catch (error) {
      const answer = problemResponse(error);
      if (answer === undefined) throw error;
      return answer;
    }
    let response: Response;
    try {
      response = await handler(request, hold, context);
    } catch (error) {
      await hold.release(reasonOf(error));
      throw error;
    }
    if (response.status >= 400) {
      await hold.release(`the app answered ${response.status}`);
      return response;
    }
    if (response.body === null) {
      await hold.settle();
      return response;
    }
    const { stream, isCharged } = charged(response.body, hold, count, request);
    waitUntil?.(isCharged);
    return new Response(stream, response);
  };
}

/**
 * Return the method and the path, with the names of its parameters: `POST /chats/[id]`. Undefined if
 * the framework does not say what they are: a path with their values may say who its user is.
 */
async function endpointOf(request: Request, context: unknown): Promise<string | undefined> {
  if (typeof context !== "object" || context === null || !("params" in context)) return undefined;
  let path = new URL(request.url).pathname.split("/");
  for (const [name, value] of Object.entries((await context.params) ?? {})) {
    const label = Array.isArray(value) ? `[...${name}]` : `[${name}]`;
    for (const part of [value].flat()) {
      const found = [part, encodeURIComponent(part)];
      if (!path.some((segment) => found.includes(segment))) return undefined;
      path = path.map((segment) => (found.includes(segment) ? label : segment));
    }
  }
  // A parameter of several segments is named once.
  path = path.filter(
    (segment, place) => segment !== path[place - 1] || !segment.startsWith("[..."),
  );
  return `${request.method} ${path.join("/")}`;
}

/** Return a stream that counts what its reader gets, and ends the hold when it is over. */
function charged(
  body: ReadableStream<Uint8Array>,
  hold: Hold,
  count: (chunk: Uint8Array) => number,
  request: Request,
): { stream: ReadableStream<Uint8Array>; isCharged: Promise<void> } {
  let settled = () => undefined as void;
  const isCharged = new Promise<void>((resolve) => {
    settled = resolve;
  });
  const reader = body.getReader();
  let isDelivered = false;
  const over = new AbortController();
  let units = 0;
  let reported = 0;
  const deliver = (chunk: Uint8Array) => {
    isDelivered = true;
    units += count(chunk);
    const whole = wholeUnits(units);
    if (hold.isOver || whole === reported) return;
    hold.use(whole - reported);
    reported = whole;
  };
  /** Charge for an answer that was not read to its end. */
  const leave = async (reason: unknown, isBroken: boolean) => {
    const isUsed = isDelivered || (!isBroken && hold.isReported);
    await (isUsed ? hold.settle() : hold.release(reasonOf(reason)));
    settled();
  };
  const cancel = async (reason: unknown) => {
    over.abort();
    clearTimeout(silence);
    // It is not waited for: one half of a stream that was split ends with the other one only.
    void reader.cancel(reason).catch(() => undefined);
    await leave(reason ?? "the reader left", false);
  };
  let silence: ReturnType<typeof setTimeout>;
  /** Who does not ask for the next chunk may have left without a word, or may just be slow. */
  const awaitReader = () => {
    silence = setTimeout(async () => {
      if (!hold.isReported) return leave("the reader left without a word", false);
      await hold.suspend();
      settled();
    }, hold.expiresIn * 1000);
  };
  const stream = new ReadableStream<Uint8Array>(
    {
      start(controller) {
        awaitReader();
        // The request is kept, as Node.js aborts no signal of a request that was collected.
        const hangUp = () => {
          controller.error(request.signal.reason);
          void cancel(request.signal.reason);
        };
        request.signal.addEventListener("abort", hangUp, { signal: over.signal });
        if (request.signal.aborted) hangUp();
      },
      async pull(controller) {
        clearTimeout(silence);
        try {
          const { done, value } = await reader.read();
          if (over.signal.aborted) return;
          if (done) {
            over.abort();
            await hold.settle();
            settled();
            controller.close();
            return;
          }
          deliver(value);
          controller.enqueue(value);
          awaitReader();
        } catch (error) {
          if (over.signal.aborted) return;
          over.abort();
          await leave(error, true);
          controller.error(error);
        }
      },
      cancel,
    },
    // Nothing is read ahead: what was read was delivered.
    { highWaterMark: 0 },
  );
  return { stream, isCharged };
}

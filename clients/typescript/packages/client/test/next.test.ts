import { type Hold, UnavailableError } from "@scrip/client";
import { heldRoute, type RouteOptions } from "@scrip/client/next";
import { expect, test, vi } from "vitest";
import { thrown, World } from "../../../test/world.ts";

const bytes = new TextEncoder();
const request = new Request("https://app.example/api/chat", { method: "POST" });

type Handler = (request: Request, hold: Hold) => Response | Promise<Response>;

function route(here: World, handler: Handler, more: Partial<RouteOptions<Request, object>> = {}) {
  const use = { feature: "chat", quantity: 20 };
  const options = { scrip: here.scrip(), accountId: () => "u1", use, ...more };
  return heldRoute<Request, object>(options, handler);
}

/** A stream of words that its reader pulls, and that may break. */
function words(...chunks: (string | Error)[]): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else if (chunk instanceof Error) throw chunk;
        else controller.enqueue(bytes.encode(chunk));
      },
    },
    { highWaterMark: 0 },
  );
}

const perChunk = { count: () => 1 };

test("who lacks the credits is answered 402 before anything begins", async () => {
  const here = new World();
  const use = { amount: 151 };
  const answer = await route(here, () => expect.unreachable(), { use })(request, {});
  expect(answer.status).toBe(402);
  expect(answer.headers.get("Content-Type")).toBe("application/problem+json");
  expect(await answer.json()).toMatchObject({ code: "insufficient_credits", shortfall: 1 });
});

test("while Scrip is away the answer is 503, with Retry-After", async () => {
  const here = new World();
  await here.failNext("busy for long");
  const answer = await route(here, () => expect.unreachable())(request, {});
  expect(answer.status).toBe(503);
  expect(answer.headers.get("Retry-After")).toBe("5");
  expect(await answer.json()).toMatchObject({ code: "unavailable" });
});

test("who is not signed in gets the app's own answer", async () => {
  const accountId = () => new Response(null, { status: 401 });
  const answer = await route(new World(), () => expect.unreachable(), { accountId })(request, {});
  expect(answer.status).toBe(401);
});

test("an answer that is read to its end is charged for what it used", async () => {
  const here = new World();
  const handler: Handler = (_, hold) => {
    hold.use(2);
    return Response.json({ done: true }, { status: 201, headers: { "X-App": "1" } });
  };
  const answer = await route(here, handler)(request, {});
  expect([answer.status, answer.headers.get("X-App")]).toEqual([201, "1"]);
  expect(await answer.json()).toEqual({ done: true });
  expect(await here.books()).toMatchObject({ available: 140, held: 0 });
});

test("a handler that says nothing of its use is charged for all that was held", async () => {
  const here = new World();
  await (await route(here, () => new Response("done"))(request, {})).text();
  await route(here, () => new Response(null, { status: 204 }), { use: { amount: 7 } })(request, {});
  expect(await here.amounts()).toEqual([-100, -7]);
});

test("a reader that leaves is charged for what it got, and the source is stopped", async () => {
  const here = new World();
  const cancel = vi.fn();
  const pull = (controller: ReadableStreamDefaultController) =>
    controller.enqueue(bytes.encode("word "));
  const source = new ReadableStream({ pull, cancel });
  const handler: Handler = (_, hold) => {
    hold.use(3); // the prompt
    return new Response(source);
  };
  const answer = await route(here, handler, perChunk)(request, {});
  const reader = answer.body?.getReader();
  await reader?.read();
  await reader?.read();
  await reader?.cancel();
  expect(await here.books()).toMatchObject({ available: 150 - 5 * 5, held: 0 });
  expect(cancel).toHaveBeenCalledOnce();
});

test("a reader that leaves before the first chunk is charged for the prompt alone", async () => {
  const here = new World();
  const prompt: Handler = (_, hold) => {
    hold.use(3);
    return new Response(words("one"));
  };
  await (await route(here, prompt, perChunk)(request, {})).body?.cancel();
  await (await route(here, () => new Response(words("one")), perChunk)(request, {})).body?.cancel();
  expect(await here.books()).toMatchObject({ available: 135, held: 0 });
});

test("a reader that leaves while the first chunk is awaited is charged for nothing", async () => {
  const here = new World();
  const [silent] = new ReadableStream<Uint8Array>({}).tee();
  const answer = await route(here, () => new Response(silent))(request, {});
  const reader = answer.body?.getReader();
  const read = reader?.read();
  await reader?.cancel();
  expect(await read).toMatchObject({ done: true });
  expect(await here.books()).toMatchObject({ available: 150, held: 0 });
});

test("fractions of units are rounded up once, over the sum", async () => {
  const here = new World();
  const options = { count: () => 0.4 };
  const handler = () => new Response(words("one", "two", "three", "four"));
  await (await route(here, handler, options)(request, {})).text();
  expect(await here.amounts()).toEqual([-2 * 5]);
});

test("a stream that breaks is charged for what was delivered", async () => {
  const here = new World();
  const handler = () => new Response(words("one ", new Error("the model broke")));
  const answer = await route(here, handler, perChunk)(request, {});
  await expect(answer.text()).rejects.toThrow("the model broke");
  expect(await here.amounts()).toEqual([-5]);
});

test("a stream that breaks before its first chunk is charged for nothing", async () => {
  const here = new World();
  const handler: Handler = (_, hold) => {
    hold.use(3);
    return new Response(words(new Error("the model broke")));
  };
  const answer = await route(here, handler, perChunk)(request, {});
  await thrown(answer.text());
  expect(await here.books()).toMatchObject({ available: 150, held: 0 });
});

test("a handler that throws, or answers with an error, is charged for nothing", async () => {
  const here = new World();
  const fails = route(here, () => {
    throw new UnavailableError("of the app's own model");
  });
  await expect(fails(request, {})).rejects.toThrow("the app's own model");
  const answer = await route(here, () => new Response("no", { status: 500 }))(request, {});
  expect(await answer.text()).toBe("no");
  expect(await here.books()).toMatchObject({ available: 150, held: 0 });
});

test("a serverless function is kept alive until the use is charged", async () => {
  const here = new World();
  let charged: Promise<unknown> | undefined;
  const waitUntil = (promise: Promise<unknown>) => {
    charged = promise;
  };
  const options = { ...perChunk, waitUntil };
  const answer = await route(here, () => new Response(words("one", "two")), options)(request, {});
  const reader = answer.body?.getReader();
  await reader?.read();
  void reader?.cancel();
  await charged;
  expect(await here.amounts()).toEqual([-5]);
});

test("what an answer may cost can depend on the request", async () => {
  const here = new World();
  const use = async (incoming: Request) => ({ amount: new URL(incoming.url).pathname.length });
  await (await route(here, () => new Response("done"), { use })(request, {})).text();
  expect(await here.amounts()).toEqual([-"/api/chat".length]);
});

test.for([
  ["/api/chat", undefined, "POST /api/chat"],
  ["/api/chats/c%2042?for=me", { id: "c 42" }, "POST /api/chats/[id]"],
  ["/api/files/a/b", { path: ["a", "b"] }, "POST /api/files/[...path]"],
  [`/api/${"long/".repeat(40)}`, {}, `POST /api/${"long/".repeat(40)}`.slice(0, 128)],
  ["/rewritten", { id: "42" }, undefined],
] as const)(
  "of %s the ledger names the endpoint, and no parameter's value",
  async ([path, params, endpoint]) => {
    const here = new World();
    const handle = heldRoute(
      { scrip: here.scrip(), accountId: () => "u1", use: { amount: 5, metadata: { run: 7 } } },
      () => new Response("done"),
    );
    const incoming = new Request(`https://app.example${path}`, { method: "POST" });
    await (await handle(incoming, { params: Promise.resolve(params) })).text();
    expect((await here.books()).metadata).toEqual({ run: 7, ...(endpoint && { endpoint }) });
  },
);

test("a path whose parameters nobody names is not kept", async () => {
  const here = new World();
  await (await route(here, () => new Response("done"))(request, {})).text();
  expect((await here.books()).metadata).toBeNull();
});

test("an answer that nobody begins to read is charged for the prompt, after the hold's life", async () => {
  const here = new World();
  const options = { ...perChunk, use: { feature: "chat", quantity: 20, expires_in: 1 } };
  const prompt: Handler = (_, hold) => {
    hold.use(3);
    return new Response(words("one"));
  };
  await route(here, prompt, options)(request, {});
  await route(here, () => new Response(words("one")), options)(request, {});
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-15]), 4000);
  await here.wait(1);
  expect((await here.books()).held).toBe(0);
});

test("a reader that is slower than the hold's life pays for the rest, too", async () => {
  const here = new World();
  const options = { ...perChunk, use: { feature: "chat", quantity: 20, expires_in: 1 } };
  const answer = await route(here, () => new Response(words("one", "two")), options)(request, {});
  const reader = answer.body?.getReader();
  await reader?.read();
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-5]), 4000);
  await here.wait(1);
  while (!(await reader?.read())?.done);
  expect(await here.amounts()).toEqual([-5, -5]);
});

test("a client that hangs up is charged for what it got, though the answer is dropped", async () => {
  const here = new World();
  for (const [signal, paid] of [
    [AbortSignal.timeout(50), 10],
    [AbortSignal.abort(), 5],
  ] as const) {
    const handler: Handler = (_, hold) => {
      hold.use(1);
      return new Response(words("one", "two"));
    };
    const gone = new Request(request, { signal });
    const before = (await here.books()).available;
    const answer = await route(here, handler, perChunk)(gone, {});
    const reader = answer.body?.getReader();
    if (!signal.aborted) await reader?.read();
    await vi.waitFor(async () => expect((await here.books()).held).toBe(0));
    expect(before - (await here.books()).available).toBe(paid);
    await expect(reader?.read()).rejects.toBe(signal.reason);
  }
});

import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import {
  ApiError,
  BusyError,
  clientFor,
  EntryNotFoundError,
  InsufficientCreditsError,
  Scrip,
  ServerError,
  TokenError,
  UnauthorizedError,
  UnavailableError,
  UnknownFeatureError,
  UnreadableAnswerError,
} from "@scrip/client";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { thrown, World } from "../../../test/world.ts";

const world = () => new World();

describe("a call that changes something", () => {
  test("counts once and keeps its key, however often its answer is lost", async () => {
    const here = world();
    await here.failNext("answer lost", "request lost", "proxy");
    const posting = await here.account().consume({ feature: "chat" });
    expect(posting.replayed).toBe(true);
    const { ledger, keys } = await here.books();
    expect(ledger).toEqual([["usage", -5]]);
    expect(keys).toEqual([posting.entry.entry_id, posting.entry.entry_id]);
  });

  test("has a key of its own each time, or the one that the app chooses", async () => {
    const here = world();
    const account = here.account();
    await account.consume({ amount: 1 });
    await account.consume({ amount: 1 });
    await account.consume({ amount: 1, idempotencyKey: "job-7" });
    const again = await account.consume({ amount: 1, idempotencyKey: "job-7" });
    expect(again).toMatchObject({ replayed: true, entry: { entry_id: "job-7" } });
    expect(await here.amounts()).toEqual([-1, -1, -1]);
  });

  test("is refused before it is sent if the key is invalid", () => {
    const account = world().account();
    for (const idempotencyKey of ["", "a b", "..", "ä", "x".repeat(129)]) {
      expect(() => account.consume({ amount: 1, idempotencyKey })).toThrow(RangeError);
    }
  });

  test("says with its key that it may have taken effect, if its answer stays unknown", async () => {
    const here = world();
    await here.failNext("answer lost", "busy for long");
    const error = await thrown(here.account().consume({ amount: 1, idempotencyKey: "k" }));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ mayHaveTakenEffect: true, idempotencyKey: "k" });
    expect((error as Error).cause).toBeInstanceOf(BusyError);
  });

  test("has had no effect if Scrip refused it", async () => {
    const error = await thrown(world().account().consume({ amount: 151 }));
    expect(error).toBeInstanceOf(InsufficientCreditsError);
    expect(error).toMatchObject({
      name: "InsufficientCreditsError",
      status: 402,
      code: "insufficient_credits",
      mayHaveTakenEffect: false,
      problem: { required: 151, available: 150, shortfall: 1 },
    });
  });

  test("has had no effect if nobody listens", async () => {
    const closed = createServer();
    await new Promise<void>((done) => closed.listen(0, "127.0.0.1", done));
    const { port } = closed.address() as AddressInfo;
    await new Promise((done) => closed.close(done));
    const url = `http://127.0.0.1:${port}`;
    const scrip = new Scrip({ url, token: "service", retries: { triesMax: 2 } });
    const error = await thrown(scrip.account("u1").consume({ amount: 1 }));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(error).toMatchObject({ mayHaveTakenEffect: false });
  });
});

describe("time and tries", () => {
  test("Retry-After is waited for", async () => {
    const here = world();
    await here.failNext("busy");
    const begun = performance.now();
    await here.account().consume({ amount: 1 });
    expect(performance.now() - begun).toBeGreaterThanOrEqual(1000);
  });

  test("a pause that would outlast the deadline is not begun", async () => {
    const here = world();
    await here.failNext("busy for long");
    const begun = performance.now();
    await expect(here.account().consume({ amount: 1 })).rejects.toThrow(UnavailableError);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  test("a try that nobody answers ends, and so does the call", async () => {
    const silent = createServer(() => undefined);
    await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done));
    const { port } = silent.address() as AddressInfo;
    const retries = { deadlineSeconds: 0.4, trySeconds: 0.1 };
    const scrip = new Scrip({ url: `http://127.0.0.1:${port}`, token: "service", retries });
    const begun = performance.now();
    await expect(scrip.account("u1").balance()).rejects.toThrow(UnavailableError);
    expect(performance.now() - begun).toBeLessThan(1000);
    silent.closeAllConnections();
    silent.close();
  });

  test("there are no more tries than the limit", async () => {
    const here = world();
    await here.failNext("proxy", "proxy", "proxy");
    const account = here.account("service", { retries: { triesMax: 2 } });
    await expect(account.balance()).rejects.toThrow("in 2 tries");
    expect(await here.books()).toMatchObject({ faults: 1 });
  });
});

describe("answers", () => {
  test("each refusal has a class of its own", async () => {
    const account = world().account();
    await expect(account.consume({ feature: "nothing" })).rejects.toThrow(UnknownFeatureError);
    await expect(account.entry("nothing")).rejects.toThrow(EntryNotFoundError);
  });

  test("what is no answer of Scrip's is unreadable", async () => {
    const here = world();
    await here.failNext("nonsense");
    const error = await thrown(here.account().consume({ amount: 1 }));
    expect(error).toBeInstanceOf(UnreadableAnswerError);
    expect(error).toMatchObject({ mayHaveTakenEffect: true });
  });

  test("an answer about another account is no answer", async () => {
    const here = world();
    await here.failNext("another account");
    await expect(here.account().balance()).rejects.toThrow("about something else");
  });

  test("entries come page by page, newest first", async () => {
    const here = world();
    const account = here.account();
    for (let use = 1; use <= 5; use += 1) await account.consume({ amount: use });
    const amounts = [];
    for await (const entry of account.entries({ type: "usage" })) amounts.push(entry.amount);
    expect(amounts).toEqual([-5, -4, -3, -2, -1]);
  });

  test("a statement adds up to the change of the balance", async () => {
    const here = world();
    const account = here.account();
    const from = new Date((await account.balance()).period.start);
    for (const [amount, model] of [
      [30, "a"],
      [4, "b"],
      [2, "a"],
    ] as const) {
      await account.consume({ amount, metadata: { model } });
    }
    await here.wait(1);
    const { balance_after, lines } = await account.statement({ from, group_by: "model" });
    expect(balance_after).toBe(114);
    const uses = lines.filter(({ type }) => type === "usage");
    expect(uses.map(({ model, count, amount }) => [model, count, amount]).sort()).toEqual([
      ["a", 2, -32],
      ["b", 1, -4],
    ]);
  });

  test("reads, quotes and batches", async () => {
    const here = world();
    const account = here.account();
    expect(await account.quote({ feature: "chat", quantity: 2 })).toMatchObject({ cost: 10 });
    const { entries } = await account.batch([{ feature: "chat" }, { amount: 2 }]);
    expect(entries.map(({ amount }) => amount)).toEqual([-5, -2]);
    expect(await account.balance()).toMatchObject({ account_id: "u1", available: 143 });
    expect((await account.upcoming(1)).upcoming).toHaveLength(1);
    const features = (await here.scrip().catalog()).features.map(({ feature_id }) => feature_id);
    expect(features).toContain("chat");
  });
});

describe("tokens", () => {
  let issued: string[];
  let refused: boolean;
  let issuer: Server;
  let tokenUrl: string;

  beforeEach(async () => {
    issued = [];
    refused = false;
    issuer = createServer((request, response) => {
      const authorization = request.headers.authorization ?? "";
      issued.push(Buffer.from(authorization.slice("Basic ".length), "base64").toString());
      response.writeHead(refused ? 400 : 200, { "Content-Type": "application/json" });
      const token = { access_token: "service", expires_in: 3600 };
      response.end(JSON.stringify(refused ? { error: "invalid_client" } : token));
    });
    await new Promise<void>((done) => issuer.listen(0, "127.0.0.1", done));
    tokenUrl = `http://127.0.0.1:${(issuer.address() as AddressInfo).port}/token`;
  });

  afterEach(() => {
    issuer.close();
  });

  const backEnd = (here: World) =>
    new Scrip({
      url: here.url,
      clientCredentials: { tokenUrl, clientId: "id", clientSecret: "secret" },
    }).account("u1");

  test("are fetched once for calls at the same time, and kept", async () => {
    const account = backEnd(world());
    await Promise.all([account.balance(), account.balance(), account.balance()]);
    await account.balance();
    expect(issued).toEqual(["id:secret"]);
  });

  test("are fetched again when one is refused", async () => {
    const here = world();
    const account = backEnd(here);
    await account.balance();
    await here.failNext("unauthorized");
    // The issuer gives the same one again, which the client does not try twice.
    await expect(account.consume({ amount: 1 })).rejects.toThrow(UnauthorizedError);
    expect(issued).toHaveLength(2);
    await expect(account.consume({ amount: 1 })).resolves.toBeDefined();
  });

  test("are refused for wrong credentials, and the message does not quote them", async () => {
    refused = true;
    const error = await thrown(backEnd(world()).balance());
    expect(error).toBeInstanceOf(TokenError);
    expect(String(error)).toContain("invalid_client");
    expect(String(error)).not.toContain("secret");
  });

  test("of a user come from the app's own function, which is asked again after a 401", async () => {
    const here = world();
    await here.failNext("unauthorized");
    const tokens = ["old", "user"];
    const account = new Scrip({ url: here.url, token: () => tokens.shift() ?? "user" }).account(
      "u1",
    );
    expect(await account.consume({ amount: 1, idempotencyKey: "k" })).toMatchObject({
      entry: { entry_id: "user:k" },
    });
    expect(tokens).toEqual([]);
  });

  test("are fetched with the credentials that the environment names", async () => {
    vi.stubEnv("SCRIP_API_URL", world().url);
    vi.stubEnv("SCRIP_TOKEN_URL", tokenUrl);
    vi.stubEnv("SCRIP_SERVICE_CLIENT_ID", "id");
    vi.stubEnv("SCRIP_SERVICE_CLIENT_SECRET", "secret");
    await Scrip.fromEnv().account("u1").balance();
    expect(issued).toEqual(["id:secret"]);
    vi.stubEnv("SCRIP_TOKEN_URL", undefined);
    vi.stubEnv("SCRIP_SERVICE_CLIENT_SECRET", "");
    expect(() => Scrip.fromEnv()).toThrow("set SCRIP_TOKEN_URL, SCRIP_SERVICE_CLIENT_SECRET; ");
    vi.unstubAllEnvs();
  });

  test("a page's client is for the user's own account", () => {
    expect(clientFor({ url: "https://api.example", token: "user" }).id).toBe("me");
  });

  test("a client needs an address, and either a token or credentials", () => {
    expect(() => new Scrip({ url: "api.example", token: "t" })).toThrow(RangeError);
    expect(() => new Scrip({ url: "https://api.example" } as never)).toThrow(TypeError);
  });
});

test("a problem that this version does not know is a plain ApiError", () => {
  const error = new ApiError(409, { code: "new_rule", detail: "It is new." });
  expect(error).toMatchObject({ name: "ApiError", code: "new_rule", detail: "It is new." });
  expect(new ServerError(500, { message: "Internal" }).code).toBe("http_500");
});

import { InsufficientCreditsError, NotPaidError, UnavailableError } from "@scrip/client";
import { expect, test, vi } from "vitest";
import { World } from "../../../test/world.ts";

test("a thousand uses are one hold and a few entries, and cost exactly their price", async () => {
  const here = new World();
  const lease = here.account().lease({ sliceCredits: 100, captureSeconds: 100 });
  for (let use = 0; use < 120; use += 1) await lease.consume();
  await lease.close();
  const { ledger, available, held } = await here.books();
  expect({ available, held }).toEqual({ available: 30, held: 0 });
  expect(ledger.filter(([type]) => type === "usage").length).toBeLessThan(10);
});

test("uses of a feature cost what each would cost alone, and are counted in the entry", async () => {
  const here = new World();
  const lease = here.account().lease({ feature: "chat", sliceCredits: 100 });
  await Promise.all([lease.consume(), lease.consume(3), lease.consume()]);
  await lease.close();
  const books = await here.books();
  expect(books).toMatchObject({ available: 125, held: 0, metadata: { uses: 3, quantity: 5 } });
});

test("what was counted is charged after a while", async () => {
  const here = new World();
  const lease = here.account().lease({ sliceCredits: 100, captureSeconds: 0.05 });
  await lease.consume(7);
  await vi.waitFor(async () => expect(await here.amounts()).toEqual([-7]), 2000);
  await lease.close();
});

test("the last credits can be used, and what is missing then is refused uncounted", async () => {
  const here = new World();
  const lease = here.account().lease({ sliceCredits: 100 });
  for (let use = 0; use < 7; use += 1) await lease.consume(20);
  const refused = expect(lease.consume(20)).rejects;
  await refused.toThrow(InsufficientCreditsError);
  await expect(lease.consume(20)).rejects.toMatchObject({ problem: { shortfall: 10 } });
  await lease.consume(10);
  await lease.close();
  expect((await here.books()).available).toBe(0);
});

test("everything is charged once, whatever is lost", async () => {
  const here = new World();
  await here.failNext("answer lost", "request lost");
  const lease = here.account().lease({ feature: "chat", sliceCredits: 100 });
  await lease.consume(2);
  await here.failNext("answer lost", "proxy");
  await lease.close();
  expect(await here.books()).toMatchObject({ available: 140, held: 0, faults: 0 });
});

test("a lease whose slice an operator released charges without it", async () => {
  const here = new World();
  const account = here.account();
  const lease = account.lease({ sliceCredits: 100, captureSeconds: 100 });
  await lease.consume(7);
  const [held] = await account.holds();
  await account.releaseHold(held?.hold_id ?? "");
  await lease.close();
  expect(await here.books()).toMatchObject({ available: 143, held: 0 });
});

test("uses that cannot be charged any more are an error of its end", async () => {
  const here = new World();
  const account = here.account();
  const lease = account.lease({ sliceCredits: 100, captureSeconds: 100 });
  await lease.consume(40);
  const [held] = await account.holds();
  await account.releaseHold(held?.hold_id ?? "");
  await account.consume({ amount: 150 });
  await expect(lease.close()).rejects.toThrow(NotPaidError);
  expect(here.log[0]).toBe("40 credits for 1 uses remain unpaid on account u1");
});

test("an end that is not answered may be repeated", async () => {
  const here = new World();
  const lease = here.account().lease({ sliceCredits: 100, captureSeconds: 100 });
  await lease.consume(7);
  await here.failNext("answer lost", "busy for long");
  await expect(lease.close()).rejects.toThrow(UnavailableError);
  await lease.close();
  expect(await here.books()).toMatchObject({ available: 143, held: 0 });
  await expect(lease.consume()).rejects.toThrow("closed");
});

test("a slice is extended while the lease is used, and given back when it is not", async () => {
  const here = new World();
  const lease = here.account().lease({ sliceCredits: 100, captureSeconds: 0.05, expiresIn: 1 });
  await lease.consume();
  const isHeld = async () => expect((await here.books()).held).toBeGreaterThan(0);
  for (let use = 0; use < 6; use += 1) {
    await new Promise((resolve) => setTimeout(resolve, 250));
    await here.wait(0.25);
    await lease.consume();
    await isHeld();
  }
  await vi.waitFor(async () => expect((await here.books()).held).toBe(0), 4000);
  await lease.close();
});

test("the numbers of a lease are checked at once", () => {
  const account = new World().account();
  for (const options of [{ sliceCredits: 0 }, { captureUses: 0.5 }, { captureSeconds: 0 }]) {
    expect(() => account.lease(options)).toThrow(RangeError);
  }
});

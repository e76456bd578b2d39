import {
  type Charge,
  InsufficientCreditsError,
  NotPaidError,
  RefundTooLargeError,
  UnavailableError,
} from "@scrip/client";
import { describe, expect, test } from "vitest";
import { thrown, World } from "../../../test/world.ts";

class ModelError extends Error {
  override name = "ModelError";
}

const fails = () => {
  throw new ModelError("no such model");
};

describe("a charge", () => {
  test("is taken before its block, whose result it returns", async () => {
    const here = new World();
    const left = await here.account().charge({ feature: "chat", quantity: 2 }, (charge) => {
      expect(charge.isCharged).toBe(true);
      expect(charge.entry?.cost).toBe(10);
      return charge.account?.available;
    });
    expect(left).toBe(140);
  });

  test("is given back if its block throws, and the block's error goes on", async () => {
    const here = new World();
    await expect(here.account().charge({ feature: "chat" }, fails)).rejects.toThrow(ModelError);
    expect((await here.books()).ledger).toEqual([
      ["usage", -5],
      ["refund", 5],
    ]);
  });

  test("keeps the error's name and message as the reason, in one line", async () => {
    const here = new World();
    const account = here.account();
    const block = () => {
      throw new ModelError(`line\n\tbreak\u0007${"x".repeat(300)}`);
    };
    await thrown(account.charge({ feature: "chat" }, block));
    const { value } = await account.entries().next();
    expect(value?.reason).toMatch(/^ModelError: line break x{200,}$/);
    expect(value?.reason).toHaveLength(256);
  });

  test("does not run its block if the credits are missing", async () => {
    const run = () => expect.unreachable();
    const charge = new World().account().charge({ amount: 151 }, run);
    await expect(charge).rejects.toThrow(InsufficientCreditsError);
  });

  test("is asked back if its answer is lost for good", async () => {
    const here = new World();
    await here.failNext("answer lost", "busy for long");
    const run = () => expect.unreachable();
    const error = await thrown(here.account().charge({ feature: "chat" }, run));
    expect(error).toBeInstanceOf(UnavailableError);
    expect(await here.amounts()).toEqual([-5, 5]);
  });

  test("is refunded once, whatever is lost, after parts that were refunded in the block", async () => {
    const here = new World();
    const block = async (charge: Charge) => {
      await here.failNext("answer lost");
      await charge.refund({ amount: 2, reason: "blurred" });
      await here.failNext("answer lost");
      fails();
    };
    await thrown(here.account().charge({ feature: "chat" }, block));
    expect(await here.amounts()).toEqual([-5, 2, 3]);
  });

  test("gives back a part once, although its refund is repeated after a failure", async () => {
    const here = new World();
    await here.account().charge({ feature: "chat" }, async (charge) => {
      const part = { amount: 2, reason: "blurred" };
      await here.failNext("answer lost", "busy for long");
      await expect(charge.refund(part)).rejects.toThrow(UnavailableError);
      await charge.refund(part);
      await expect(charge.refund({ amount: 4, reason: "all" })).rejects.toThrow(
        RefundTooLargeError,
      );
    });
    expect(await here.amounts()).toEqual([-5, 2]);
  });

  test("that cannot be refunded says in the log what to refund by hand", async () => {
    const here = new World();
    const block = async () => {
      await here.failNext("busy for long");
      fails();
    };
    const key = { idempotencyKey: "job" };
    await expect(here.account().charge({ amount: 1, ...key }, block)).rejects.toThrow(ModelError);
    expect(here.log).toEqual([
      "credits may still be taken: refund entry job of account u1 with the idempotency key job.refund",
    ]);
  });
});

describe("a charge with a key of the app's own", () => {
  const job = { feature: "chat", idempotencyKey: "job-7" };

  test("is taken once, however often the job is delivered", async () => {
    const here = new World();
    for (const delivery of [1, 2, 3]) {
      expect(await here.account().charge(job, () => delivery)).toBe(delivery);
    }
    expect(await here.amounts()).toEqual([-5]);
  });

  test("is taken again after a refund, under the next key", async () => {
    const here = new World();
    await thrown(here.account().charge(job, fails));
    await here.account().charge(job, (charge) => expect(charge.entryId).toBe("job-7.2"));
    expect(await here.amounts()).toEqual([-5, 5, -5]);
  });

  test("stays if it is unanswered, since another delivery may rely on it", async () => {
    const here = new World();
    await here.failNext("answer lost", "busy for long");
    await expect(here.account().charge(job, fails)).rejects.toThrow(UnavailableError);
    expect(await here.amounts()).toEqual([-5]);
  });

  test("is not shared with what a user's own token charged under it", async () => {
    const here = new World();
    await here.account("user").charge(job, (charge) => expect(charge.entryId).toBe("user:job-7"));
    await here.account().charge(job, (charge) => expect(charge.entryId).toBe("job-7"));
    expect(await here.amounts()).toEqual([-5, -5]);
  });
});

describe("a charge with failOpen", () => {
  const use = { feature: "chat", failOpen: true };

  test("runs its block although Scrip is away, and says that nothing is certain", async () => {
    const here = new World();
    await here.failNext("busy for long");
    const isCharged = await here.account().charge(use, (charge) => charge.isCharged);
    expect(isCharged).toBe(false);
    expect(here.log).toEqual(["running a block uncharged on account u1"]);
  });

  test("still refuses those who have no credits", async () => {
    const charge = new World().account().charge({ amount: 151, failOpen: true }, fails);
    await expect(charge).rejects.toThrow(InsufficientCreditsError);
  });

  test("is asked back if only its answer was lost, and the block throws", async () => {
    const here = new World();
    await here.failNext("answer lost", "busy for long");
    await expect(here.account().charge(use, fails)).rejects.toThrow(ModelError);
    expect(await here.amounts()).toEqual([-5, 5]);
  });
});

test("an error that says what was not paid has the numbers", () => {
  const error = new NotPaidError("u1", 10, 4, "e1");
  expect(error.message).toBe("account u1 should have paid 10 credits and paid 4 in entry e1");
});

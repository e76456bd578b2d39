import {
  type Hold,
  HoldNotYoursError,
  InsufficientCreditsError,
  NotPaidError,
  UnavailableError,
  UnknownMeterError,
  UnknownUsageError,
} from "@scrip/client";
import { describe, expect, test } from "vitest";
import { thrown, World } from "../../../test/world.ts";

class ModelError extends Error {}

const twenty = { feature: "chat", quantity: 20 };
const job = { ...twenty, idempotencyKey: "job" };

const uses = (units: number) => (hold: Hold) => hold.use(units);
const fails = () => {
  throw new ModelError();
};

const run = {
  lines: [
    { feature: "chat", quantity: 10 },
    { feature: "model", usage: { output: 5_000 } },
  ],
  reference: "run-1",
};

/** Return the keys of the calls that charged or ended holds. */
const chargesOf = async (here: World) =>
  (await here.books()).keys.filter((key) => /\.(capture|release|end)/.test(key));

describe("a hold for several features", () => {
  test("is charged for each by its own price, in one call", async () => {
    const here = new World();
    await here.account().hold({ ...run, idempotencyKey: "job" }, async (hold) => {
      expect(hold.held).toMatchObject({ amount: 60, features: ["chat", "model"] });
      hold.use(1, "chat");
      hold.use({ output: 500 }, "model");
      hold.use(2, "chat");
    });
    expect(await here.amounts()).toEqual([-15, -1]);
    expect(await here.books()).toMatchObject({ held: 0 });
    expect(await chargesOf(here)).toEqual(["job.capture"]);
  });

  test("is captured in one call, and what was used since at its end", async () => {
    const here = new World();
    await here.account().hold({ ...run, idempotencyKey: "job" }, async (hold) => {
      hold.use(1, "chat");
      hold.use({ output: 500 }, "model");
      await here.failNext("answer lost", "busy for long");
      await expect(hold.capture()).rejects.toThrow(UnavailableError);
      await hold.capture();
      hold.use(2, "chat");
      hold.use(4);
    });
    expect(await here.amounts()).toEqual([-5, -1, -10, -4]);
    expect(new Set(await chargesOf(here))).toEqual(new Set(["job.capture-1", "job.capture"]));
  });

  test("is used for these only, and by meters of one of them", async () => {
    await new World().account().hold(run, (hold) => {
      expect(() => hold.use(1, "image")).toThrow("no line of this hold is for the feature");
      expect(() => hold.use({ output: 1 })).toThrow("name the line's");
    });
  });

  test("is charged for the uses that have a price, and the error of the other is thrown", async () => {
    const here = new World();
    for (const isCharged of [false, true]) {
      const hold = here.account().hold({ ...run, idempotencyKey: "job" }, (hold) => {
        expect(hold.isCharged).toBe(isCharged);
        hold.use(1, "chat");
        hold.use({ images: 1 }, "model");
      });
      await expect(hold).rejects.toThrow(UnknownMeterError);
    }
    expect(await here.amounts()).toEqual([-5]);
    expect(await here.books()).toMatchObject({ held: 0 });
  });

  test("captures the uses that have a price, and its end charges the rest", async () => {
    const here = new World();
    await here.account().hold(run, async (hold) => {
      hold.use({ images: 1 }, "model");
      hold.use(1, "chat");
      await expect(hold.capture()).rejects.toThrow(UnknownMeterError);
      hold.use({ output: 500 }, "model");
      hold.use(2);
    });
    expect(await here.amounts()).toEqual([-5, -1, -2]);
    expect(await here.books()).toMatchObject({ held: 0 });
  });
});

describe("a hold's block", () => {
  test("is charged for what it used, and the rest is given back", async () => {
    const here = new World();
    await here.account().hold(twenty, async (hold) => {
      expect(hold.held?.amount).toBe(100);
      expect((await here.books()).held).toBe(100);
      hold.use(1);
      hold.use(2);
    });
    expect(await here.books()).toMatchObject({ available: 135, held: 0 });
  });

  test("that says nothing of its use is charged for all that was held", async () => {
    const here = new World();
    expect(await here.account().hold(twenty, () => "done")).toBe("done");
    expect(await here.amounts()).toEqual([-100]);
  });

  test("that used nothing, or throws, is charged for nothing", async () => {
    const here = new World();
    await here.account().hold(twenty, uses(0));
    await expect(here.account().hold(twenty, fails)).rejects.toThrow(ModelError);
    expect(await here.books()).toMatchObject({ available: 150, held: 0 });
  });

  test("that throws keeps what it captured", async () => {
    const here = new World();
    const block = async (hold: Hold) => {
      hold.use(3);
      await hold.capture();
      hold.use(4);
      fails();
    };
    await thrown(here.account().hold(twenty, block));
    expect(await here.amounts()).toEqual([-15]);
  });

  test("does not run if the credits are missing", async () => {
    const hold = new World().account().hold({ amount: 151 }, () => expect.unreachable());
    await expect(hold).rejects.toThrow(InsufficientCreditsError);
  });

  test("pays what exceeds the hold out of what is available", async () => {
    const here = new World();
    await here.account().hold({ amount: 10 }, uses(30));
    expect(await here.amounts()).toEqual([-30]);
  });

  test("that used more than there is pays all that is held, and the refusal is thrown", async () => {
    const here = new World();
    const hold = here.account().hold({ amount: 100 }, uses(151));
    await expect(hold).rejects.toThrow(InsufficientCreditsError);
    expect(await here.amounts()).toEqual([-100]);
    expect(here.log[0]).toContain("captured in full");
  });

  test("is charged once, whatever is lost", async () => {
    const here = new World();
    await here.failNext("answer lost", "request lost");
    await here.account().hold(twenty, async (hold) => {
      await here.failNext("answer lost", "proxy", "request lost");
      hold.use(3);
    });
    expect(await here.books()).toMatchObject({ available: 135, held: 0, faults: 0 });
  });

  test("whose end is not answered throws, and the log says what to capture", async () => {
    const here = new World();
    const block = async (hold: Hold) => {
      hold.use(3);
      await here.failNext("busy for long");
    };
    await expect(here.account().hold(job, block)).rejects.toThrow(UnavailableError);
    expect(here.log.at(-1)).toContain('"quantity":3');
    expect(here.log.at(-1)).toContain("key job.capture");
  });

  test("captures a part once, although it failed and is repeated", async () => {
    const here = new World();
    await here.account().hold(twenty, async (hold) => {
      hold.use(3);
      await here.failNext("answer lost", "busy for long");
      await expect(hold.capture()).rejects.toThrow(UnavailableError);
      await hold.capture();
      hold.use(1);
    });
    expect(await here.amounts()).toEqual([-15, -5]);
  });

  test("counts whole units only, and none after its end", async () => {
    let kept: Hold | undefined;
    await new World().account().hold(twenty, (hold) => {
      kept = hold;
      for (const units of [-1, 0.5, NaN]) expect(() => hold.use(units)).toThrow(RangeError);
    });
    expect(() => kept?.use(1)).toThrow("is over");
    await expect(kept?.capture()).rejects.toThrow("is over");
  });
});

describe("a hold is extended while its work runs", () => {
  test("at half its life, and no longer", async () => {
    const here = new World();
    const hold = await here.account().startHold({ ...twenty, expires_in: 2 });
    await here.wait(1.5);
    await new Promise((resolve) => setTimeout(resolve, 1200));
    await here.wait(1.5);
    // Without an extension it would be over by now.
    expect((await here.books()).held).toBe(100);
    hold.use(3);
    await hold.end();
    const { keys } = await here.books();
    await new Promise((resolve) => setTimeout(resolve, 1200));
    expect((await here.books()).keys).toEqual(keys);
    expect(await here.amounts()).toEqual([-15]);
  });

  test("and if it expired all the same, what was used is charged without it", async () => {
    const here = new World();
    await here.account().hold(twenty, async (hold) => {
      hold.use(3);
      await here.wait(301);
    });
    expect((await here.books()).available).toBe(135);
  });
});

describe("a hold that outlasts any block", () => {
  test("ends once: the first end or release counts", async () => {
    const here = new World();
    const hold = await here.account().startHold(twenty);
    hold.use(4);
    await Promise.all([hold.end(), hold.release(), hold.end()]);
    expect(hold.isOver).toBe(true);
    expect(await here.amounts()).toEqual([-20]);
  });

  test("is charged for the total that was reported last, with what belongs to it", async () => {
    const here = new World();
    const hold = await here.account().startHold({ ...twenty, metadata: { model: "m" } });
    hold.report(9, { estimated: true });
    hold.report(4, { final: true });
    await hold.end();
    expect(await here.books()).toMatchObject({
      available: 130,
      metadata: { model: "m", final: true },
    });
    expect((await here.books()).metadata).not.toHaveProperty("estimated");
  });

  test("keeps what was captured, even if less is reported at last", async () => {
    const here = new World();
    const hold = await here.account().startHold(twenty);
    hold.use(5);
    await hold.capture();
    hold.report(3);
    await hold.end();
    expect(await here.books()).toMatchObject({ available: 125, held: 0 });
  });

  test("settles in the log where its end would throw", async () => {
    const here = new World();
    const hold = await here.account().startHold({ amount: 100 });
    hold.use(151);
    await hold.settle();
    expect(here.log.at(-1)).toContain("was not paid in full");
    expect(await here.amounts()).toEqual([-100]);
  });
});

describe("a hold of a feature with meters", () => {
  const most = { feature: "model", usage: { input: 40_000, output: 5_000 } };

  test("is charged for the counts of its meters, rounded up once", async () => {
    const here = new World();
    await here.account().hold(most, (hold) => {
      expect(hold.held?.amount).toBe(20);
      hold.use({ input: 1_000 });
      hold.use({ input: 200, output: 350 });
    });
    expect(await here.amounts()).toEqual([-1]);
  });

  test("is charged for what a provider says", async () => {
    const here = new World();
    const usage = { prompt_tokens: 8_000, completion_tokens: 500, total_tokens: 8_500 };
    await here.account().hold(most, (hold) => hold.report({ usage_of: "openai", usage }));
    expect(await here.amounts()).toEqual([-3]);
  });

  test("is charged in parts, and in full if nothing is said", async () => {
    const here = new World();
    await here.account().hold(most, async (hold) => {
      hold.use({ input: 4_000 });
      await hold.capture();
      hold.use({ output: 1_000 });
    });
    await here.account().hold(most, () => "nothing");
    await here.account().hold(most, (hold) => hold.use({ input: 0 }));
    expect(await here.amounts()).toEqual([-1, -2, -20]);
  });

  test("refuses what has no price, and gives back what was held", async () => {
    const here = new World();
    const account = here.account();
    const hold = account.hold(most, (hold) => hold.use({ images: 1 }));
    await expect(hold).rejects.toThrow(UnknownMeterError);
    const usage = { prompt_tokens: 1, completion_tokens: 1, holograms: 1 };
    const other = account.hold(most, (hold) => hold.report({ usage_of: "openai", usage }));
    await expect(other).rejects.toThrow(UnknownUsageError);
    expect(await here.books()).toMatchObject({ available: 150, held: 0 });
  });

  test("is its own also by name", async () => {
    const here = new World();
    await here.account().hold(most, (hold) => {
      hold.use({ output: 400 });
      hold.use({ output: 100 }, "model");
    });
    expect(await here.amounts()).toEqual([-1]);
  });

  test("is counted in one way", async () => {
    await new World().account().hold(most, async (hold) => {
      hold.use({ input: 4_000 });
      expect(() => hold.use(1)).toThrow(RangeError);
      await hold.capture();
      const usage = { prompt_tokens: 1, completion_tokens: 1 };
      expect(() => hold.report({ usage_of: "openai", usage })).toThrow(RangeError);
      expect(() => hold.report(5)).toThrow(RangeError);
    });
  });
});

describe("a job's hold", () => {
  test("is charged once, however often the job is delivered", async () => {
    const here = new World();
    for (const isCharged of [false, true]) {
      await here.account().hold(job, (hold) => {
        expect(hold.isCharged).toBe(isCharged);
        hold.use(3);
      });
    }
    expect(await here.amounts()).toEqual([-15]);
  });

  test("goes on if it is open, and opens again if it was given back", async () => {
    const here = new World();
    await here.account().openHold({ ...job, expires_in: 300 });
    await thrown(here.account().hold(job, fails));
    await here.account().hold(job, (hold) => {
      expect(hold.holdId).toBe("job.2");
      hold.use(1);
    });
    expect(await here.books()).toMatchObject({ available: 145, held: 0 });
  });

  test("that used another amount than the delivery that was charged is not paid", async () => {
    const here = new World();
    await here.account().hold(job, uses(3));
    const error = await thrown(here.account().hold(job, uses(4)));
    expect(error).toBeInstanceOf(NotPaidError);
    expect(error).toMatchObject({ expected: 20, paid: 15, entryId: "job.capture", holdId: "job" });
  });

  test("is charged once, although it says at last that it used nothing more", async () => {
    const here = new World();
    for (const isCharged of [false, true]) {
      await here.account().hold({ ...run, idempotencyKey: "job" }, (hold) => {
        expect(hold.isCharged).toBe(isCharged);
        hold.use(2, "chat");
        hold.use(0);
      });
    }
    expect(await here.amounts()).toEqual([-10]);
  });

  test("of which everything was captured is charged once", async () => {
    const here = new World();
    for (const isCharged of [false, true]) {
      await here.account().hold(job, async (hold) => {
        expect(hold.isCharged).toBe(isCharged);
        hold.use(2);
        await hold.capture();
        hold.use(0);
      });
    }
    expect(await here.amounts()).toEqual([-10]);
    expect(await chargesOf(here)).toEqual(["job.capture-1", "job.end", "job.capture-1"]);
  });

  test("of which everything was captured is not paid in other parts", async () => {
    const here = new World();
    await here.account().hold(job, async (hold) => {
      hold.use(2);
      await hold.capture();
    });
    const error = await thrown(here.account().hold(job, uses(2)));
    expect(error).toBeInstanceOf(NotPaidError);
    expect(error).toMatchObject({ expected: 10, paid: 0, entryId: "job.end" });
    expect(await here.amounts()).toEqual([-10]);
  });
});

describe("a job that is killed after a capture", () => {
  const several = { ...run, idempotencyKey: "job" };
  const work = (hold: Hold) => {
    hold.use(2, "chat");
    hold.use(3);
  };

  /** Capture what a delivery used, and let it die: its hold is extended no more, and expires. */
  const die = async (here: World, order: "in time" | "late" = "in time") => {
    const hold = await here.account().startHold(several);
    work(hold);
    if (order === "late") await here.wait(301);
    await hold.suspend();
    await here.wait(301);
  };

  test.for(["in time", "late"] as const)("%s does not pay for it again", async (order) => {
    const here = new World();
    await die(here, order);
    for (const isCharged of [false, true]) {
      await here.account().hold(several, async (hold) => {
        expect(hold).toMatchObject({ holdId: "job.2", isCharged });
        work(hold);
        await hold.capture();
        hold.use(1, "chat");
      });
    }
    expect(await here.amounts()).toEqual([-10, -3, -5]);
    expect(await here.books()).toMatchObject({ held: 0 });
  });

  test("is charged again if that was refunded", async () => {
    const here = new World();
    await die(here);
    for (const entry_id of ["job.capture-1", "job.capture-1~2"]) {
      await here.account().refund({ entry_id, reason: "it was killed" });
    }
    await here.account().hold(several, async (hold) => {
      work(hold);
      await hold.capture();
    });
    expect(await here.amounts()).toEqual([-10, -3, 10, 3, -10, -3]);
  });

  test("is not paid if it used another amount, or if a part was refunded", async () => {
    const here = new World();
    const again = (units: number) =>
      here.account().hold(several, async (hold) => {
        work(hold);
        hold.use(units);
        await hold.capture();
      });
    await die(here);
    const error = await thrown(again(1));
    expect(error).toBeInstanceOf(NotPaidError);
    expect(error).toMatchObject({ expected: 14, paid: 13, entryId: "job.capture-1" });
    await here.account().refund({ entry_id: "job.capture-1~2", amount: 1, reason: "a part" });
    await expect(again(0)).rejects.toThrow(NotPaidError);
    expect(await here.amounts()).toEqual([-10, -3, 1]);
  });
});

describe("if somebody else ended the hold", () => {
  const endedBy =
    (end: (hold: Hold) => Promise<unknown>, units = 3) =>
    async (hold: Hold) => {
      hold.use(units);
      await end(hold);
    };

  test("by a release, all that was used is charged without it", async () => {
    const here = new World();
    const account = here.account();
    await account.hold(
      twenty,
      endedBy((hold) => account.releaseHold(hold.holdId)),
    );
    expect((await here.books()).available).toBe(135);
  });

  test("by a capture of a service of as much, nothing more is charged", async () => {
    const here = new World();
    const account = here.account();
    const capture = (hold: Hold) => account.captureHold(hold.holdId, { quantity: 3 });
    await account.hold(twenty, endedBy(capture));
    expect(await here.amounts()).toEqual([-15]);
  });

  test("by a capture of less, the rest is charged without it", async () => {
    const here = new World();
    const account = here.account();
    const capture = (hold: Hold) => account.captureHold(hold.holdId, { quantity: 1 });
    await account.hold(twenty, endedBy(capture));
    expect(await here.amounts()).toEqual([-5, -10]);
  });

  test("by a capture of more, it is not paid as requested", async () => {
    const account = new World().account();
    const capture = (hold: Hold) => account.captureHold(hold.holdId, { quantity: 4 });
    await expect(account.hold(twenty, endedBy(capture))).rejects.toThrow(NotPaidError);
  });

  describe("by a capture of several lines", () => {
    const several = { ...run, idempotencyKey: "job" };
    const captured = (here: World, ...amounts: number[]) => {
      const account = here.account();
      return account.hold(several, async (hold) => {
        hold.use(2, "chat");
        hold.use(3);
        const lines = amounts.map((amount) => ({ amount }));
        await account.captureHold(hold.holdId, { lines, idempotencyKey: "other" });
      });
    };

    test("of as much together, nothing more is charged", async () => {
      const here = new World();
      await captured(here, 6, 7);
      expect(await here.amounts()).toEqual([-6, -7]);
    });

    test("of less together, the rest is charged without it", async () => {
      const here = new World();
      await captured(here, 6, 2);
      expect(await here.amounts()).toEqual([-6, -2, -5]);
    });

    test("of more together, it is not paid as requested", async () => {
      const here = new World();
      const error = await thrown(captured(here, 6, 8));
      expect(error).toBeInstanceOf(NotPaidError);
      expect(error).toMatchObject({ expected: 13, paid: 14, entryId: "other" });
      expect(await here.amounts()).toEqual([-6, -8]);
    });
  });

  test("what several features used is charged without it, in one call, once", async () => {
    const here = new World();
    const account = here.account();
    for (const isCharged of [false, true]) {
      await account.hold({ ...run, idempotencyKey: "job" }, async (hold) => {
        expect(hold.isCharged).toBe(isCharged);
        hold.use(2, "chat");
        hold.use({ output: 500 }, "model");
        if (!isCharged) await account.releaseHold(hold.holdId);
        await here.failNext("none", "none", "none", "answer lost");
      });
    }
    expect(await here.amounts()).toEqual([-10, -1]);
    expect((await here.books()).faults).toBe(0);
    expect(await chargesOf(here)).not.toContain("job.capture-1");
  });

  test("a user cannot", async () => {
    const here = new World();
    const user = here.account("user");
    await here.account().hold(job, async (hold) => {
      await expect(user.releaseHold(hold.holdId)).rejects.toThrow(HoldNotYoursError);
      await expect(user.captureHold(hold.holdId)).rejects.toThrow(HoldNotYoursError);
      hold.use(3);
    });
    expect(await here.amounts()).toEqual([-15]);
  });

  test("a user's own token holds under a name of its own, whatever is lost", async () => {
    const here = new World();
    await here.failNext("answer lost");
    await here.account("user").hold(job, (hold) => {
      expect(hold.holdId).toBe("user:job");
      hold.use(3);
    });
    expect(await here.amounts()).toEqual([-15]);
  });
});

describe("a hold that is not answered", () => {
  test("is given back, and its block does not run", async () => {
    const here = new World();
    await here.failNext("answer lost", "busy for long");
    await expect(here.account().hold(twenty, fails)).rejects.toThrow(UnavailableError);
    expect(await here.books()).toMatchObject({ available: 150, held: 0 });
  });

  test("runs its block with failOpen, which is charged at its end", async () => {
    const here = new World();
    await here.failNext("busy for long");
    await here.account().hold({ ...twenty, failOpen: true }, (hold) => {
      expect(hold.isHeld).toBe(false);
      hold.use(3);
    });
    expect(await here.amounts()).toEqual([-15]);
  });

  test("charges nothing twice with failOpen, whatever was not answered", async () => {
    const here = new World();
    await here.account().hold({ ...twenty, failOpen: true }, async (hold) => {
      hold.use(3);
      await here.failNext("answer lost", "busy for long");
      expect(await hold.capture()).toBeUndefined();
      hold.use(1);
      await here.failNext("busy for long");
    });
    expect(await here.amounts()).toEqual([-15, -5]);
  });
});

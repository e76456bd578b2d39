/** A lease: slices of an account's credits, counted in the app and charged many uses at a time. */

import type { Caller } from "./caller.js";
import type { Call } from "./calls.js";
import { ScripError, UnavailableError } from "./errors.js";
import { Queue } from "./queue.js";
import { Slices, type Step } from "./slices.js";

const CAPTURE_SECONDS_MAX = 86_400;

/** How many steps a use waits for, and how many are taken in one turn. */
const STEPS_MAX = 100;

export interface LeaseOptions {
  /** What uses are units of; without it, they are credits. */
  feature?: string;
  /** Credits that are held at a time, and counted at most without being charged. 1 000. */
  sliceCredits?: number;
  /** How often what was counted is charged. 1. */
  captureSeconds?: number;
  /** After how many uses it is charged earlier. 1 000. */
  captureUses?: number;
  /** Seconds after which a dead process's slices come back. 60. */
  expiresIn?: number;
}

/** A lease. Close it: until then, it keeps what it holds. */
export class Lease {
  readonly #caller: Caller;
  readonly #slices: Slices;
  readonly #captureSeconds: number;
  readonly #steps = new Queue();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isClosed = false;

  /** @internal */
  constructor(
    caller: Caller,
    readonly accountId: string,
    options: LeaseOptions,
  ) {
    const { feature, sliceCredits = 1_000, captureSeconds = 1 } = options;
    const { captureUses = 1_000, expiresIn = 60 } = options;
    if ([sliceCredits, captureUses, expiresIn].some((n) => !Number.isSafeInteger(n) || n < 1)) {
      throw new RangeError("a lease needs at least 1 credit, use and second, in whole numbers");
    }
    if (!(captureSeconds > 0 && captureSeconds <= CAPTURE_SECONDS_MAX)) {
      throw new RangeError(
        `a lease needs captureSeconds above 0, and ${CAPTURE_SECONDS_MAX} at most`,
      );
    }
    const spec = { feature, sliceCredits, captureSeconds, captureUses, expiresIn };
    this.#caller = caller;
    this.#captureSeconds = captureSeconds;
    this.#slices = new Slices(accountId, spec, caller.log);
  }

  /**
   * Count a use: `units` of the feature, or credits if there is none.
   *
   * It sends nothing while there is room; otherwise it holds another slice first.
   *
   * @throws {InsufficientCreditsError} the account has too few credits; the use was not counted.
   * @throws {ScripError} no more can be held for now; the use was not counted.
   * @throws {RangeError} `units` is not a whole number from 1.
   * @throws {Error} the lease is closed.
   */
  async consume(units = 1): Promise<void> {
    if (!Number.isSafeInteger(units) || units < 1) {
      throw new RangeError(`units must be a whole number from 1, not ${units}`);
    }
    for (let step = 0; step < STEPS_MAX; step += 1) {
      const result = this.#slices.count(units, now());
      if (result === "step due") this.#workIn(0);
      if (result !== "no room") return;
      await this.#makeRoom(units);
    }
    throw new UnavailableError(`other uses took all the credits in the lease of ${this.accountId}`);
  }

  /**
   * Charge what was counted, and give back the rest.
   *
   * @throws {NotPaidError} `expected` credits of uses cannot be charged; the log has the reason.
   * @throws {UnavailableError} it is unknown whether all was charged. The client keeps trying, and
   *   `close` may be called again.
   */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#slices.close();
    await this.#steps.run(async () => {
      this.#isClosed ||= await this.#takeAll();
    });
    if (!this.#isClosed) {
      const { credits, number } = this.#slices.uncaptured;
      throw new UnavailableError(
        `the lease of account ${this.accountId} is open; ` +
          `${credits} credits for ${number} uses may not be charged yet`,
      );
    }
    clearTimeout(this.#timer);
    if (this.#slices.notPaid) throw this.#slices.notPaid;
  }

  /**
   * Take one step towards room for a use, unless another one has.
   *
   * @throws {ScripError} there will be none for now.
   */
  #makeRoom(units: number): Promise<void> {
    const before = this.#slices.room;
    return this.#steps.run(async () => {
      if (this.#timer === undefined) this.#workIn(this.#captureSeconds);
      if (this.#slices.room > before) return;
      const refusal = this.#slices.refusal(units, now());
      if (refusal) throw refusal;
      const step = this.#slices.nextStep(now(), units);
      if (step) await this.#take(step);
    });
  }

  /** Take the steps that are due, soon and then again and again, until the lease is closed. */
  #workIn(seconds: number): void {
    clearTimeout(this.#timer);
    const work = async () => {
      await this.#steps.run(async () => {
        const isDone = await this.#takeAll();
        this.#isClosed ||= isDone && this.#slices.isClosing;
      });
      if (!this.#isClosed) this.#workIn(this.#captureSeconds);
    };
    this.#timer = setTimeout(() => void work(), seconds * 1000);
  }

  /** Take the steps that are due; return whether none is left. */
  async #takeAll(): Promise<boolean> {
    for (let number = 0; number < STEPS_MAX; number += 1) {
      const step = this.#slices.nextStep(now());
      if (step === undefined) return true;
      if (!(await this.#take(step))) return false;
    }
    return false;
  }

  /** Take a step; return whether Scrip answered. */
  async #take(step: Step): Promise<boolean> {
    try {
      this.#slices.answered(step, await this.#caller.send(step.call as Call<unknown>));
      return true;
    } catch (error) {
      if (!(error instanceof ScripError)) throw error;
      const isSettled = this.#slices.failed(step, error, now());
      if (!isSettled) this.#caller.log(`the lease of account ${this.accountId} waits`, error);
      return isSettled;
    }
  }
}

function now(): number {
  return performance.now() / 1000;
}

/** A hold: credits are set aside before a block, and the block is charged for what it used. */

import { CallState } from "./caller.js";
import { reasonOf } from "./charge.js";
import {
  CostOutOfRangeError,
  HoldEndedError,
  HoldNotFoundError,
  HoldWithoutFeatureError,
  IdempotencyKeyReusedError,
  UnavailableError,
  UnknownFeatureError,
  UnknownMeterError,
  UnknownUsageError,
} from "./errors.js";
import { HeldCredits, LINES_MAX, type Metadata } from "./held-credits.js";
import type { Held, Posting } from "./models.js";
import { Queue } from "./queue.js";
import { ONE_TRY } from "./retries.js";
import { check, isNothing, type Meters, rest, type Shares, sum, type Used } from "./used.js";

interface Part {
  shares: Shares;
  suffix: string;
}

/** What was used, by the line's feature; undefined for the hold's own, or for credits. */
type UsedBy = Map<string | undefined, Used>;

/** A use has no price, so it was refused. */
const UNPRICED = [
  CostOutOfRangeError,
  HoldWithoutFeatureError,
  UnknownFeatureError,
  UnknownMeterError,
  UnknownUsageError,
];

/** A hold is extended after this part of its life. */
const EXTEND_AFTER = 0.5;

/** An extension that failed is repeated after this part of the hold's life. */
const TRY_AGAIN_AFTER = 0.1;

/**
 * Credits that are set aside until `end` or `release`, and extended until then.
 *
 * `held` is what was set aside, `used` what `use` has added up, `entry` the last charge, and
 * `account` what is left then; each is undefined until it is known.
 */
export class Hold extends HeldCredits {
  held: Held | undefined;
  #isOver = false;
  #isSuspended = false;
  #mayBeHeld = false;
  readonly #used: UsedBy = new Map();
  /** What is not to be charged any more: it was, or it has no price. */
  readonly #captured: UsedBy = new Map();
  #parts = 0;
  #part: Part | undefined;
  #isPartPaid = false;
  /** How many uses the next call charges: one while that without a price is searched for. */
  #sharesMax = LINES_MAX;
  /** Why a use has no price, to be thrown once the others are charged. */
  #unpriced: unknown;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #ending: Promise<void> | undefined;
  readonly #charges = new Queue();

  /** Whether the first `end` or `release` has come. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** What was used of the hold's own feature, or of credits. */
  get used(): Used | undefined {
    return this.#used.get(undefined);
  }

  /** Whether anything was reported, even if it was nothing. */
  get isReported(): boolean {
    return this.#used.size > 0;
  }

  /** Whether credits are certainly held; with `failOpen` that may be unknown. */
  get isHeld(): boolean {
    return this.held !== undefined;
  }

  /**
   * Add to what was used: units or meters of the feature, or credits if there is none.
   *
   * A hold with several lines needs to know of which `feature`, unless it is credits. Nothing is
   * sent: the end, or `capture`, charges it.
   *
   * @throws {RangeError} a count is not a whole number from 0, what was used before is counted
   *   otherwise, no line of the hold has the feature, or meters come without one.
   * @throws {Error} the hold is over, so nothing would be charged.
   */
  use(more: number | Meters, feature?: string): void {
    check(more);
    const line = feature === this.feature ? undefined : feature;
    if (line !== undefined && !this.lines.some((one) => one.feature === line)) {
      throw new RangeError(`no line of this hold is for the feature "${line}"`);
    }
    this.#checkPriced(more, line);
    this.#ensureOpen();
    this.#used.set(line, sum(this.#used.get(line), more));
  }

  /**
   * Say what was used in all until now, in place of what was said before.
   *
   * It may be the usage object that a provider answered, with its name. `metadata` is kept with the
   * charge, beside the hold's own. A report below what was captured takes nothing back.
   *
   * @throws {RangeError} a count is not a whole number from 0, what was captured is counted
   *   otherwise, or the hold has no feature of which these are meters.
   * @throws {Error} the hold is over, so nothing would be charged.
   */
  report(used: Used, metadata: Metadata = {}): void {
    check(used);
    this.#checkPriced(used);
    this.#ensureOpen();
    rest(used, this.#captured.get(undefined));
    this.#used.set(undefined, used);
    this.reported = metadata;
  }

  /**
   * Charge now for what was used so far; the charge stays, even if the work fails later.
   *
   * Several features' uses are charged together: all of them or none. A use without a price is left
   * out, and its error thrown once the others are charged. Undefined if there is nothing to charge,
   * or it was charged already. Repeated after a failure, it counts once.
   *
   * @throws {UnknownMeterError} a use has no price. The same holds for an UnknownUsageError.
   * @throws {InsufficientCreditsError} what exceeds the hold cannot be charged; the hold itself was
   *   captured. The same holds for an AccountFrozenError.
   * @throws {NotPaidError} something else was charged in its place.
   * @throws {Error} the hold is over.
   */
  capture(): Promise<Posting | undefined> {
    return this.#charges.run(async () => {
      this.#ensureOpen();
      // What is used meanwhile is for the next capture.
      const used = new Map(this.#used);
      let posting: Posting | undefined;
      for (let part = this.#nextPart(used); part; part = this.#nextPart(used)) {
        posting = (await this.#chargePart(part)) ?? posting;
        if (this.#part === part) break;
      }
      this.#throwUnpriced();
      return posting;
    });
  }

  /**
   * Charge what was used, or all that is held if nothing was reported, and give back the rest.
   *
   * All that was not captured is charged by one call. Only the first `end` or `release` counts;
   * repeated, it answers the same.
   *
   * @throws {UnknownMeterError} a use has no price; the others were charged. The same holds for an
   *   UnknownUsageError.
   * @throws {InsufficientCreditsError} what exceeds the hold cannot be charged; the hold itself was
   *   captured. The same holds for an AccountFrozenError.
   * @throws {NotPaidError} something else was charged.
   * @throws {UnavailableError} it is unknown whether it was charged.
   */
  end(): Promise<void> {
    return this.#finish(async () => {
      if (!this.isCharged || this.isReported) await this.#chargeRest();
    });
  }

  /**
   * End the hold of an answer that has begun, so that nobody can be refused any more: where `end`
   * throws, this writes to the log.
   */
  async settle(): Promise<void> {
    await this.#logUnpaid(this.end());
  }

  /**
   * Charge what was used so far, and extend the hold no more: for work that may never go on.
   *
   * If it does, its end charges the rest, even if the hold has expired. Where `capture` throws, this
   * writes to the log.
   */
  async suspend(): Promise<void> {
    if (this.#isOver || this.isCharged) return;
    this.#isSuspended = true;
    clearTimeout(this.#timer);
    await this.#logUnpaid(this.capture());
  }

  /**
   * Charge nothing more, and give back what is left.
   *
   * If that fails, the log says so, and the credits come back when the hold expires. Only the
   * first `end` or `release` counts.
   */
  release(reason?: string): Promise<void> {
    return this.#finish(() => this.#release(".release", reason));
  }

  /**
   * Set the credits aside.
   *
   * @internal
   * @throws {ScripError} the credits are not held, or a release has been attempted.
   */
  async begin(): Promise<void> {
    try {
      const posting = await this.open();
      this.held = posting.hold;
      this.account = posting.account;
      if (!this.isCharged) this.#extendIn(this.expiresIn * EXTEND_AFTER);
    } catch (error) {
      this.#mayBeHeld = this.state.mayHaveTakenEffect;
      if (!this.failOpen || !(error instanceof UnavailableError)) {
        this.#isOver = true;
        // A hold with a key of the app's own stays: another delivery of the job may rely on it.
        if (!this.hasOwnKey) {
          await this.#release(".release", reasonOf(error), new CallState(ONE_TRY));
        }
        throw error;
      }
      this.caller.log(`running a block without a hold on account ${this.accountId}`, error);
    }
  }

  #finish(settle: () => Promise<void>): Promise<void> {
    this.#isOver = true;
    clearTimeout(this.#timer);
    // A capture that is under way comes first.
    this.#ending ??= this.#charges.run(settle);
    return this.#ending;
  }

  async #logUnpaid(charging: Promise<unknown>): Promise<void> {
    try {
      await charging;
    } catch (error) {
      this.caller.log(`${this.label} was not paid in full`, error);
    }
  }

  #extendIn(seconds: number): void {
    if (this.#isSuspended) return;
    this.#timer = setTimeout(() => void this.#keepOpen(), seconds * 1000);
  }

  async #keepOpen(): Promise<void> {
    let next = EXTEND_AFTER;
    try {
      await this.extend();
    } catch (error) {
      if (this.#isOver) return;
      if (error instanceof HoldEndedError || error instanceof HoldNotFoundError) {
        this.caller.log(`continuing without a hold on account ${this.accountId}`, error);
        return;
      }
      this.caller.log(`could not extend ${this.label}, will try again`, error);
      next = TRY_AGAIN_AFTER;
    }
    if (!this.#isOver) this.#extendIn(this.expiresIn * next);
  }

  /** Return the part that was not answered, or else the next of what was used; or undefined. */
  #nextPart(used = this.#used): Part | undefined {
    const shares = this.#rests(used).slice(0, this.#sharesMax);
    if (this.#part === undefined && shares.length > 0) {
      this.#part = { shares, suffix: `.capture-${this.#parts + 1}` };
    }
    return this.#part;
  }

  /** Charge a part; it remains the next one if, with `failOpen`, nobody knows whether it was. */
  async #chargePart(part: Part): Promise<Posting | undefined> {
    try {
      const posting = await this.charge(part.shares, part.suffix, false);
      this.#isPartPaid = true;
      this.#count(part);
      return posting;
    } catch (error) {
      if (this.failOpen && error instanceof UnavailableError) {
        this.caller.log(`nothing captured yet of ${this.label}`, error);
      } else {
        this.#leaveOut(part.shares, error);
      }
      return undefined;
    }
  }

  /** Return what was used and has not been captured, by feature. */
  #rests(used = this.#used): Shares {
    const shares = Array.from(used, ([feature, total]) => ({
      feature,
      used: rest(total, this.#captured.get(feature)),
    }));
    return shares.filter((share) => !isNothing(share.used));
  }

  #count({ shares }: Part): void {
    this.#part = undefined;
    this.#parts += 1;
    this.#addCaptured(shares);
  }

  #addCaptured(shares: Shares): void {
    for (const { feature, used } of shares) {
      this.#captured.set(feature, sum(this.#captured.get(feature), used));
    }
  }

  /**
   * Leave out the use that was refused because it has no price; of several, search for it one by
   * one. Any other error is thrown.
   */
  #leaveOut(shares: Shares, error: unknown): void {
    const isUnpriced = UNPRICED.some((kind) => error instanceof kind);
    if (!isUnpriced) throw error;
    this.#part = undefined;
    this.#sharesMax = shares.length > 1 ? 1 : LINES_MAX;
    if (shares.length > 1) return;
    this.#unpriced ??= error;
    this.#addCaptured(shares);
  }

  #throwUnpriced(): void {
    const error = this.#unpriced;
    this.#unpriced = undefined;
    if (error !== undefined) throw error;
  }

  /** Charge what was used and has not been charged yet, and give back the rest. */
  async #chargeRest(): Promise<void> {
    let isEnded = false;
    try {
      while (!isEnded) {
        if (this.#part === undefined && this.#rests().length <= this.#sharesMax) {
          isEnded = await this.#chargeLast();
        } else {
          const part = this.#nextPart()!;
          await this.#chargePart(part);
          // With `failOpen`, this was its last try.
          if (this.#part === part) this.#count(part);
        }
      }
    } catch (error) {
      if (!(error instanceof UnavailableError)) throw error;
      const body = this.captureBody(this.#part?.shares ?? this.#lastShares, !this.#part);
      // A call that only reads has no key.
      const key = error.idempotencyKey ?? (await this.keyFor(this.#part?.suffix ?? ".capture"));
      const message =
        `it is unknown whether ${this.label} was captured: ` +
        `capture it with ${JSON.stringify(body)} and the idempotency key ${key}`;
      this.caller.log(message, error);
      if (!this.failOpen) throw error;
    }
    this.#throwUnpriced();
  }

  /** Return what the end charges; undefined means all that is held. */
  get #lastShares(): Shares | undefined {
    return this.isReported ? this.#rests() : undefined;
  }

  /** Charge the rest and end the hold; return whether it has ended. */
  async #chargeLast(): Promise<boolean> {
    const shares = this.#lastShares;
    try {
      // Another key than that of a hold that is given back: a later delivery is charged already.
      if (shares?.length === 0) await this.#release(this.#isPartPaid ? ".end" : ".release");
      else await this.charge(shares, ".capture", true);
      return true;
    } catch (error) {
      if (shares === undefined) throw error;
      this.#leaveOut(shares, error);
      return false;
    }
  }

  /** Release what may be held. If that fails, it is released when the hold expires. */
  async #release(suffix: ".release" | ".end", reason?: string, state?: CallState): Promise<void> {
    if (this.isCharged || !(this.isHeld || this.#mayBeHeld)) return;
    try {
      await this.sendRelease(suffix, reason, state);
    } catch (error) {
      const isOver =
        error instanceof HoldEndedError ||
        error instanceof HoldNotFoundError ||
        error instanceof IdempotencyKeyReusedError;
      if (!isOver) this.caller.log(`could not release ${this.label}, which will expire`, error);
    }
  }

  #checkPriced(used: Used, line?: string): void {
    if (typeof used !== "number" && line === undefined && this.feature === undefined) {
      throw new RangeError("this hold has no feature of its own: name the line's for its meters");
    }
  }

  #ensureOpen(): void {
    if (this.#isOver) throw new Error("a hold that is over can be neither used nor captured");
  }
}

/** Round fractions of a unit up, but not what only the arithmetic of fractions has added. */
export function wholeUnits(units: number): number {
  return Math.ceil(Number(units.toFixed(6)));
}

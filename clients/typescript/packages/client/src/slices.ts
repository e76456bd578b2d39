/**
 * The state of a lease: what is held, what is counted, and which call to send next.
 *
 * This module sends nothing, never waits, and takes the time as an argument. Its driver asks for
 * the next step, sends its call, and reports the outcome, one step at a time. Uses are counted
 * meanwhile.
 *
 *     credits held = room + counted + being captured
 */

import type { Log } from "./caller.js";
import * as calls from "./calls.js";
import {
  ApiError,
  HoldEndedError,
  HoldExceededError,
  HoldNotFoundError,
  InsufficientCreditsError,
  isFromScrip,
  NotPaidError,
  type Problem,
  type ScripError,
  ServerError,
} from "./errors.js";
import { isByApp } from "./keys.js";
import type {
  Catalog,
  Feature,
  Held,
  HoldPosting,
  HoldState,
  HoldUse,
  Posting,
  Use,
} from "./models.js";
import { priceOf } from "./used.js";

export interface LeaseSpec {
  feature: string | undefined;
  sliceCredits: number;
  captureSeconds: number;
  captureUses: number;
  expiresIn: number;
}

export type CountResult = "no room" | "counted" | "step due";

/** A sum of uses: their credits, their number and their units. */
interface Uses {
  readonly credits: number;
  readonly number: number;
  readonly units: number;
}

/**
 * A hold, and how many of its credits are `left` to capture.
 *
 * `endsAt` and `expiresAt` are the same instant, in seconds by the driver's clock and in ms by
 * Scrip's. A slice `isAtLimit` if it cannot be extended any more.
 */
interface Slice {
  readonly holdId: string;
  left: number;
  endsAt: number;
  expiresAt: number;
  isAtLimit: boolean;
}

interface ReadPrice {
  readonly kind: "read price";
  readonly call: calls.Call<Catalog>;
}

/** Hold another slice, for a waiting use of `wanted` credits; 0 if none waits yet. */
interface HoldSlice {
  readonly kind: "hold";
  readonly call: calls.Call<HoldPosting>;
  readonly credits: number;
  readonly wanted: number;
  readonly begun: number;
}

/** Charge uses to a slice, or to the account if the slice is gone. */
interface Capture {
  readonly kind: "capture";
  readonly call: calls.Call<Posting>;
  readonly uses: Uses;
  readonly slice: Slice | undefined;
  readonly ends: boolean;
}

interface Extend {
  readonly kind: "extend";
  readonly call: calls.Call<HoldState>;
  readonly slice: Slice;
  readonly begun: number;
}

interface Release {
  readonly kind: "release";
  readonly call: calls.Call<Posting>;
  readonly slice: Slice;
}

export type Step = ReadPrice | HoldSlice | Capture | Extend | Release;

const NONE: Uses = { credits: 0, number: 0, units: 0 };

/** The slices of one lease. Times are in seconds, from any clock that never goes back. */
export class Slices {
  readonly #accountId: string;
  readonly #spec: LeaseSpec;
  readonly #log: Log;
  #slices: Slice[] = [];
  #price: Feature | undefined;
  #isPriceDue: boolean;
  #room = 0;
  #counted = NONE;
  #capturing: Capture | undefined;
  #unpaid = 0;
  #opening: HoldSlice | undefined;
  #usableUntil = Infinity;
  #lastUseAt = -Infinity;
  #isDueReported = false;
  #isClosing = false;
  #refusal: ScripError | undefined;
  #refusedUntil = -Infinity;
  #prefetchFrom = -Infinity;

  constructor(accountId: string, spec: LeaseSpec, log: Log) {
    this.#accountId = accountId;
    this.#spec = spec;
    this.#log = log;
    this.#isPriceDue = spec.feature !== undefined;
  }

  /** Credits that can still be counted before another slice is needed. */
  get room(): number {
    return this.#room;
  }

  get isClosing(): boolean {
    return this.#isClosing;
  }

  /** The counted uses that are not certainly charged. */
  get uncaptured(): Uses {
    return sum(this.#counted, this.#capturing?.uses ?? NONE);
  }

  /** The error to throw for counted uses that cannot be charged any more. */
  get notPaid(): NotPaidError | undefined {
    return this.#unpaid ? new NotPaidError(this.#accountId, this.#unpaid) : undefined;
  }

  /**
   * Count a use if there is room for it.
   *
   * The counted uses that are not charged yet never exceed one slice, unless a single use does.
   *
   * @throws {Error} the lease is closed.
   */
  count(units: number, now: number): CountResult {
    if (this.#isClosing) throw new Error("the lease is closed");
    const cost = this.#cost(units);
    if (cost === undefined || cost > this.#room || now >= this.#usableUntil) return "no room";
    const uncaptured = this.uncaptured.credits;
    if (uncaptured && uncaptured + cost > this.#spec.sliceCredits) return "no room";
    this.#room -= cost;
    this.#counted = sum(this.#counted, { credits: cost, number: 1, units });
    this.#lastUseAt = now;
    const isDue =
      this.#counted.number >= this.#spec.captureUses ||
      2 * (uncaptured + cost) >= this.#spec.sliceCredits ||
      this.#isSliceDue(now, 0);
    if (!isDue || this.#isDueReported) return "counted";
    this.#isDueReported = true;
    return "step due";
  }

  /** Return the error to refuse a use with, if there is no room and no hope for now. */
  refusal(units: number, now: number): ScripError | undefined {
    const refusal = this.#refusal;
    if (refusal === undefined || now >= this.#refusedUntil) return undefined;
    if (!(refusal instanceof InsufficientCreditsError)) return refusal;
    const required = this.#cost(units) ?? 0;
    const available = refusal.problem.available + this.#room;
    if (required <= available) return undefined;
    const missing = { required, available, shortfall: required - available };
    return new InsufficientCreditsError(402, { ...refusal.problem, ...missing });
  }

  /** Refuse further uses; the remaining steps charge what was counted and release the rest. */
  close(): void {
    this.#isClosing = true;
  }

  /**
   * Return the step to take now, undefined if nothing is due; `waiting` units wait for room.
   *
   * A step that got no answer is repeated, with its key.
   */
  nextStep(now: number, waiting?: number): Step | undefined {
    this.#isDueReported = false;
    if (this.#capturing !== undefined) return this.#capturing;
    if (this.#isClosing) return this.#capture() ?? this.#releaseFirst();
    const wanted = waiting === undefined ? 0 : (this.#cost(waiting) ?? 1);
    return (
      this.#extendOrRelease(now) ?? this.#readPrice() ?? this.#hold(now, wanted) ?? this.#capture()
    );
  }

  /** Record a step's answer. */
  answered(step: Step, answer: unknown): void {
    if (!(this.#refusal instanceof ApiError)) this.#refusal = undefined;
    switch (step.kind) {
      case "read price":
        this.#price = (answer as Catalog).features.find(
          ({ feature_id }) => feature_id === this.#spec.feature,
        );
        this.#isPriceDue = false;
        break;
      case "hold":
        this.#opening = this.#refusal = undefined;
        this.#addSlice(answer as HoldPosting, step.begun);
        break;
      case "capture":
        this.#recordCapture(step, answer as Posting);
        break;
      case "extend":
        this.#recordExtension(step.slice, (answer as HoldState).hold, step.begun);
        break;
      case "release":
        this.#drop(step.slice);
    }
    this.#recount();
  }

  /** Record that a step was refused or not answered; return whether to go on at once. */
  failed(step: Step, error: ScripError, now: number): boolean {
    const isRefused = isRefusal(error);
    if (step.kind === "capture" && step.slice !== undefined && isHoldGone(error)) {
      this.#chargeToAccount(step, step.slice);
    } else if (step.kind === "capture" && isRefused) {
      const { credits, number } = step.uses;
      const what = `${credits} credits for ${number} uses`;
      this.#log(`${what} remain unpaid on account ${this.#accountId}`, error);
      this.#unpaid += credits;
      this.#capturing = undefined;
      if (step.slice !== undefined) this.#drop(step.slice);
    } else if (step.kind === "hold" && isRefused) {
      this.#opening = undefined;
      this.#refuseSlice(step, error, now);
    } else if (step.kind === "release" || (step.kind === "extend" && isRefused)) {
      this.#drop(step.slice);
    } else {
      this.#refuse(error, now);
      return false;
    }
    this.#recount();
    return true;
  }

  /** Return the credits that a single use costs; undefined while its price is unknown. */
  #cost(units: number): number | undefined {
    if (this.#spec.feature === undefined) return units;
    return this.#price && priceOf(this.#price, units);
  }

  /** Whether another slice is needed: for a waiting use, or before this one is used up. */
  #isSliceDue(now: number, wanted: number): boolean {
    if (wanted > this.#room) return true;
    return 2 * this.#room < this.#spec.sliceCredits && now >= this.#prefetchFrom;
  }

  /**
   * Extend a slice at half its life.
   *
   * If the lease was not used meanwhile, or the slice is at its limit, charge and release it.
   */
  #extendOrRelease(now: number): Step | undefined {
    const life = this.#spec.expiresIn;
    const slice = this.#slices.find(({ endsAt }) => now >= endsAt - life / 2);
    if (slice === undefined) return undefined;
    const isIdle = this.#lastUseAt < slice.endsAt - life && !this.#counted.number;
    if (isIdle || slice.isAtLimit) return this.#capture() ?? this.#release(slice);
    const call = calls.extendHold(this.#accountId, slice.holdId, { expires_in: life });
    return { kind: "extend", call, slice, begun: now };
  }

  #readPrice(): Step | undefined {
    return this.#isPriceDue ? { kind: "read price", call: calls.catalog() } : undefined;
  }

  #hold(now: number, wanted: number): Step | undefined {
    const isUsed = this.#lastUseAt > now - this.#spec.expiresIn / 2;
    if (!this.#isSliceDue(now, wanted) || !(wanted || isUsed)) return undefined;
    // If its call was not answered, a slice may be held: repeated with its key, it is held once.
    if (this.#opening && now < this.#opening.begun + this.#spec.expiresIn / 2) {
      this.#opening = { ...this.#opening, wanted };
    } else {
      this.#opening = this.#holdStep(Math.max(this.#spec.sliceCredits, wanted), wanted, now);
    }
    return this.#opening;
  }

  /** Return the step that holds credits, or the units of the feature that they buy. */
  #holdStep(credits: number, wanted: number, begun: number): HoldSlice {
    const { feature, expiresIn } = this.#spec;
    const { cost, per } = this.#price ?? {};
    const units = cost && per ? Math.max(1, Math.floor((credits * per) / cost)) : 1;
    const use = feature === undefined ? { amount: credits } : { feature, quantity: units };
    const body = { ...use, expires_in: expiresIn } as HoldUse;
    return { kind: "hold", call: calls.openHold(this.#accountId, body), credits, wanted, begun };
  }

  /** Charge what was counted to the oldest slice, up to what it has left. */
  #capture(): Step | undefined {
    if (!this.#counted.number) return undefined;
    const [slice] = this.#slices;
    let uses = this.#counted;
    let ends = false;
    let call: calls.Call<Posting>;
    if (slice === undefined) {
      call = this.#consume(uses);
    } else {
      // A use may be split between two slices; the total is right.
      if (uses.credits > slice.left) uses = part(uses, slice.left);
      ends = this.#isClosing || uses.credits === slice.left;
      const body = { amount: uses.credits, final: ends, metadata: this.#metadata(uses) };
      call = calls.captureHold(this.#accountId, slice.holdId, body);
    }
    this.#counted = difference(this.#counted, uses);
    this.#capturing = { kind: "capture", call, uses, slice, ends };
    return this.#capturing;
  }

  /** Return the call that charges uses to the account. */
  #consume(uses: Uses): calls.Call<Posting> {
    const { feature } = this.#spec;
    const metadata = { ...this.#metadata(uses), ...(feature === undefined ? {} : { feature }) };
    return calls.consume(this.#accountId, { amount: uses.credits, metadata } as Use);
  }

  #metadata({ number, units }: Uses): Record<string, number> {
    return this.#spec.feature === undefined ? { uses: number } : { uses: number, quantity: units };
  }

  #releaseFirst(): Step | undefined {
    const [slice] = this.#slices;
    return slice && this.#release(slice);
  }

  #release(slice: Slice): Release {
    const call = calls.releaseHold(this.#accountId, slice.holdId, {});
    return { kind: "release", call, slice };
  }

  #addSlice({ hold, entry }: HoldPosting, begun: number): void {
    const expiresAt = Date.parse(hold.expires_at as string);
    const life = (expiresAt - Date.parse(entry.recorded_at)) / 1000;
    this.#slices.push({
      holdId: hold.hold_id,
      left: hold.left,
      endsAt: begun + Math.min(life, this.#spec.expiresIn),
      expiresAt,
      isAtLimit: false,
    });
    this.#isPriceDue = entry.feature_version !== (this.#price?.version ?? null);
  }

  #recordCapture(step: Capture, { entry }: Posting): void {
    const { slice, uses, ends } = step;
    if (slice !== undefined && !isByApp(entry, slice.holdId)) {
      // A user ended the hold with an identical capture.
      this.#chargeToAccount(step, slice);
      return;
    }
    this.#capturing = undefined;
    if (slice === undefined) return;
    slice.left -= uses.credits;
    if (ends || slice.left === 0) this.#drop(slice);
  }

  /** Record a slice's new end: no hold outlives its limit, whatever extends it. */
  #recordExtension(slice: Slice, hold: Held, begun: number): void {
    const expiresAt = Date.parse(hold.expires_at as string);
    const gained = (expiresAt - slice.expiresAt) / 1000;
    slice.endsAt = Math.min(slice.endsAt + gained, begun + this.#spec.expiresIn);
    slice.expiresAt = expiresAt;
    slice.isAtLimit = slice.endsAt < begun + this.#spec.expiresIn / 2;
  }

  /** Charge uses to the account, since their slice did not pay for them. */
  #chargeToAccount(step: Capture, slice: Slice): void {
    this.#drop(slice);
    this.#capturing = { ...step, call: this.#consume(step.uses), slice: undefined };
  }

  /** Try a smaller slice for a waiting use, if the account has enough credits for that. */
  #refuseSlice(step: HoldSlice, error: ScripError, now: number): void {
    this.#prefetchFrom = now + this.#spec.captureSeconds;
    if (!step.wanted) return;
    if (error instanceof InsufficientCreditsError) {
      const affordable = error.problem.available;
      const isEnough = step.wanted - this.#room <= affordable && affordable < step.credits;
      const { cost = 0, per = 1 } = this.#price ?? {};
      if (isEnough && affordable * per >= (cost ?? 0)) {
        this.#opening = this.#holdStep(affordable, step.wanted, now);
        return;
      }
    }
    this.#refuse(error, now);
  }

  /** Refuse uses that find no room for a while, without asking Scrip about each. */
  #refuse(error: ScripError, now: number): void {
    this.#refusal = error;
    this.#refusedUntil = now + this.#spec.captureSeconds;
  }

  #drop(slice: Slice): void {
    this.#slices = this.#slices.filter((other) => other !== slice);
  }

  #recount(): void {
    const held = this.#slices.reduce((total, { left }) => total + left, 0);
    const charged = this.#capturing?.slice ? this.#capturing.uses.credits : 0;
    this.#room = held - charged - this.#counted.credits;
    this.#usableUntil = Math.min(Infinity, ...this.#slices.map(({ endsAt }) => endsAt));
  }
}

function sum(one: Uses, other: Uses): Uses {
  return {
    credits: one.credits + other.credits,
    number: one.number + other.number,
    units: one.units + other.units,
  };
}

function difference(all: Uses, some: Uses): Uses {
  return sum(all, { credits: -some.credits, number: -some.number, units: -some.units });
}

/** Return the part of uses that costs `credits`. */
function part(uses: Uses, credits: number): Uses {
  return {
    credits,
    number: Math.floor((uses.number * credits) / uses.credits),
    units: Math.floor((uses.units * credits) / uses.credits),
  };
}

/** Whether the hold lacks the credits that were counted on it: it expired, or was used up. */
function isHoldGone(error: ScripError): boolean {
  return (
    error instanceof HoldEndedError ||
    error instanceof HoldNotFoundError ||
    error instanceof HoldExceededError
  );
}

/** Whether Scrip itself refused, and would do so again. */
function isRefusal(error: ScripError): boolean {
  if (!(error instanceof ApiError) || error instanceof ServerError) return false;
  return isFromScrip(error.problem as Problem);
}

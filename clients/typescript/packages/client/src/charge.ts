/** A charge: credits are taken before a block runs, and given back if it throws. */

import { type Caller, CallState } from "./caller.js";
import * as calls from "./calls.js";
import {
  AlreadyRefundedError,
  EntryNotFoundError,
  IdempotencyKeyReusedError,
  NotPaidError,
  TooManyAttemptsError,
  UnavailableError,
} from "./errors.js";
import { derivedKey, isByApp, keyOf } from "./keys.js";
import type { Balance, Entry, Keyed, Posting, Use } from "./models.js";
import { ONE_TRY } from "./retries.js";

/** How often one key can be charged and refunded in turn. */
export const ATTEMPTS_MAX = 20;

const REASON_LENGTH_MAX = 256;

/** With `failOpen` the block runs even if Scrip is unavailable. */
export interface FailOpen {
  failOpen?: boolean | undefined;
}

export type ChargeUse = Use & Keyed & FailOpen;

/**
 * A charge as its block sees it.
 *
 * `entry` is what was taken and `account` what is left; both are undefined unless it is certain
 * that the credits were taken (`isCharged`).
 */
export class Charge {
  entry: Entry | undefined;
  account: Balance | undefined;
  readonly #caller: Caller;
  readonly #use: Use;
  readonly #hasOwnKey: boolean;
  readonly #failOpen: boolean;
  #key: string;
  #state: CallState;
  #mayBeCharged = false;
  #parts = 0;
  readonly #failedRefunds = new Map<string, string>();

  /** @internal */
  constructor(
    caller: Caller,
    readonly accountId: string,
    { idempotencyKey, failOpen = false, ...use }: ChargeUse,
  ) {
    this.#caller = caller;
    this.#use = use as Use;
    this.#hasOwnKey = idempotencyKey !== undefined;
    this.#failOpen = failOpen;
    this.#key = keyOf(idempotencyKey);
    this.#state = caller.newState();
  }

  /** Whether the credits were certainly taken; with `failOpen` that may be unknown. */
  get isCharged(): boolean {
    return this.entry !== undefined;
  }

  /** The entry's id, or the idempotency key while the id is unknown. */
  get entryId(): string {
    return this.entry?.entry_id ?? this.#key;
  }

  /**
   * Give back some credits, or all that are left; undefined if none were taken.
   *
   * A repetition after a failure has the same key, so it counts once.
   *
   * @throws {RefundTooLargeError} fewer credits are left.
   * @throws {ScripError} the refund failed.
   */
  async refund({ amount, reason }: RefundPart): Promise<Posting | undefined> {
    if (!this.isCharged && !this.#mayBeCharged) return undefined;
    const part = JSON.stringify([amount, reason]);
    const failed = this.#failedRefunds.get(part);
    this.#failedRefunds.delete(part);
    const key = failed ?? (await derivedKey(this.#key, `.refund-${++this.#parts}`));
    try {
      const posting = await this.#sendRefund(key, reason, amount);
      this.account = posting.account;
      return posting;
    } catch (error) {
      this.#failedRefunds.set(part, key);
      const isUncertain = error instanceof EntryNotFoundError || error instanceof UnavailableError;
      if (this.isCharged || !isUncertain) throw error;
      this.#caller.log(
        `nothing was refunded of entry ${this.entryId} of account ${this.accountId}, ` +
          `which may not exist, with the idempotency key ${key}`,
        error,
      );
      return undefined;
    }
  }

  /**
   * Take the credits.
   *
   * @internal
   * @throws {ScripError} the credits were not taken, or a refund has been attempted.
   */
  async begin(): Promise<void> {
    try {
      const posting = await this.#consume();
      this.entry = posting.entry;
      this.account = posting.account;
    } catch (error) {
      this.#mayBeCharged = this.#state.mayHaveTakenEffect;
      if (!this.#failOpen || !(error instanceof UnavailableError)) {
        // A charge with a key of the app's own stays: another delivery of the job may rely on it.
        if (!this.#hasOwnKey) await this.refundRest(error, new CallState(ONE_TRY));
        throw error;
      }
      // Another delivery may have charged under the same key.
      this.#mayBeCharged ||= this.#hasOwnKey;
      this.#caller.log(`running a block uncharged on account ${this.accountId}`, error);
    }
  }

  /**
   * Refund all that is left, because of the error that is about to be thrown.
   *
   * If that fails, or if the charge may still arrive, the log says what to refund by hand.
   *
   * @internal
   */
  async refundRest(cause: unknown, state?: CallState): Promise<void> {
    if (!this.isCharged && !this.#mayBeCharged) return;
    const key = await derivedKey(this.#key, ".refund");
    const byHand =
      `refund entry ${this.entryId} of account ${this.accountId} ` +
      `with the idempotency key ${key}`;
    try {
      await this.#refundOnce(key, reasonOf(cause), state);
    } catch (error) {
      if (error instanceof EntryNotFoundError) {
        this.#caller.log(`nothing was taken yet; if the charge still arrives, ${byHand}`, error);
        return;
      }
      const isTaken = error instanceof IdempotencyKeyReusedError;
      const more = isTaken ? ", which is taken: choose another" : "";
      this.#caller.log(`credits may still be taken: ${byHand}${more}`, error);
    }
  }

  /**
   * Charge under the key, or under the next one if that charge was refunded.
   *
   * So a job that failed, was refunded and is delivered again is charged again.
   *
   * @throws {NotPaidError} a user's token has charged under the app's key.
   * @throws {TooManyAttemptsError} every key has been charged and refunded.
   */
  async #consume(): Promise<Posting> {
    const firstKey = this.#key;
    for (let number = 2; number < ATTEMPTS_MAX + 2; number += 1) {
      this.#state = this.#caller.newState();
      const call = calls.consume(this.accountId, { ...this.#use, idempotencyKey: this.#key });
      const posting = await this.#caller.send(call, this.#state);
      if (!this.#hasOwnKey || !posting.replayed) return posting;
      const entryId = posting.entry.entry_id;
      const found = await this.#caller.send(calls.entry(this.accountId, entryId));
      if (found.cost === null || found.refunded < found.cost) {
        if (isByApp(found, entryId)) return posting;
        throw new NotPaidError(this.accountId, found.cost ?? 0, 0, entryId);
      }
      this.#key = await derivedKey(firstKey, `.${number}`);
    }
    throw new TooManyAttemptsError(`${firstKey} was charged and refunded ${ATTEMPTS_MAX} times`);
  }

  async #refundOnce(key: string, reason: string, state?: CallState): Promise<void> {
    try {
      this.account = (await this.#sendRefund(key, reason, undefined, state)).account;
    } catch (error) {
      if (error instanceof AlreadyRefundedError) return;
      if (!(error instanceof IdempotencyKeyReusedError)) throw error;
      // Another delivery may have refunded it, for another reason.
      const found = await this.#caller.send(
        calls.entry(this.accountId, error.problem.entry_id),
        state,
      );
      if (found.refunds !== this.entryId) throw error;
    }
  }

  #sendRefund(key: string, reason: string, amount?: number, state?: CallState): Promise<Posting> {
    const part = amount === undefined ? {} : { amount };
    const body = { entry_id: this.entryId, reason, ...part, idempotencyKey: key };
    return this.#caller.send(calls.refund(this.accountId, body), state);
  }
}

export interface RefundPart {
  /** Credits; all that are left by default. */
  amount?: number;
  /** The ledger keeps it, and the user can read it. */
  reason: string;
}

/** Return an error's name and message as a refund's reason: one short line. */
export function reasonOf(error: unknown): string {
  const text = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  const printable = text.replace(/[\p{C}\p{Z}]+/gu, " ").trim();
  return printable.slice(0, REASON_LENGTH_MAX) || "unknown error";
}

/**
 * The credits of one hold: opened, extended, charged and released, no matter who ends the hold.
 *
 * An app is paid exactly what it asked for, or gets an error. Only entries that a service or an
 * admin created count as paid; what a user's own token captured does not.
 */

import type { Caller, CallState } from "./caller.js";
import * as calls from "./calls.js";
import { ATTEMPTS_MAX, type FailOpen } from "./charge.js";
import {
  AccountFrozenError,
  EntryNotFoundError,
  HoldEndedError,
  HoldExceededError,
  HoldNotFoundError,
  HoldNotYoursError,
  IdempotencyKeyReusedError,
  InsufficientCreditsError,
  NotPaidError,
  TooManyAttemptsError,
} from "./errors.js";
import { derivedKey, isByApp, keyOf, USER_PREFIX } from "./keys.js";
import type {
  Balance,
  Entry,
  HoldPosting,
  HoldUse,
  Keyed,
  OneEntry,
  Posting,
  Schemas,
  Use,
} from "./models.js";
import { fieldsOf, type Share, type Shares } from "./used.js";

/** How many uses one capture can charge. */
export const LINES_MAX = 25;

export type HoldOptions = HoldUse & Keyed & FailOpen;

export type Metadata = Schemas["Metadata"];

type Capture = Schemas["CaptureRequest"];
type Measure = { amount?: number | null; quantity?: number | null; usage?: object | null };

/** A hold as the API sees it. Charges have a suffix, which makes their key of the hold's. */
export class HeldCredits {
  /** The last charge. */
  entry: Entry | undefined;
  /** What was left after the last call. */
  account: Balance | undefined;
  /** Whether an earlier delivery of the job was charged, so this one is not. */
  isCharged = false;
  /** How many seconds it lives unless it is extended. */
  readonly expiresIn: number;
  /** The uses that it is for, if there are several. */
  readonly lines: readonly Schemas["LineRequest"][];
  /** Its own feature; undefined if it is for credits or for lines. */
  protected readonly feature: string | undefined;
  protected readonly caller: Caller;
  protected readonly hasOwnKey: boolean;
  protected readonly failOpen: boolean;
  protected state: CallState;
  /** What the ledger keeps with the charges that follow, beside the hold's own metadata. */
  protected reported: Metadata = {};
  readonly #use: HoldUse;
  /** What was to be held: an amount, or a quantity or meters of the feature. */
  readonly #measure: Measure;
  #name: string;
  #holdId: string | undefined;
  #cost: number | undefined;
  /** The names of the job's holds before this one, which ended unpaid. */
  readonly #earlierNames: string[] = [];
  readonly #counted = new Map<string, number>();

  /** @internal */
  constructor(
    caller: Caller,
    readonly accountId: string,
    { idempotencyKey, failOpen = false, ...use }: HoldOptions,
  ) {
    this.caller = caller;
    this.expiresIn = use.expires_in ?? calls.HOLD_SECONDS;
    this.hasOwnKey = idempotencyKey !== undefined;
    this.failOpen = failOpen;
    this.state = caller.newState();
    this.#use = { ...use, expires_in: this.expiresIn } as HoldUse;
    const { feature, lines, expires_in, reason, reference, metadata, ...measure } = use;
    this.feature = feature ?? undefined;
    this.lines = lines ?? [];
    this.#measure = measure;
    this.#name = keyOf(idempotencyKey);
  }

  /** What the ledger keeps with all its entries. */
  get metadata(): Metadata {
    return this.#use.metadata ?? {};
  }

  /** Whether it was opened for counts of the feature's meters. */
  get isMetered(): boolean {
    return this.#measure.usage != null;
  }

  /** The hold's id, or the idempotency key while the id is unknown. */
  get holdId(): string {
    return this.#holdId ?? this.#name;
  }

  /**
   * Open the hold; or continue the one that is open under its key; or open the next.
   *
   * So a job that died or failed and is delivered again holds again, and one that was charged is
   * not charged again (`isCharged`).
   */
  protected async open(): Promise<HoldPosting> {
    const firstKey = this.#name;
    for (let number = 2; number < ATTEMPTS_MAX + 2; number += 1) {
      this.state = this.caller.newState();
      const call = calls.openHold(this.accountId, { ...this.#use, idempotencyKey: this.#name });
      const posting = await this.caller.send(call, this.state);
      this.#holdId = posting.hold.hold_id;
      // An older Scrip has one entry.
      const entries = posting.entries ?? [posting.entry];
      this.#cost = entries.reduce((sum, { cost }) => sum + (cost ?? 0), 0);
      if (!this.hasOwnKey || !posting.replayed) return posting;
      try {
        await this.extend();
        return posting;
      } catch (error) {
        if (!(error instanceof HoldEndedError)) throw error;
        this.isCharged = await this.#wasCharged(error.problem.ended_by);
      }
      if (this.isCharged) return posting;
      this.#earlierNames.push(this.#name);
      this.#name = await derivedKey(firstKey, `.${number}`);
      this.#holdId = this.#cost = undefined;
    }
    throw new TooManyAttemptsError(`${firstKey} was held and given back ${ATTEMPTS_MAX} times`);
  }

  protected async extend(): Promise<void> {
    await this.#sendForHold((holdId) =>
      calls.extendHold(this.accountId, holdId, { expires_in: this.expiresIn }),
    );
  }

  protected async sendRelease(
    suffix: ".release" | ".end",
    reason: string | undefined,
    state?: CallState,
  ): Promise<void> {
    const body = { idempotencyKey: await this.keyFor(suffix), ...(reason ? { reason } : {}) };
    const release = (holdId: string) => calls.releaseHold(this.accountId, holdId, body);
    this.account = (await this.#sendForHold(release, state)).account;
  }

  /**
   * Charge for what was used, or for all that is held (undefined), even if the hold has ended.
   *
   * Undefined if that was charged already.
   *
   * @throws {NotPaidError} something else was charged in its place.
   */
  protected async charge(
    shares: Shares | undefined,
    suffix: string,
    final: boolean,
  ): Promise<Posting | undefined> {
    if (!final && (await this.#wasChargedEarlier(shares, suffix))) return undefined;
    try {
      return await this.#capture(suffix, this.captureBody(shares, final));
    } catch (error) {
      if (error instanceof HoldNotFoundError) {
        // It was never opened: `failOpen`.
        return this.#chargeWithoutHold(shares, suffix);
      }
      if (error instanceof HoldEndedError) {
        return this.#chargeMissing(error.problem.ended_by, shares, suffix, final);
      }
      if (error instanceof IdempotencyKeyReusedError) {
        const found = await this.#find(error.problem.entry_id);
        this.#count(found, await this.#price(shares), this.holdId);
        return undefined;
      }
      if (error instanceof AccountFrozenError || error instanceof InsufficientCreditsError) {
        await this.#captureHeld(suffix);
      }
      throw error;
    }
  }

  /**
   * Return the fields of a capture.
   *
   * All that is held is captured as an amount, so that the app is paid in full even if someone
   * else captured a part.
   */
  protected captureBody(shares: Shares | undefined, final: boolean): Capture {
    const held = this.#cost === undefined ? this.#measure : { amount: this.#cost };
    const [share, ...others] = shares ?? [];
    const isOwn = share !== undefined && share.feature === undefined && others.length === 0;
    const used = isOwn ? this.#measured(share) : { lines: this.#uses(shares) };
    const use = shares === undefined ? held : used;
    return { ...use, final, excess: "available", ...this.#details() } as Capture;
  }

  protected keyFor(suffix: string): Promise<string> {
    return derivedKey(this.#name, suffix);
  }

  protected get label(): string {
    return `hold ${this.holdId} of account ${this.accountId}`;
  }

  /** Capture all that is held, since what exceeds it is refused; earlier parts may have used it. */
  async #captureHeld(suffix: string): Promise<void> {
    try {
      await this.#capture(`${suffix}.held`, this.#details());
      this.caller.log(`${this.label} was captured in full; what exceeds it is not paid`);
    } catch (error) {
      if (!(error instanceof HoldExceededError)) throw error;
    }
  }

  async #capture(suffix: string, body: Capture): Promise<Posting> {
    const keyed = { ...body, idempotencyKey: await this.keyFor(suffix) };
    const capture = (holdId: string) => calls.captureHold(this.accountId, holdId, keyed);
    return this.#accept(await this.#sendForHold(capture));
  }

  /**
   * Whether an earlier delivery charged what the hold was for: in parts, at its end, or later.
   *
   * @throws {NotPaidError} someone else charged another amount to the hold.
   */
  async #wasCharged(endedBy: string | null): Promise<boolean> {
    const found = endedBy === null ? undefined : await this.#find(endedBy);
    if (found !== undefined && (await this.#isOwnEnd(found))) return true;
    const end = found !== undefined && this.#isPayment(found) ? found : undefined;
    if (end !== undefined) {
      const own = [await this.#entryId(".capture"), await this.#entryId(".capture.held")];
      if (end.cost === this.#cost || own.includes(end.entry_id)) return true;
    }
    if (await this.#findPayment(await this.#entryId(".capture.late"))) return true;
    if (end !== undefined) throw this.#notPaid(this.#cost ?? 0, end);
    return false;
  }

  /**
   * Whether an earlier delivery charged a part, before its hold ended unpaid.
   *
   * @throws {NotPaidError} it charged another amount.
   */
  async #wasChargedEarlier(shares: Shares | undefined, suffix: string): Promise<boolean> {
    for (const name of this.#earlierNames) {
      const charges = [
        [suffix, await this.#entryId("", name)],
        [`${suffix}.late`, null],
      ] as const;
      for (const [charge, holdId] of charges) {
        const found = await this.#findPayment(await this.#entryId(charge, name));
        if (found === undefined) continue;
        this.#count(found, await this.#price(shares), holdId);
        return true;
      }
    }
    return false;
  }

  /**
   * Charge what the entry that ended the hold has not paid; undefined if it has paid everything.
   *
   * A release, an expiry and a capture by a user's token pay nothing.
   *
   * @throws {NotPaidError} it has paid more than requested, or was refunded in part, or another
   *   delivery has ended the hold after charging everything in parts.
   */
  async #chargeMissing(
    endedBy: string | null,
    shares: Shares | undefined,
    suffix: string,
    final: boolean,
  ): Promise<Posting | undefined> {
    if (endedBy === null) return this.#chargeWithoutHold(shares, suffix);
    const found = await this.#find(endedBy);
    if (await this.#isOwnEnd(found)) throw this.#notPaid(await this.#price(shares), found);
    if (!this.#isPayment(found)) return this.#chargeWithoutHold(shares, suffix);
    const price = await this.#price(shares);
    const uncounted = this.#uncounted(found);
    if (found.refunded || (final && uncounted > price)) throw this.#notPaid(price, found);
    const paid = Math.min(price, uncounted);
    const posting = paid < price ? await this.#chargeWithoutHold(shares, suffix, paid) : undefined;
    this.#addCounted(endedBy, paid);
    return posting;
  }

  /**
   * Charge the account for uses, less what is paid; undefined if another delivery has.
   *
   * @throws {NotPaidError} the key belongs to something else.
   */
  async #chargeWithoutHold(
    shares: Shares | undefined,
    suffix: string,
    paid = 0,
  ): Promise<Posting | undefined> {
    const isOfLines = shares === undefined && this.lines.length > 0;
    const uses =
      paid || isOfLines ? [{ amount: (await this.#price(shares)) - paid }] : this.#uses(shares);
    const detailed = uses.map((use) => ({ ...this.#details(), ...use }) as Use);
    const key = { idempotencyKey: await this.keyFor(`${suffix}.late`) };
    try {
      return await this.#accept(await this.#consume(detailed, key));
    } catch (error) {
      if (!(error instanceof IdempotencyKeyReusedError)) throw error;
      const found = await this.#find(error.problem.entry_id);
      this.#count(found, (await this.#price(shares)) - paid, null);
      return undefined;
    }
  }

  async #consume(uses: readonly Use[], keyed: Keyed): Promise<Posting> {
    const [use, ...others] = uses;
    if (use !== undefined && others.length === 0) {
      return this.caller.send(calls.consume(this.accountId, { ...use, ...keyed }));
    }
    const batch = await this.caller.send(calls.batch(this.accountId, [...uses], keyed));
    return { ...batch, entry: batch.entries[0]! };
  }

  /**
   * Accept a charge; a replayed one only if the app made it.
   *
   * @throws {NotPaidError} a user made it, or it was refunded, or it counts already.
   */
  async #accept(posting: Posting): Promise<Posting> {
    if (posting.replayed) {
      const found = await this.#find(posting.entry.entry_id);
      this.#count(found, found.cost ?? 0, posting.entry.hold_id);
    }
    this.entry = posting.entry;
    this.account = posting.account;
    return posting;
  }

  /**
   * Count an earlier charge as paid, if it is exactly what is requested now.
   *
   * @throws {NotPaidError} it is not.
   */
  #count(found: OneEntry, price: number, holdId: string | null): void {
    if (found.hold_id !== holdId || found.refunded || this.#uncounted(found) !== price) {
      throw this.#notPaid(price, found);
    }
    this.#addCounted(found.entry_id, price);
  }

  #addCounted(entryId: string, credits: number): void {
    this.#counted.set(entryId, (this.#counted.get(entryId) ?? 0) + credits);
  }

  /** Return the credits that an entry has paid and that have not been counted yet. */
  #uncounted(found: OneEntry): number {
    if (!this.#isPayment(found)) return 0;
    return (found.cost ?? 0) - found.refunded - (this.#counted.get(found.entry_id) ?? 0);
  }

  /** Whether an entry is a use that the app charged and has not refunded in full. */
  #isPayment(found: OneEntry): boolean {
    const isCharge = found.type === "usage" && isByApp(found, this.holdId);
    return isCharge && found.refunded < (found.cost ?? 0);
  }

  #notPaid(price: number, found: OneEntry): NotPaidError {
    const paid = this.#uncounted(found);
    return new NotPaidError(this.accountId, price, paid, found.entry_id, this.holdId);
  }

  /** Whether a delivery of this job ended the hold after it had charged everything in parts. */
  async #isOwnEnd(found: OneEntry): Promise<boolean> {
    return found.entry_id === (await this.#entryId(".end")) && isByApp(found, this.holdId);
  }

  /** Return an entry with the `cost` and `refunded` of all that were written with it. */
  async #find(entryId: string): Promise<OneEntry> {
    const first = await this.caller.send(calls.entry(this.accountId, entryId));
    let { cost, refunded } = first;
    try {
      for (let number = 2; number <= LINES_MAX; number += 1) {
        const other = calls.entry(this.accountId, `${entryId}~${number}`);
        const found = await this.caller.send(other);
        cost = (cost ?? 0) + (found.cost ?? 0);
        refunded += found.refunded;
      }
    } catch (error) {
      if (!(error instanceof EntryNotFoundError)) throw error;
    }
    return { ...first, cost, refunded };
  }

  /** Return what `#find` does; undefined if there is no entry, or if it pays nothing. */
  async #findPayment(entryId: string): Promise<OneEntry | undefined> {
    try {
      const found = await this.#find(entryId);
      return this.#isPayment(found) ? found : undefined;
    } catch (error) {
      if (!(error instanceof EntryNotFoundError)) throw error;
      return undefined;
    }
  }

  /** Return what uses cost now, or (undefined) what the hold's credits cost when it opened. */
  async #price(shares: Shares | undefined): Promise<number> {
    if (shares === undefined && this.#cost !== undefined) return this.#cost;
    let price = 0;
    for (const use of this.#uses(shares)) {
      price += use.amount ?? (await this.caller.send(calls.quote(this.accountId, use as Use))).cost;
    }
    return price;
  }

  /** Send a call about the hold, whose id is a guess while its opening is unanswered. */
  async #sendForHold<Answer>(
    make: (holdId: string) => calls.Call<Answer>,
    state?: CallState,
  ): Promise<Answer> {
    try {
      return await this.caller.send(make(this.holdId), state);
    } catch (error) {
      if (!(error instanceof HoldNotYoursError) || this.#holdId !== undefined) throw error;
      // The token is a user's, so the id has a user's prefix.
      this.#holdId = USER_PREFIX + this.#name;
      return this.caller.send(make(this.holdId), state);
    }
  }

  /** Return uses as the API charges them; undefined means all that was to be held. */
  #uses(shares: Shares | undefined): readonly (Measure & { feature?: string | null })[] {
    if (shares === undefined) {
      return this.lines.length ? this.lines : [{ ...this.#featureOf(), ...this.#measure }];
    }
    return shares.map((share) => ({ ...this.#featureOf(share), ...this.#measured(share) }));
  }

  #measured(share: Share): Measure {
    return fieldsOf(share.used, this.#featureOf(share).feature !== undefined);
  }

  #featureOf(share?: Share): { feature?: string } {
    const feature = share?.feature ?? this.feature;
    return feature === undefined ? {} : { feature };
  }

  /** Return what the ledger keeps with each entry of the hold. */
  #details(): Schemas["ReleaseRequest"] {
    const { reason, reference } = this.#use;
    const metadata = { ...this.#use.metadata, ...this.reported };
    return {
      ...(reason == null ? {} : { reason }),
      ...(reference == null ? {} : { reference }),
      ...(Object.keys(metadata).length ? { metadata } : {}),
    };
  }

  /** Return the id of the entry that a key of this hold, or of one with that name, creates. */
  async #entryId(suffix: string, name = this.#name): Promise<string> {
    const prefix = this.holdId.startsWith(USER_PREFIX) ? USER_PREFIX : "";
    return prefix + (await derivedKey(name, suffix));
  }
}

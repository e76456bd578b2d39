/** One account as a client sees it. */

import type { Caller } from "./caller.js";
import * as calls from "./calls.js";
import { Charge, type ChargeUse, reasonOf } from "./charge.js";
import type { HoldOptions } from "./held-credits.js";
import { Hold } from "./hold.js";
import { Lease, type LeaseOptions } from "./lease.js";
import type {
  Account as AccountAnswer,
  Balance,
  Batch,
  EntriesQuery,
  Entry,
  Held,
  HoldPosting,
  HoldState,
  HoldUse,
  Keyed,
  OneEntry,
  Posting,
  Quote,
  Schemas,
  Statement,
  StatementQuery,
  Upcoming,
  Usage,
  UsageQuery,
  Use,
} from "./models.js";

/**
 * An account. Every method throws a `ScripError`, of the class that says why.
 *
 * Requests and answers are the API's own. What changes something takes an `idempotencyKey` beside
 * them: pass your own where your program may repeat the call, such as in a job that can be
 * delivered twice.
 */
export class Account {
  readonly #caller: Caller;

  /** @internal */
  constructor(
    caller: Caller,
    /** The account's id, or `me` for the one that the token belongs to. */
    readonly id: string,
  ) {
    this.#caller = caller;
  }

  /** Read the account as it is now. */
  balance(): Promise<AccountAnswer> {
    return this.#caller.send(calls.balance(this.id));
  }

  /** Read the balance as it was, or as it will be if nothing else changes it. */
  balanceAt(at: Date): Promise<Balance> {
    return this.#caller.send(calls.balanceAt(this.id, at));
  }

  /** List upcoming changes to the account: renewals, expirations, ends of plans and holds. */
  upcoming(limit = 12): Promise<Upcoming> {
    return this.#caller.send(calls.upcoming(this.id, limit));
  }

  /** Return what a use would cost and whether it would be allowed, without charging for it. */
  quote(use: Use): Promise<Quote> {
    return this.#caller.send(calls.quote(this.id, use));
  }

  /** Charge the price of a feature, or an amount: all of it or nothing. */
  consume(use: Use & Keyed): Promise<Posting> {
    return this.#caller.send(calls.consume(this.id, use));
  }

  /** Charge for up to 25 uses, all of them or none, with an entry each. */
  batch(uses: Schemas["BatchRequest"]["uses"], keyed: Keyed = {}): Promise<Batch> {
    return this.#caller.send(calls.batch(this.id, uses, keyed));
  }

  /** Give back what a use took: an `amount` of it, or all that is left. For services. */
  refund(refund: Schemas["RefundRequest"] & Keyed): Promise<Posting> {
    return this.#caller.send(calls.refund(this.id, refund));
  }

  /** Read one entry, with its refunded total. */
  entry(entryId: string): Promise<OneEntry> {
    return this.#caller.send(calls.entry(this.id, entryId));
  }

  /** Read the ledger, newest first; pages are fetched as you iterate. */
  async *entries(query: EntriesQuery = {}): AsyncGenerator<Entry, void, undefined> {
    let cursor: string | undefined;
    do {
      const page: calls.Page = await this.#caller.send(calls.entries(this.id, query, cursor));
      yield* page.entries;
      cursor = page.cursor ?? undefined;
    } while (cursor !== undefined);
  }

  /** Read usage by day and feature; the last 30 days by default. */
  usage(query: UsageQuery = {}): Promise<Usage> {
    return this.#caller.send(calls.usage(this.id, query));
  }

  /** Read what changed the balance: the lines' amounts add up to its change. By day by default. */
  statement(query: StatementQuery = {}): Promise<Statement> {
    return this.#caller.send(calls.statement(this.id, query));
  }

  /**
   * Charge for a block: take the credits before it, and give them back if it throws.
   *
   * If the credits cannot be taken, the block does not run. With a key of your own, a job that is
   * delivered twice is charged once, and again only after a refund.
   */
  async charge<Result>(
    use: ChargeUse,
    block: (charge: Charge) => Result | Promise<Result>,
  ): Promise<Result> {
    const charge = new Charge(this.#caller, this.id, use);
    await charge.begin();
    try {
      return await block(charge);
    } catch (error) {
      await charge.refundRest(error);
      throw error;
    }
  }

  /**
   * Set credits aside for a block: charge what the block uses, and give the rest back.
   *
   * If the credits cannot be held, the block does not run. A block that does not report its use is
   * charged for all that was held; one that throws, for nothing but what it captured. The hold is
   * extended while the block runs.
   */
  async hold<Result>(
    use: HoldOptions,
    block: (hold: Hold) => Result | Promise<Result>,
  ): Promise<Result> {
    const hold = await this.startHold(use);
    let result: Result;
    try {
      result = await block(hold);
    } catch (error) {
      await hold.release(reasonOf(error));
      throw error;
    }
    await hold.end();
    return result;
  }

  /**
   * Set credits aside for work that outlasts any block, such as a stream.
   *
   * Call `end` or `release` in every case: until then the hold is extended.
   */
  async startHold(use: HoldOptions): Promise<Hold> {
    const hold = new Hold(this.#caller, this.id, use);
    await hold.begin();
    return hold;
  }

  /**
   * Use an account thousands of times a second: hold slices of its credits, and count uses here.
   *
   * If the process dies, at most one slice's worth of uses remains uncharged.
   *
   * @throws {RangeError} a number is out of range.
   */
  lease(options: LeaseOptions = {}): Lease {
    return new Lease(this.#caller, this.id, options);
  }

  /** Set aside what a use will cost, for `expires_in` seconds. `hold` does the rest as well. */
  openHold(use: HoldUse & Keyed): Promise<HoldPosting> {
    return this.#caller.send(calls.openHold(this.id, use));
  }

  /** Charge to a hold: a quantity of its feature, an amount, or all that is left of it. */
  captureHold(holdId: string, body: Schemas["CaptureRequest"] & Keyed = {}): Promise<Posting> {
    return this.#caller.send(calls.captureHold(this.id, holdId, body));
  }

  /** Let a hold live for `expires_in` seconds from now, unless it lives longer anyway. */
  extendHold(holdId: string, body: Schemas["ExtendRequest"] = {}): Promise<HoldState> {
    return this.#caller.send(calls.extendHold(this.id, holdId, body));
  }

  /** End a hold and give back all that is left of it. */
  releaseHold(holdId: string, body: Schemas["ReleaseRequest"] & Keyed = {}): Promise<Posting> {
    return this.#caller.send(calls.releaseHold(this.id, holdId, body));
  }

  /** List the open holds, oldest first. */
  async holds(): Promise<Held[]> {
    return (await this.#caller.send(calls.holds(this.id))).holds;
  }
}

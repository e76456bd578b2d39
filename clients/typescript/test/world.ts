/** A world of its own for a test: Scrip with an account of 150 credits, and what goes wrong there. */

import { Scrip, type Account, type ScripOptions } from "@scrip/client";
import { inject } from "vitest";
import { type Books, type Fault, order, type Orders } from "./books.ts";

export class World {
  readonly url = `${inject("scripUrl")}/${crypto.randomUUID()}`;
  /** The warnings of clients. */
  readonly log: string[] = [];

  /** Return a client of an app's back end, or one with a user's own token. */
  scrip(token: "service" | "user" = "service", options: Partial<ScripOptions> = {}): Scrip {
    const log = (message: string) => void this.log.push(message);
    return new Scrip({ url: this.url, token, log, ...options } as ScripOptions);
  }

  account(token: "service" | "user" = "service", options: Partial<ScripOptions> = {}): Account {
    return this.scrip(token, options).account("u1");
  }

  /** Let the next requests fail, one after the other. */
  async failNext(...faults: Fault[]): Promise<void> {
    await this.#order({ faults });
  }

  /** Let time go by. */
  async wait(seconds: number): Promise<void> {
    await this.#order({ wait: seconds });
  }

  /** Let the catalog be that of a new deployment. */
  async renew(): Promise<void> {
    await this.#order({ new: true });
  }

  /** Let a token of a feature cost a credit, and give the account 10 000 more. */
  async priceTokens(feature: string): Promise<void> {
    await this.#order({ tokens: feature });
  }

  books(): Promise<Books> {
    return this.#order({});
  }

  /** Return the amounts that moved, oldest first. */
  async amounts(): Promise<number[]> {
    const { ledger } = await this.books();
    return ledger.map(([, amount]) => amount).filter((amount) => amount !== 0);
  }

  #order(orders: Orders): Promise<Books> {
    return order(this.url, orders);
  }
}

/** Return what a promise is rejected with. */
export async function thrown(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

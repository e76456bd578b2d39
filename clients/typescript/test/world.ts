/** A world of its own for a test: Scrip with an account of 150 credits, and what goes wrong there. */

import { Scrip, type Account, type ScripOptions } from "@scrip/client";
import { inject } from "vitest";

export type Fault =
  | "none"
  | "request lost"
  | "answer lost"
  | "proxy"
  | "busy"
  | "busy for long"
  | "unauthorized"
  | "nonsense"
  | "another account";

/** `ledger`: types and amounts since the account was opened, oldest first. */
export interface Books {
  ledger: [string, number][];
  keys: string[];
  metadata: Record<string, unknown> | null;
  available: number;
  held: number;
  /** How many faults have hit nothing yet. */
  faults: number;
}

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

  books(): Promise<Books> {
    return this.#order({});
  }

  /** Return the amounts that moved, oldest first. */
  async amounts(): Promise<number[]> {
    const { ledger } = await this.books();
    return ledger.map(([, amount]) => amount).filter((amount) => amount !== 0);
  }

  async #order(orders: object): Promise<Books> {
    const body = JSON.stringify(orders);
    const answer = await fetch(`${this.url}/world`, { method: "POST", body });
    return (await answer.json()) as Books;
  }
}

/** Return what a promise is rejected with. */
export async function thrown(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

/** The credits of one user, as all components of a provider show them. */

import type { Account, AccountAnswer, Catalog, Scrip, Schemas } from "@scrip/client";

/** What a 402 says is missing. */
export type Shortage = Schemas["InsufficientCreditsProblem"];

/**
 * What is known. `account` and `catalog` are undefined until they have come. While they cannot be
 * read, `error` says why, and they stay as they were known. `shortage` is the last 402, until it is
 * dismissed.
 */
export interface Known {
  readonly account: AccountAnswer | undefined;
  readonly catalog: Catalog | undefined;
  readonly error: Error | undefined;
  readonly shortage: Shortage | undefined;
}

export const UNKNOWN: Known = {
  account: undefined,
  catalog: undefined,
  error: undefined,
  shortage: undefined,
};

const REFRESH_SECONDS = 30;

/**
 * Reads the balance when the first component appears, when the page is looked at again, after each
 * `spend`, and every 30 seconds while the page is visible.
 */
export class CreditsStore {
  readonly #scrip: Scrip;
  readonly #account: Account;
  readonly #listeners = new Set<() => void>();
  #known = UNKNOWN;
  #asked = 0;
  #answered = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(scrip: Scrip) {
    this.#scrip = scrip;
    this.#account = scrip.account("me");
  }

  readonly known = (): Known => this.#known;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#start();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#stop();
    };
  };

  /** Read the balance now, and what features cost if that is not known yet. */
  readonly refresh = async (): Promise<void> => {
    const number = ++this.#asked;
    try {
      const [account, catalog] = await Promise.all([
        this.#account.balance(),
        this.#known.catalog ?? this.#scrip.catalog(),
      ]);
      this.#answer(number, { account, catalog, error: undefined });
    } catch (error) {
      this.#answer(number, { error: error instanceof Error ? error : new Error(String(error)) });
    }
  };

  /** `fetch` for what costs credits: reads the balance afterwards, and keeps what a 402 says. */
  readonly spend = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    try {
      const response = await fetch(input, init);
      if (response.status === 402) {
        // Another 402 than Scrip's may have any body.
        const body: Promise<Shortage | undefined> = response.clone().json();
        const problem = await body.catch(() => undefined);
        if (problem?.code === "insufficient_credits") this.#change({ shortage: problem });
      }
      return response;
    } finally {
      void this.refresh();
    }
  };

  /** Forget the last 402. */
  readonly dismiss = (): void => {
    if (this.#known.shortage) this.#change({ shortage: undefined });
  };

  /** Take an answer, unless one that was asked for later has come: a balance never goes back. */
  #answer(number: number, change: Partial<Known>): void {
    if (number < this.#answered) return;
    this.#answered = number;
    this.#change(change);
  }

  #change(change: Partial<Known>): void {
    this.#known = { ...this.#known, ...change };
    for (const listener of this.#listeners) listener();
  }

  readonly #refreshIfVisible = (): void => {
    if (document.visibilityState === "visible") void this.refresh();
  };

  #start(): void {
    window.addEventListener("focus", this.#refreshIfVisible);
    document.addEventListener("visibilitychange", this.#refreshIfVisible);
    this.#timer = setInterval(this.#refreshIfVisible, REFRESH_SECONDS * 1000);
    void this.refresh();
  }

  #stop(): void {
    window.removeEventListener("focus", this.#refreshIfVisible);
    document.removeEventListener("visibilitychange", this.#refreshIfVisible);
    clearInterval(this.#timer);
  }
}

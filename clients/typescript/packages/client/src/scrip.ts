/** The client. */

import { Account } from "./account.js";
import { Caller, type Log } from "./caller.js";
import * as calls from "./calls.js";
import type { Catalog } from "./models.js";
import { RETRIES, type Retries } from "./retries.js";
import { type ClientCredentials, FetchedTokens, GivenToken, type Token } from "./tokens.js";

interface Connecting {
  /** The API's address: the stack's output `ApiUrl`. */
  url: string;
  /** The limits of a call. */
  retries?: Partial<Retries>;
  /** What to send requests with, if you need proxies or certificates of your own. */
  fetch?: typeof fetch;
  /** Where warnings go: what an operator may have to do by hand. `console.warn` by default. */
  log?: Log;
}

/** A back end has `clientCredentials`; `token` is for one that you already have. */
export type ScripOptions = Connecting &
  (
    | { token: Token; clientCredentials?: never }
    | { clientCredentials: ClientCredentials; token?: never }
  );

/** What environment variables name: a stack, and the credentials of its service client. */
const VARIABLES = {
  url: "SCRIP_API_URL",
  tokenUrl: "SCRIP_TOKEN_URL",
  clientId: "SCRIP_SERVICE_CLIENT_ID",
  clientSecret: "SCRIP_SERVICE_CLIENT_SECRET",
};

/** A client. Make one when your app starts, and share it. */
export class Scrip {
  readonly #caller: Caller;

  /**
   * Take the API's address and how to get a token; nothing is sent yet.
   *
   * @throws {RangeError} the address is not a URL.
   * @throws {TypeError} you passed no token, or also credentials.
   */
  constructor({ url, token, clientCredentials, retries, fetch, log }: ScripOptions) {
    if ((token === undefined) === (clientCredentials === undefined)) {
      throw new TypeError("pass either a token or clientCredentials");
    }
    this.#caller = new Caller({
      url,
      tokens: clientCredentials
        ? new FetchedTokens(clientCredentials)
        : new GivenToken(token ?? ""),
      retries: { ...RETRIES, ...retries },
      // It is looked up at each call, so that what patches it later takes effect.
      fetch: fetch ?? ((...request) => globalThis.fetch(...request)),
      log: log ?? ((...line) => console.warn("scrip:", ...line)),
    });
  }

  /**
   * Return a client for the stack that environment variables name, with its own tokens.
   *
   * `SCRIP_API_URL`, `SCRIP_TOKEN_URL` and `SCRIP_SERVICE_CLIENT_ID` are outputs of the stack,
   * `SCRIP_SERVICE_CLIENT_SECRET` is that client's secret. `scrip local env` sets them for a local
   * stack.
   *
   * @throws {RangeError} a variable is missing, or the address is not a URL.
   */
  static fromEnv(options: Omit<Connecting, "url"> = {}): Scrip {
    // Every runtime of back ends has it, and a browser has not.
    const { process } = globalThis as { process?: { env: Record<string, string | undefined> } };
    const { url: address, ...named } = VARIABLES;
    const missing = [address, ...Object.values(named)].filter((name) => !process?.env[name]);
    if (missing.length) {
      const hint = "for a local stack `scrip local env` prints what to set";
      throw new RangeError(`set ${missing.join(", ")}; ${hint}`);
    }
    const value = (name: string) => process?.env[name] ?? "";
    const clientCredentials = {
      tokenUrl: value(named.tokenUrl),
      clientId: value(named.clientId),
      clientSecret: value(named.clientSecret),
    };
    return new Scrip({ ...options, url: value(address), clientCredentials });
  }

  /** Return an account; nothing is sent yet. */
  account(accountId: string): Account {
    return new Account(this.#caller, accountId);
  }

  /** Read what features cost and what plans include. */
  catalog(): Promise<Catalog> {
    return this.#caller.send(calls.catalog());
  }
}

/** Return the account of a user, for a page: it reads and spends with the user's own token. */
export function clientFor(options: Connecting & { token: Token }): Account {
  return new Scrip(options).account("me");
}

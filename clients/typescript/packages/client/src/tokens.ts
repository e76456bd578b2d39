/** Access tokens: a given one, the app's own function, or ones fetched with credentials and kept. */

import { TokenError, UnreadableAnswerError } from "./errors.js";

/** How a back end identifies itself: `TokenUrl` and `ServiceClientId` are stack outputs. */
export interface ClientCredentials {
  tokenUrl: string;
  clientId: string;
  clientSecret: string;
  /** `scrip/service` by default. */
  scope?: string;
}

/** A token, or a function that gives the current one: your sign-in library's own. */
export type Token = string | (() => string | Promise<string>);

/** The answer to a request, read to its end. */
export interface Received {
  readonly url: string;
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

export type Fetch = (address: string, init: RequestInit) => Promise<Received>;

export interface TokenSource {
  /**
   * Return a token that has not expired and is not the `refused` one, if there is another.
   *
   * @throws {TokenError} the credentials were refused.
   * @throws {UnreadableAnswerError} the token endpoint's answer holds no token.
   * @throws {UnavailableError} `fetch` got no answer.
   */
  get(fetch: Fetch, refused?: string): Promise<string>;
}

/** How early a token is renewed: a tenth of its life before it expires, at most a minute. */
const EARLY_PART = 0.1;
const EARLY_SECONDS_MAX = 60;

/** How long a token is used if its endpoint does not say when it expires. */
const LIFE_SECONDS = 300;

export class GivenToken implements TokenSource {
  readonly #token: Token;

  constructor(token: Token) {
    this.#token = token;
  }

  async get(): Promise<string> {
    return typeof this.#token === "string" ? this.#token : this.#token();
  }
}

/** A client's own tokens. Calls that need a new one at the same time share one request. */
export class FetchedTokens implements TokenSource {
  readonly #credentials: ClientCredentials;
  #token = "";
  #renewAt = 0;
  #pending: Promise<string> | undefined;

  constructor(credentials: ClientCredentials) {
    this.#credentials = credentials;
  }

  async get(fetch: Fetch, refused?: string): Promise<string> {
    if (performance.now() < this.#renewAt && this.#token !== refused) return this.#token;
    this.#pending ??= this.#fetch(fetch).finally(() => {
      this.#pending = undefined;
    });
    return this.#pending;
  }

  /** Fetch a token (RFC 6749, section 4.4). */
  async #fetch(fetch: Fetch): Promise<string> {
    const { tokenUrl, clientId, clientSecret, scope = "scrip/service" } = this.#credentials;
    const received = await fetch(tokenUrl, {
      method: "POST",
      headers: {
        Authorization: `Basic ${btoa(`${clientId}:${clientSecret}`)}`,
        "Content-Type": "application/x-www-form-urlencoded",
      },
      body: new URLSearchParams({ grant_type: "client_credentials", scope }).toString(),
    });
    if (received.status < 200 || received.status > 299) {
      throw new TokenError(`${received.status} from ${tokenUrl}: ${received.text.slice(0, 200)}`);
    }
    const [token, life] = readToken(received);
    this.#token = token;
    const early = Math.min(EARLY_SECONDS_MAX, life * EARLY_PART);
    this.#renewAt = performance.now() + (life - early) * 1000;
    return token;
  }
}

function readToken({ url, text }: Received): [string, number] {
  try {
    const { access_token: token, expires_in: life = LIFE_SECONDS } = JSON.parse(text) as {
      access_token?: unknown;
      expires_in?: unknown;
    };
    if (typeof token === "string" && Number.isFinite(Number(life))) return [token, Number(life)];
  } catch (error) {
    throw new UnreadableAnswerError(`the response from ${url} holds no token`, { cause: error });
  }
  throw new UnreadableAnswerError(`the response from ${url} holds no token`);
}

// The API client: sends the access token, retries when that is safe, throws readable errors.

import { accessToken, signIn } from "./session.js";

// Each runs a function, and a new AWS account may run only ten at once, which users need, too.
const AT_ONCE = 5;
const RETRIES = 2;
const RETRY_SECONDS_MAX = 5;
const root = new URL("v1/", document.baseURI);

/**
 * An error response of the API.
 *
 * `problem` is its body (RFC 9457), `instance` the request ID that the logs use.
 */
class ApiError extends Error {
  constructor(status, problem) {
    super(problem.detail ?? problem.message ?? `HTTP status ${status}`);
    this.status = status;
    this.code = problem.code ?? null;
    this.title = problem.title ?? null;
    this.instance = problem.instance ?? null;
    this.problem = problem;
  }
}

/** No response arrived, so the request may have taken effect. */
export class NetworkError extends Error {}

/** Build a path; values are escaped: path`accounts/${id}/entries`. */
export const path = (texts, ...values) =>
  String.raw({ raw: texts }, ...values.map((value) => encodeURIComponent(value)));

/** Send a GET. Empty `query` values are left out. */
export const get = (to, { query = {}, signal } = {}) =>
  request("GET", to, { query, signal, isSafe: true });

/**
 * Send a POST. With an idempotency `key` it takes effect at most once, so it is retried.
 *
 * With `isDryRun` the response is what the command would do, and nothing is written.
 */
export const post = (to, body, { key, isDryRun, signal } = {}) =>
  request("POST", to, {
    query: { dry_run: isDryRun },
    body,
    headers: idempotent(key),
    signal,
    isSafe: Boolean(key || isDryRun),
  });

/** Send a PUT. With a `version` it replaces only that version; `isDryRun` is as in `post`. */
export const put = (to, body, { version, isDryRun, signal } = {}) =>
  request("PUT", to, {
    query: { dry_run: isDryRun },
    body,
    headers: ifMatch(version),
    signal,
    isSafe: isDryRun,
  });

/** Send a DELETE, of that `version` if there is one; `key` and `isDryRun` are as in `post`. */
export const remove = (to, { version, query = {}, body, key, isDryRun, signal } = {}) =>
  request("DELETE", to, {
    query: { ...query, dry_run: isDryRun },
    body,
    headers: { ...ifMatch(version), ...idempotent(key) },
    signal,
    isSafe: Boolean(key || isDryRun),
  });

const idempotent = (key) => (key ? { "Idempotency-Key": key } : {});

const ifMatch = (version) => (version === undefined ? {} : { "If-Match": `"${version}"` });

async function request(method, to, { query = {}, body, headers = {}, signal, isSafe = false }) {
  const url = new URL(to, root);
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") url.searchParams.set(name, value);
  }
  for (let tries = 0; ; tries += 1) {
    const token = await accessToken();
    if (token === null) await signIn();
    const answer = await send(url, { method, body, headers, signal, token });
    if (answer.ok) return read(answer);
    if (answer.status === 401) await signIn();
    const wait = Number(answer.headers.get("Retry-After"));
    const asksAgain = answer.status === 503 || answer.status === 429;
    if (!isSafe || !asksAgain || tries === RETRIES)
      throw new ApiError(answer.status, await problemOf(answer));
    await pause(Math.min(wait || 1, RETRY_SECONDS_MAX));
  }
}

let running = 0;
const waiting = [];

async function send(url, { method, body, headers, signal, token }) {
  if (running === AT_ONCE) await new Promise((done) => waiting.push(done));
  else running += 1;
  try {
    return await fetch(url, {
      method,
      signal,
      headers: {
        Authorization: `Bearer ${token}`,
        ...(body ? { "Content-Type": "application/json" } : {}),
        ...headers,
      },
      body: body && JSON.stringify(body),
    });
  } catch (error) {
    throw unanswered(error);
  } finally {
    if (waiting.length > 0) waiting.shift()();
    else running -= 1;
  }
}

/** Parse a response. One that breaks off is as good as none. */
async function read(answer) {
  try {
    return await answer.json();
  } catch (error) {
    throw unanswered(error);
  }
}

/** Translate the browser's error; an abort stays what it is. */
const unanswered = (error) =>
  error.name === "AbortError"
    ? error
    : new NetworkError("Scrip didn't respond.", { cause: error });

/** Parse the problem of an error response; API Gateway's own have only a `message`. */
async function problemOf(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}

/** Resolve after a number of seconds. */
export const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

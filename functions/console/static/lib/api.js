// The API as the console calls it: signed requests, tries again where that is safe, errors to read.

import { accessToken, signIn } from "./session.js";

const RETRIES = 2;
const RETRY_SECONDS_MAX = 5;
const root = new URL("../v1/", document.baseURI);

/**
 * A refusal or failure that the API told.
 *
 * `problem` is the whole of it (RFC 9457), `instance` the request's name for the logs.
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

/** No answer came, so nobody knows whether the request did anything. */
export class NetworkError extends Error {}

/** A path of the API; what is put in is escaped: path`accounts/${id}/entries`. */
export const path = (texts, ...values) =>
  String.raw({ raw: texts }, ...values.map((value) => encodeURIComponent(value)));

/** Read something. `query` values that are null or empty are left out. */
export const get = (to, { query = {}, signal } = {}) =>
  request("GET", to, { query, signal, isSafe: true });

/** Give a command. With its `key` it takes effect once, however often it is sent. */
export const post = (to, body, { key } = {}) =>
  request("POST", to, { body, headers: key ? { "Idempotency-Key": key } : {}, isSafe: !!key });

/** Put something in place. With a `version`, only in the place of that one. */
export const put = (to, body, { version } = {}) =>
  request("PUT", to, { body, headers: ifMatch(version) });

/** Take something out of use, if it still is of that `version`. */
export const remove = (to, { version, query = {} }) =>
  request("DELETE", to, { query, headers: ifMatch(version) });

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
      throw new ApiError(answer.status, await told(answer));
    await pause(Math.min(wait || 1, RETRY_SECONDS_MAX));
  }
}

async function send(url, { method, body, headers, signal, token }) {
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
  }
}

/** An answer that breaks off has told nothing either. */
async function read(answer) {
  try {
    return await answer.json();
  } catch (error) {
    throw unanswered(error);
  }
}

/** What to throw instead of what the browser throws; who stops reading is told so. */
const unanswered = (error) =>
  error.name === "AbortError"
    ? error
    : new NetworkError("There was no answer.", { cause: error });

/** What an answer says went wrong; API Gateway's own answers have only a `message`. */
async function told(answer) {
  try {
    return await answer.json();
  } catch {
    return {};
  }
}

const pause = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

/** The API's operations: the request of each, and what its answer must be about. Sends nothing. */

import { keyOf, USER_PREFIX } from "./keys.js";
import type {
  Account,
  Balance,
  Batch,
  Catalog,
  EntriesQuery,
  Entry,
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

export const HOLD_SECONDS = 300;

/** One request to the API. `key` is the idempotency key of a call that changes something. */
export interface Call<Answer> {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: Record<string, string>;
  readonly body?: object;
  readonly key?: string;
  /** Whether an answer is about this account, entry or hold. Throws if it cannot be read. */
  isAnswer(answer: Answer): boolean;
}

export type Page = Schemas["EntriesAnswer"];

export function balance(accountId: string): Call<Account> {
  return get(accountId, [], (answer) => isOf(accountId, answer));
}

export function balanceAt(accountId: string, at: Date): Call<Balance> {
  return get(accountId, [], (answer) => isOf(accountId, answer), { at: at.toISOString() });
}

export function upcoming(accountId: string, limit: number): Call<Upcoming> {
  const isAnswer = (answer: Upcoming) => Array.isArray(answer.upcoming);
  return get(accountId, ["upcoming"], isAnswer, { limit: String(limit) });
}

export function quote(accountId: string, use: Use): Call<Quote> {
  return post(accountId, ["quote"], use, (answer) => Number.isInteger(answer.cost));
}

export function consume(accountId: string, { idempotencyKey, ...use }: Use & Keyed): Call<Posting> {
  return postOnce(accountId, ["consume"], use, idempotencyKey);
}

export function batch(
  accountId: string,
  uses: Schemas["BatchRequest"]["uses"],
  { idempotencyKey }: Keyed,
): Call<Batch> {
  const key = keyOf(idempotencyKey);
  const isAnswer = ({ entries, account }: Batch) =>
    names(key, entries[0]) && isOf(accountId, account);
  return { ...post(accountId, ["consume", "batch"], { uses }, isAnswer), key };
}

export function refund(
  accountId: string,
  { idempotencyKey, ...body }: Schemas["RefundRequest"] & Keyed,
): Call<Posting> {
  return postOnce(accountId, ["refunds"], body, idempotencyKey);
}

export function openHold(
  accountId: string,
  { idempotencyKey, ...use }: HoldUse & Keyed,
): Call<HoldPosting> {
  const call = postOnce(accountId, ["holds"], use, idempotencyKey);
  return call as Call<HoldPosting>;
}

export function captureHold(
  accountId: string,
  holdId: string,
  { idempotencyKey, ...body }: Schemas["CaptureRequest"] & Keyed,
): Call<Posting> {
  return postOnce(accountId, ["holds", holdId, "capture"], body, idempotencyKey, holdId);
}

export function extendHold(
  accountId: string,
  holdId: string,
  body: Schemas["ExtendRequest"],
): Call<HoldState> {
  const isAnswer = ({ hold, account }: HoldState) =>
    hold.hold_id === holdId && isOf(accountId, account);
  return post(accountId, ["holds", holdId, "extend"], body, isAnswer);
}

export function releaseHold(
  accountId: string,
  holdId: string,
  { idempotencyKey, ...body }: Schemas["ReleaseRequest"] & Keyed,
): Call<Posting> {
  return postOnce(accountId, ["holds", holdId, "release"], body, idempotencyKey, holdId);
}

export function holds(accountId: string): Call<Schemas["HoldsAnswer"]> {
  return get(accountId, ["holds"], (answer) => Array.isArray(answer.holds));
}

export function catalog(): Call<Catalog> {
  const isAnswer = (answer: Catalog) => Array.isArray(answer.features);
  return { method: "GET", path: "v1/catalog", isAnswer };
}

export function entry(accountId: string, entryId: string): Call<OneEntry> {
  return get(accountId, ["entries", entryId], (answer) => answer.entry_id === entryId);
}

export function entries(
  accountId: string,
  { from, to, ...query }: EntriesQuery,
  cursor?: string,
): Call<Page> {
  const fields = { ...query, from: from?.toISOString(), to: to?.toISOString(), cursor };
  const isAnswer = (answer: Page) => Array.isArray(answer.entries);
  return get(accountId, ["entries"], isAnswer, { limit: "100", ...withoutUndefined(fields) });
}

export function usage(accountId: string, { from, to, ...query }: UsageQuery): Call<Usage> {
  const fields = { ...query, from: from?.toISOString(), to: to?.toISOString() };
  const isAnswer = (answer: Usage) => Array.isArray(answer.usage);
  return get(accountId, ["usage"], isAnswer, withoutUndefined(fields));
}

export function statement(
  accountId: string,
  { from, to, ...query }: StatementQuery,
): Call<Statement> {
  const fields = { ...query, from: from?.toISOString(), to: to?.toISOString() };
  const isAnswer = (answer: Statement) => Array.isArray(answer.lines);
  return get(accountId, ["statement"], isAnswer, withoutUndefined(fields));
}

function get<Answer>(
  accountId: string,
  path: string[],
  isAnswer: (answer: Answer) => boolean,
  query: Record<string, string> = {},
): Call<Answer> {
  return { method: "GET", path: pathOf(accountId, ...path), query, isAnswer };
}

function post<Answer>(
  accountId: string,
  path: string[],
  body: object,
  isAnswer: (answer: Answer) => boolean,
): Call<Answer> {
  return { method: "POST", path: pathOf(accountId, ...path), body, isAnswer };
}

/** Return a call that writes an entry, once, and names it by its key. */
function postOnce(
  accountId: string,
  path: string[],
  body: object,
  idempotencyKey: string | undefined,
  holdId?: string,
): Call<Posting> {
  const key = keyOf(idempotencyKey);
  const isAnswer = ({ entry, account, replayed }: Posting) => {
    // The entry that ended a hold answers every repetition, whatever its key.
    const isOwn = names(key, entry) || (holdId !== undefined && replayed);
    const isAboutHold = holdId === undefined || entry.hold_id === holdId;
    return isOwn && isAboutHold && isOf(accountId, account);
  };
  return { ...post(accountId, path, body, isAnswer), key };
}

/** Whether an entry's id is a key, with or without a user's prefix. */
function names(key: string, entry: Entry | undefined): boolean {
  return entry?.entry_id === key || entry?.entry_id === USER_PREFIX + key;
}

function isOf(accountId: string, account: Balance): boolean {
  return typeof account.account_id === "string" && ["me", account.account_id].includes(accountId);
}

/** @throws {RangeError} a part is empty or dots, which a URL would drop. */
function pathOf(...parts: string[]): string {
  const bad = parts.find((part) => ["", ".", ".."].includes(part));
  if (bad !== undefined) throw new RangeError(`"${bad}" cannot be part of a URL path`);
  return ["v1/accounts", ...parts.map(encodeURIComponent)].join("/");
}

function withoutUndefined(fields: Record<string, string | undefined>): Record<string, string> {
  const given = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(given) as Record<string, string>;
}

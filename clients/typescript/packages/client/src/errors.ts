/**
 * The client's errors: those of the Python client, with the same names.
 *
 *     ScripError
 *     +-- UnavailableError                    no answer before the deadline
 *     +-- TokenError                          the token endpoint refused the client's credentials
 *     +-- UnreadableAnswerError               the answer is not one of Scrip's
 *     +-- TooManyAttemptsError                a key was charged and refunded too often
 *     +-- NotPaidError                        a use was not charged as requested
 *     +-- ApiError                            Scrip's own answer: status, code, detail, problem
 *         +-- InvalidRequestError             400, 413, 415, 422
 *         +-- UnauthorizedError               401
 *         +-- InsufficientCreditsError        402
 *         +-- ForbiddenError                  403
 *         +-- AccountFrozenError              403
 *         +-- AccountClosedError              403
 *         +-- HoldNotYoursError               403
 *         +-- NotFoundError                   404
 *         |   +-- AccountNotFoundError
 *         |   +-- EntryNotFoundError
 *         |   +-- HoldNotFoundError
 *         |   +-- NoEntryYetError
 *         +-- RefundTooLargeError             409
 *         |   +-- AlreadyRefundedError
 *         +-- TooManyHoldsError               409
 *         +-- HoldEndedError                  409
 *         +-- HoldExceededError               409
 *         +-- HoldWithoutFeatureError         422
 *         +-- UnknownFeatureError             422
 *         +-- UnknownMeterError               422
 *         +-- UnknownUsageError               422
 *         +-- CostOutOfRangeError             422
 *         +-- InstantTooFarError              422
 *         +-- NotRefundableError              422
 *         +-- IdempotencyKeyReusedError       422
 *         +-- TooManyRequestsError            429
 *         |   +-- HoldRateLimitedError
 *         +-- ServerError                     500, 502, 504
 *         +-- BusyError                       503
 *
 * 408, 429 and 5xx are tried again; when tries run out, an UnavailableError has the last answer as
 * its `cause`. A HoldRateLimitedError is thrown at once. A plain ApiError has a code that this
 * version of the client does not know: switch on its `code`.
 */

import type { Schemas } from "./models.js";

/**
 * A call to Scrip failed.
 *
 * `mayHaveTakenEffect`: a request was sent, and no answer of Scrip's says what became of it.
 * Repeating the call with the same `idempotencyKey` is safe; it is undefined where a call changes
 * nothing.
 */
export class ScripError extends Error {
  mayHaveTakenEffect = false;
  idempotencyKey: string | undefined;

  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Scrip could not be reached, or was too busy, until the deadline. `cause` is the last failure. */
export class UnavailableError extends ScripError {}

/** The token endpoint refused the client's credentials; the message quotes its answer. */
export class TokenError extends ScripError {}

/** The answer is not one of Scrip's, is malformed, or is about something else. */
export class UnreadableAnswerError extends ScripError {}

/** An idempotency key was charged and refunded in turn too many times. */
export class TooManyAttemptsError extends ScripError {}

/**
 * A use was not charged as requested, and charging more could charge twice.
 *
 * `expected` credits were requested. `entryId` is the entry that was found in their place, if any,
 * and `paid` is what it paid of them. `holdId` is the hold that was to be charged, if there was one.
 */
export class NotPaidError extends ScripError {
  constructor(
    readonly accountId: string,
    readonly expected: number,
    readonly paid = 0,
    readonly entryId?: string,
    readonly holdId?: string,
  ) {
    const entry = entryId === undefined ? "" : ` in entry ${entryId}`;
    super(`account ${accountId} should have paid ${expected} credits and paid ${paid}${entry}`);
  }
}

/** An error's JSON (RFC 9457), as far as any answer has it; an answer of API Gateway's has less. */
export interface Problem {
  readonly code?: string;
  readonly detail?: string;
  readonly message?: string;
  readonly [field: string]: unknown;
}

/**
 * Scrip refused a call, or failed.
 *
 * `problem` is the whole answer, with the fields that the OpenAPI document lists for its code;
 * `code` is for programs, `detail` for people.
 */
export class ApiError<P extends object = Problem> extends ScripError {
  /** The problem codes that a class represents; API Gateway's own answers have none. */
  static readonly codes: readonly string[] = [];

  readonly code: string;
  readonly detail: string;

  constructor(
    readonly status: number,
    readonly problem: P,
  ) {
    const { code, detail, message } = problem as Problem;
    const named = typeof code === "string" ? code : `http_${status}`;
    const explained = detail ?? message ?? "no detail given";
    super(`${status} ${named}: ${explained}`);
    this.code = named;
    this.detail = explained;
  }
}

/** The request is malformed or invalid; `problem` has the reasons. */
export class InvalidRequestError extends ApiError {
  static override readonly codes = [
    "malformed",
    "invalid",
    "invalid_cursor",
    "body_too_large",
    "unsupported_media_type",
  ];
}

/** The token is missing, expired, or from an issuer that Scrip does not trust. */
export class UnauthorizedError extends ApiError {}

/**
 * Too few credits. The next period's arrive at `problem.next_reset_at`. `problem.top_up_url` is where
 * to get more, `problem.credits_url` where the user sees what became of them, if there is such a page.
 */
export class InsufficientCreditsError extends ApiError<Schemas["InsufficientCreditsProblem"]> {
  static override readonly codes = ["insufficient_credits"];
}

/** The token does not allow this operation. */
export class ForbiddenError extends ApiError {
  static override readonly codes = ["forbidden", "unusable_account_id"];
}

/** The account is frozen and may not spend. */
export class AccountFrozenError extends ApiError {
  static override readonly codes = ["account_frozen"];
}

/** The account is closed. */
export class AccountClosedError extends ApiError {
  static override readonly codes = ["account_closed"];
}

/** The address does not exist. */
export class NotFoundError<P extends object = Problem> extends ApiError<P> {
  static override readonly codes = ["not_found"];
}

/** The account does not exist. */
export class AccountNotFoundError extends NotFoundError<Schemas["AccountNotFoundProblem"]> {
  static override readonly codes = ["account_not_found"];
}

/** The account has no such entry. */
export class EntryNotFoundError extends NotFoundError<Schemas["EntryNotFoundProblem"]> {
  static override readonly codes = ["entry_not_found"];
}

/** The account had no entry yet at the instant `problem.at`. */
export class NoEntryYetError extends NotFoundError<Schemas["NoEntryYetProblem"]> {
  static override readonly codes = ["no_entry_yet"];
}

type RefundProblem = Schemas["RefundTooLargeProblem"] | Schemas["AlreadyRefundedProblem"];

/** The refund exceeds what is left: `problem` has `taken`, `refunded` and `refundable`. */
export class RefundTooLargeError extends ApiError<RefundProblem> {
  static override readonly codes = ["refund_too_large"];
}

/** The entry has been refunded in full. */
export class AlreadyRefundedError extends RefundTooLargeError {
  static override readonly codes = ["already_refunded"];
}

/** A user's token cannot change a hold that the app opened. */
export class HoldNotYoursError extends ApiError<Schemas["HoldNotYoursProblem"]> {
  static override readonly codes = ["hold_not_yours"];
}

/** The account has no such hold. */
export class HoldNotFoundError extends NotFoundError<Schemas["HoldNotFoundProblem"]> {
  static override readonly codes = ["hold_not_found"];
}

/** The account has the maximum number of open holds, `problem.holds_max`. */
export class TooManyHoldsError extends ApiError<Schemas["TooManyHoldsProblem"]> {
  static override readonly codes = ["too_many_holds"];
}

/** The hold has ended: by the entry `problem.ended_by`, or null if it expired. */
export class HoldEndedError extends ApiError<Schemas["HoldEndedProblem"]> {
  static override readonly codes = ["hold_ended"];
}

/** The hold has only `problem.left` credits left. */
export class HoldExceededError extends ApiError<Schemas["HoldExceededProblem"]> {
  static override readonly codes = ["hold_exceeded"];
}

/** The hold has no feature, so a quantity has no price. */
export class HoldWithoutFeatureError extends ApiError<Schemas["HoldWithoutFeatureProblem"]> {
  static override readonly codes = ["hold_without_feature"];
}

/** No active feature has this id; a use without a price is refused, never free. */
export class UnknownFeatureError extends ApiError<Schemas["UnknownFeatureProblem"]> {
  static override readonly codes = ["unknown_feature"];
}

/** The feature has no such meter; `problem.meters` are those that it has. */
export class UnknownMeterError extends ApiError<Schemas["UnknownMeterProblem"]> {
  static override readonly codes = ["unknown_meter"];
}

/** The provider's usage is not in a form that Scrip can price: `problem.field` says where. */
export class UnknownUsageError extends ApiError<Schemas["UnknownUsageProblem"]> {
  static override readonly codes = ["unknown_usage"];
}

/** The quantity would cost more than `problem.cost_max`, the limit of one request. */
export class CostOutOfRangeError extends ApiError<Schemas["CostOutOfRangeProblem"]> {
  static override readonly codes = ["cost_out_of_range"];
}

/** The instant is too far ahead; `problem.latest` is the last one that can be asked for. */
export class InstantTooFarError extends ApiError<Schemas["InstantTooFarProblem"]> {
  static override readonly codes = ["instant_too_far"];
}

/** The entry is not a use; only uses can be refunded. */
export class NotRefundableError extends ApiError<Schemas["NotRefundableProblem"]> {
  static override readonly codes = ["not_refundable"];
}

/** The idempotency key belongs to another request of this account. */
export class IdempotencyKeyReusedError extends ApiError<Schemas["IdempotencyKeyReusedProblem"]> {
  static override readonly codes = ["idempotency_key_reused"];
}

/** Too many requests per second for API Gateway. */
export class TooManyRequestsError<P extends object = Problem> extends ApiError<P> {}

/**
 * A user's token opened, extended and released holds too often within an hour.
 *
 * Try again in `problem.retry_after` seconds. Services have no such limit.
 */
export class HoldRateLimitedError extends TooManyRequestsError<Schemas["HoldRateLimitedProblem"]> {
  static override readonly codes = ["hold_rate_limited"];
}

/** Scrip failed. */
export class ServerError extends ApiError {
  static override readonly codes = ["internal_error", "catalog_unsound", "corrupt_account"];
}

/** Scrip is too busy right now, or is being updated. */
export class BusyError extends ApiError {
  static override readonly codes = ["busy", "newer_version"];
}

type ApiErrorClass = { new (status: number, problem: never): ApiError; codes: readonly string[] };

const CLASSES: readonly ApiErrorClass[] = [
  InvalidRequestError,
  InsufficientCreditsError,
  ForbiddenError,
  AccountFrozenError,
  AccountClosedError,
  NotFoundError,
  AccountNotFoundError,
  EntryNotFoundError,
  NoEntryYetError,
  RefundTooLargeError,
  AlreadyRefundedError,
  HoldNotYoursError,
  HoldNotFoundError,
  TooManyHoldsError,
  HoldEndedError,
  HoldExceededError,
  HoldWithoutFeatureError,
  UnknownFeatureError,
  UnknownMeterError,
  UnknownUsageError,
  CostOutOfRangeError,
  InstantTooFarError,
  NotRefundableError,
  IdempotencyKeyReusedError,
  HoldRateLimitedError,
  ServerError,
  BusyError,
] as readonly ApiErrorClass[];

const BY_CODE = new Map(CLASSES.flatMap((error) => error.codes.map((code) => [code, error])));

const BY_STATUS = new Map<number, ApiErrorClass>([
  [401, UnauthorizedError],
  [403, ForbiddenError],
  [404, NotFoundError],
  [429, TooManyRequestsError],
  [500, ServerError],
  [502, ServerError],
  [503, BusyError],
  [504, ServerError],
]);

/** Return the error for a problem of Scrip's, or for an answer of API Gateway's own. */
export function apiError(status: number, problem: Problem): ApiError {
  const known = problem.code === undefined ? BY_STATUS.get(status) : BY_CODE.get(problem.code);
  return new (known ?? ApiError)(status, problem as never);
}

/** Whether a problem is Scrip's own, and not from a proxy or API Gateway. */
export function isFromScrip(problem: Problem): boolean {
  return problem.code !== undefined && BY_CODE.has(problem.code);
}

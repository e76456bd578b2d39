"""The client's errors: one class for each case that an app may handle differently, typed.

    ScripError
    +-- UnavailableError                    no answer before the deadline
    +-- TokenError                          the token endpoint refused the client's credentials
    +-- UnreadableAnswerError               the answer is not one of Scrip's
    +-- TooManyAttemptsError                a key was charged and refunded too often
    +-- NotPaidError                        a use was not charged as requested
    +-- ApiError                            Scrip's own answer: status, code, detail, problem
        +-- InvalidRequestError             400, 413, 415, 422
        +-- UnauthorizedError               401
        +-- InsufficientCreditsError        402
        +-- ForbiddenError                  403
        +-- AccountFrozenError              403
        +-- AccountClosedError              403
        +-- HoldNotYoursError               403
        +-- NotFoundError                   404
        |   +-- AccountNotFoundError
        |   +-- EntryNotFoundError
        |   +-- HoldNotFoundError
        |   +-- NoEntryYetError
        +-- RefundTooLargeError             409
        |   +-- AlreadyRefundedError
        +-- TooManyHoldsError               409
        +-- HoldEndedError                  409
        +-- HoldExceededError               409
        +-- HoldWithoutFeatureError         422
        +-- UnknownFeatureError             422
        +-- UnknownMeterError               422
        +-- UnknownUsageError               422
        +-- CostOutOfRangeError             422
        +-- InstantTooFarError              422
        +-- NotRefundableError              422
        +-- IdempotencyKeyReusedError       422
        +-- TooManyRequestsError            429
        |   +-- HoldRateLimitedError
        +-- ServerError                     500, 502, 504
        +-- BusyError                       503

408, 429 and 5xx are tried again; when tries run out, an UnavailableError has the last answer as its
cause. A HoldRateLimitedError is raised at once. A plain ApiError has a code that this version of
the client does not know: switch on its `code`.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - `read` resolves types at run time
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from scrip_client.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping


class ScripError(Exception):
    """A call to Scrip failed.

    `may_have_taken_effect`: a request was sent, and no answer of Scrip's says what became of it.
    Repeating the call with the same `idempotency_key` is safe; the key is None where a call changes
    nothing.
    """

    may_have_taken_effect: bool = False
    idempotency_key: str | None = None


class UnavailableError(ScripError):
    """Scrip could not be reached, or was too busy, until the call's deadline.

    `__cause__` is the last failure.
    """


class TokenError(ScripError):
    """The token endpoint refused the client's credentials; the message quotes its answer."""


class UnreadableAnswerError(ScripError):
    """The answer is not one of Scrip's, is malformed, or is about something else."""


class TooManyAttemptsError(ScripError):
    """An idempotency key was charged and refunded in turn too many times."""


class NotPaidError(ScripError):
    """A use was not charged as requested, and charging more could charge twice.

    `expected` credits were requested. `entry_id` is the entry that was found in their place, or
    None, and `paid` is what it paid of them: nothing if a user's token created it. `hold_id` is the
    hold that was to be charged, if there was one.
    """

    def __init__(
        self,
        account_id: str,
        expected: int,
        paid: int = 0,
        entry_id: str | None = None,
        hold_id: str | None = None,
    ) -> None:
        """Describe what was requested, and what was found in its place."""
        super().__init__(account_id, expected, paid, entry_id, hold_id)
        self.account_id = account_id
        self.expected = expected
        self.paid = paid
        self.entry_id = entry_id
        self.hold_id = hold_id

    def __str__(self) -> str:
        entry = f" in entry {self.entry_id}" if self.entry_id else ""
        return (
            f"account {self.account_id} should have paid {self.expected} credits"
            f" and paid {self.paid}{entry}"
        )


class ApiError(ScripError):
    """Scrip refused a call, or failed.

    `problem` is the whole answer (RFC 9457), `code` is for programs, `detail` for people. The
    subclasses' own attributes are None where an answer lacks them.
    """

    CODES: ClassVar[frozenset[str]] = frozenset()
    """The problem codes that a class represents; API Gateway's own answers have none."""

    status: int
    code: str
    detail: str

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Set the attributes that the class declares from the problem."""
        super().__init__(status, problem)
        self.problem = problem
        for name, shape in get_type_hints(type(self)).items():
            # CODES has a value on the class; it is not a field of the problem.
            if not hasattr(type(self), name):
                setattr(self, name, read(shape, problem.get(name)))
        self.status = status
        self.code = _code(problem) or f"http_{status}"
        self.detail = problem.get("detail") or problem.get("message") or "no detail given"

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"


class InvalidRequestError(ApiError):
    """The request is malformed or invalid; `problem` has the reasons."""

    CODES = frozenset(
        {"malformed", "invalid", "invalid_cursor", "body_too_large", "unsupported_media_type"},
    )


class UnauthorizedError(ApiError):
    """The token is missing, expired, or from an issuer that Scrip does not trust."""


class InsufficientCreditsError(ApiError):
    """Too few credits. The next period's arrive at `next_reset_at`.

    `top_up_url` is where to get more, `credits_url` where the user sees what became of them; None
    unless the stack has such a page.
    """

    CODES = frozenset({"insufficient_credits"})

    required: int
    available: int
    shortfall: int
    unit: str
    next_reset_at: datetime | None
    top_up_url: str | None
    credits_url: str | None


class ForbiddenError(ApiError):
    """The token does not allow this operation."""

    CODES = frozenset({"forbidden", "unusable_account_id"})


class AccountFrozenError(ApiError):
    """The account is frozen and may not spend."""

    CODES = frozenset({"account_frozen"})


class AccountClosedError(ApiError):
    """The account is closed."""

    CODES = frozenset({"account_closed"})


class NotFoundError(ApiError):
    """The address does not exist."""

    CODES = frozenset({"not_found"})


class AccountNotFoundError(NotFoundError):
    """The account does not exist."""

    CODES = frozenset({"account_not_found"})

    account_id: str


class EntryNotFoundError(NotFoundError):
    """The account has no such entry."""

    CODES = frozenset({"entry_not_found"})

    entry_id: str


class NoEntryYetError(NotFoundError):
    """The account had no entry yet at the instant `at`."""

    CODES = frozenset({"no_entry_yet"})

    at: datetime


class RefundTooLargeError(ApiError):
    """The refund exceeds what is left: of `taken` credits, `refunded` went back already."""

    CODES = frozenset({"refund_too_large"})

    taken: int
    refunded: int
    refundable: int


class AlreadyRefundedError(RefundTooLargeError):
    """The entry has been refunded in full."""

    CODES = frozenset({"already_refunded"})


class HoldNotYoursError(ApiError):
    """A user's token cannot change a hold that the app opened."""

    CODES = frozenset({"hold_not_yours"})

    hold_id: str


class HoldNotFoundError(NotFoundError):
    """The account has no such hold."""

    CODES = frozenset({"hold_not_found"})

    hold_id: str


class TooManyHoldsError(ApiError):
    """The account has the maximum number of open holds, `holds_max`."""

    CODES = frozenset({"too_many_holds"})

    holds_max: int


class HoldEndedError(ApiError):
    """The hold has ended: by the entry `ended_by`, or None if it expired."""

    CODES = frozenset({"hold_ended"})

    hold_id: str
    ended_by: str | None


class HoldExceededError(ApiError):
    """The hold has only `left` credits left."""

    CODES = frozenset({"hold_exceeded"})

    hold_id: str
    amount: int
    left: int


class HoldWithoutFeatureError(ApiError):
    """The hold has no feature, so a quantity has no price."""

    CODES = frozenset({"hold_without_feature"})

    hold_id: str


class UnknownFeatureError(ApiError):
    """No active feature has this id; a use without a price is refused, never free."""

    CODES = frozenset({"unknown_feature"})

    feature: str


class UnknownMeterError(ApiError):
    """The feature has no price for the meter; a use without a price is refused, never free.

    `meters` names those that it has, with commas between them.
    """

    CODES = frozenset({"unknown_meter"})

    feature: str
    meter: str
    meters: str


class UnknownUsageError(ApiError):
    """The usage is not as the provider's API answers it: `field` is missing, wrong or unknown."""

    CODES = frozenset({"unknown_usage"})

    provider: str
    field: str


class CostOutOfRangeError(ApiError):
    """The quantity would cost more than `cost_max`, the limit of one request."""

    CODES = frozenset({"cost_out_of_range"})

    cost: int
    cost_max: int


class InstantTooFarError(ApiError):
    """The instant is too far ahead; `latest` is the last one that can be asked for."""

    CODES = frozenset({"instant_too_far"})

    latest: datetime


class NotRefundableError(ApiError):
    """The entry is not a use; only uses can be refunded."""

    CODES = frozenset({"not_refundable"})

    entry_id: str
    entry_type: str


class IdempotencyKeyReusedError(ApiError):
    """The idempotency key belongs to another request of this account."""

    CODES = frozenset({"idempotency_key_reused"})

    entry_id: str


class TooManyRequestsError(ApiError):
    """Too many requests per second for API Gateway."""


class HoldRateLimitedError(TooManyRequestsError):
    """A user's token opened, extended and released holds more than `calls_max` times in an hour.

    Try again in `retry_after` seconds. Services have no such limit.
    """

    CODES = frozenset({"hold_rate_limited"})

    calls_max: int
    retry_after: int


class ServerError(ApiError):
    """Scrip failed."""

    CODES = frozenset({"internal_error", "catalog_unsound", "corrupt_account"})


class BusyError(ApiError):
    """Scrip is too busy right now, or is being updated."""

    CODES = frozenset({"busy", "newer_version"})

    retry_after: int


_BY_CODE: Mapping[str, type[ApiError]] = {
    code: error
    for error in globals().values()
    if isinstance(error, type) and issubclass(error, ApiError)
    for code in error.CODES
}
_BY_STATUS: Mapping[int, type[ApiError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    429: TooManyRequestsError,
    500: ServerError,
    502: ServerError,
    503: BusyError,
    504: ServerError,
}


def api_error(status: int, problem: Mapping[str, Any]) -> ApiError:
    """Return the error for a problem of Scrip's, or for an answer of API Gateway's own.

    Raises:
        TypeError: a field of the problem has a wrong type.
        ValueError: an instant cannot be parsed.
    """
    code = _code(problem)
    if code is None:
        return _BY_STATUS.get(status, ApiError)(status, problem)
    return _BY_CODE.get(code, ApiError)(status, problem)


def is_from_scrip(problem: Mapping[str, Any]) -> bool:
    """Whether a problem is Scrip's own, and not from a proxy or API Gateway."""
    return _code(problem) in _BY_CODE


def _code(problem: Mapping[str, Any]) -> str | None:
    code = problem.get("code")
    return code if isinstance(code, str) else None

"""What can go wrong: one class for each thing that an app may want to tell apart, with typed data.

    ScripError
    +-- UnavailableError                    no answer within the time; says what may have happened
    +-- TokenError                          the token endpoint refused the client's credentials
    +-- UnreadableAnswerError               the answer is not Scrip's
    +-- TooManyAttemptsError                a key was charged and refunded too often
    +-- NotPaidError                        a use was not paid as it was asked for
    +-- ApiError                            what Scrip answered: status, code, detail, problem
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
        +-- RefundTooLargeError             409
        |   +-- AlreadyRefundedError
        +-- TooManyHoldsError               409
        +-- HoldEndedError                  409
        +-- HoldExceededError               409
        +-- HoldWithoutFeatureError         422
        +-- UnknownFeatureError             422
        +-- CostOutOfRangeError             422
        +-- NotRefundableError              422
        +-- IdempotencyKeyReusedError       422
        +-- TooManyRequestsError            429
        |   +-- HoldRateLimitedError
        +-- ServerError                     500, 502, 504
        +-- BusyError                       503

408, 429 and 5xx are tried again, and end as an UnavailableError whose cause is what was answered
last. A HoldRateLimitedError is raised at once.
An ApiError of no class of its own is one that this client does not know yet: switch on its `code`.
"""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - `read` looks types up at run time
from typing import TYPE_CHECKING, Any, ClassVar, get_type_hints

from scrip_client.reading import read

if TYPE_CHECKING:
    from collections.abc import Mapping


class ScripError(Exception):
    """Something went wrong between an app and Scrip.

    `may_have_taken_effect`: a request was sent whose answer is not known or not Scrip's. Asking
    again with the same `idempotency_key` is safe; it is None where the call changes nothing.
    """

    may_have_taken_effect: bool = False
    idempotency_key: str | None = None


class UnavailableError(ScripError):
    """Scrip could not be reached, or was too busy, for as long as the client may wait.

    `__cause__` is what happened last.
    """


class TokenError(ScripError):
    """The token endpoint refused the client's credentials. The message has its words."""


class UnreadableAnswerError(ScripError):
    """The answer is not one of Scrip's: another server's, or of a shape that is not known."""


class TooManyAttemptsError(ScripError):
    """An idempotency key was charged, refunded and charged again as often as it may be."""


class NotPaidError(ScripError):
    """A use was not paid as it was asked for, and charging more could charge twice.

    `expected` credits were asked for. `entry_id` is the entry that stands in the way, or None, and
    `paid` is what counts of it: nothing if a user's token made it. `hold_id` is the hold that the
    use was of, if it was of one.
    """

    def __init__(
        self,
        account_id: str,
        expected: int,
        paid: int = 0,
        entry_id: str | None = None,
        hold_id: str | None = None,
    ) -> None:
        """Know what was asked for, and what is there in its place."""
        super().__init__(account_id, expected, paid, entry_id, hold_id)
        self.account_id = account_id
        self.expected = expected
        self.paid = paid
        self.entry_id = entry_id
        self.hold_id = hold_id

    def __str__(self) -> str:
        by = f" by entry {self.entry_id}" if self.entry_id else ""
        return (
            f"{self.expected} credits were asked of account {self.account_id}, {self.paid} paid{by}"
        )


class ApiError(ScripError):
    """Scrip refused or failed.

    `problem` is all that it told (RFC 9457), `code` what a program switches on, `detail` what a
    person reads. What a class names beside that is None where an answer lacks it.
    """

    CODES: ClassVar[frozenset[str]] = frozenset()
    """The problems' codes that a class stands for; API Gateway's own answers have none."""

    status: int
    code: str
    detail: str

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        """Take the data that the class names from the problem."""
        super().__init__(status, problem)
        self.problem = problem
        for name, shape in get_type_hints(type(self)).items():
            # What has a value on the class is not the problem's to tell.
            if not hasattr(type(self), name):
                setattr(self, name, read(shape, problem.get(name)))
        self.status = status
        self.code = _code(problem) or f"http_{status}"
        self.detail = problem.get("detail") or problem.get("message") or "no detail was told"

    def __str__(self) -> str:
        return f"{self.status} {self.code}: {self.detail}"


class InvalidRequestError(ApiError):
    """The request cannot be read or is not valid; `problem` says what is wrong with it."""

    CODES = frozenset(
        {"malformed", "invalid", "invalid_cursor", "body_too_large", "unsupported_media_type"},
    )


class UnauthorizedError(ApiError):
    """The token is missing, expired or not of an issuer that Scrip trusts."""


class InsufficientCreditsError(ApiError):
    """Not enough credits. `next_reset_at` is when the next period's arrive."""

    CODES = frozenset({"insufficient_credits"})

    required: int
    available: int
    shortfall: int
    unit: str
    next_reset_at: datetime | None
    top_up_url: str | None


class ForbiddenError(ApiError):
    """The token does not allow that."""

    CODES = frozenset({"forbidden", "unusable_account_id"})


class AccountFrozenError(ApiError):
    """The account is frozen and may not spend."""

    CODES = frozenset({"account_frozen"})


class AccountClosedError(ApiError):
    """The account is closed for good."""

    CODES = frozenset({"account_closed"})


class NotFoundError(ApiError):
    """There is nothing at this address."""

    CODES = frozenset({"not_found"})


class AccountNotFoundError(NotFoundError):
    """There is no such account."""

    CODES = frozenset({"account_not_found"})

    account_id: str


class EntryNotFoundError(NotFoundError):
    """The account has no such entry."""

    CODES = frozenset({"entry_not_found"})

    entry_id: str


class RefundTooLargeError(ApiError):
    """More than is left to refund: of what was `taken`, `refunded` have gone back already."""

    CODES = frozenset({"refund_too_large"})

    taken: int
    refunded: int
    refundable: int


class AlreadyRefundedError(RefundTooLargeError):
    """Everything that the entry took has been refunded."""

    CODES = frozenset({"already_refunded"})


class HoldNotYoursError(ApiError):
    """The hold is the app's, and the token is a user's: only services can end it."""

    CODES = frozenset({"hold_not_yours"})

    hold_id: str


class HoldNotFoundError(NotFoundError):
    """The account has no such hold."""

    CODES = frozenset({"hold_not_found"})

    hold_id: str


class TooManyHoldsError(ApiError):
    """The account has as many open holds as it may."""

    CODES = frozenset({"too_many_holds"})

    holds_max: int


class HoldEndedError(ApiError):
    """The hold has ended: by the entry `ended_by`, or by itself, and then that is None."""

    CODES = frozenset({"hold_ended"})

    hold_id: str
    ended_by: str | None


class HoldExceededError(ApiError):
    """More than the hold has left."""

    CODES = frozenset({"hold_exceeded"})

    hold_id: str
    amount: int
    left: int


class HoldWithoutFeatureError(ApiError):
    """The hold is of an amount, so a quantity of it has no price."""

    CODES = frozenset({"hold_without_feature"})

    hold_id: str


class UnknownFeatureError(ApiError):
    """There is no active feature of this id; what has no price is never free."""

    CODES = frozenset({"unknown_feature"})

    feature: str


class CostOutOfRangeError(ApiError):
    """That quantity would cost more credits than one request may move."""

    CODES = frozenset({"cost_out_of_range"})

    cost: int
    cost_max: int


class NotRefundableError(ApiError):
    """Only uses can be refunded."""

    CODES = frozenset({"not_refundable"})

    entry_id: str
    entry_type: str


class IdempotencyKeyReusedError(ApiError):
    """The idempotency key belongs to another request of this account."""

    CODES = frozenset({"idempotency_key_reused"})

    entry_id: str


class TooManyRequestsError(ApiError):
    """More requests a second than API Gateway lets through."""


class HoldRateLimitedError(TooManyRequestsError):
    """A user's token opened, extended and released holds more than `calls_max` times in an hour.

    It may again in `retry_after` seconds. Services have no such bound.
    """

    CODES = frozenset({"hold_rate_limited"})

    calls_max: int
    retry_after: int


class ServerError(ApiError):
    """Scrip failed."""

    CODES = frozenset({"internal_error", "catalog_unsound", "corrupt_account"})


class BusyError(ApiError):
    """Scrip is too busy right now."""

    CODES = frozenset({"busy"})

    retry_after: int


_OF_CODE: Mapping[str, type[ApiError]] = {
    code: error
    for error in globals().values()
    if isinstance(error, type) and issubclass(error, ApiError)
    for code in error.CODES
}
_OF_STATUS: Mapping[int, type[ApiError]] = {
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
    """Return the error that tells a problem, or an answer of API Gateway's own.

    Raises:
        TypeError: what the problem tells is of other types than Scrip's.
        ValueError: an instant cannot be read.
    """
    code = _code(problem)
    if code is None:
        return _OF_STATUS.get(status, ApiError)(status, problem)
    return _OF_CODE.get(code, ApiError)(status, problem)


def is_of_scrip(problem: Mapping[str, Any]) -> bool:
    """Whether Scrip itself tells a problem, and not a proxy or API Gateway on the way to it."""
    return _code(problem) in _OF_CODE


def _code(problem: Mapping[str, Any]) -> str | None:
    code = problem.get("code")
    return code if isinstance(code, str) else None

"""Charge for what your app does: `Scrip`, and `AsyncScrip` for asyncio.

    with scrip.charge("image-generation", account_id) as charge:
        image = draw()

The credits are taken before the block, and given back when it raises.
"""

from scrip_client.charges import AsyncCharge, Charge
from scrip_client.client import AsyncScrip, Scrip
from scrip_client.errors import (
    AccountClosedError,
    AccountFrozenError,
    AccountNotFoundError,
    AlreadyRefundedError,
    ApiError,
    BusyError,
    CostOutOfRangeError,
    EntryNotFoundError,
    ForbiddenError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    InvalidRequestError,
    NotFoundError,
    NotRefundableError,
    RefundTooLargeError,
    ScripError,
    ServerError,
    TokenError,
    TooManyAttemptsError,
    TooManyRequestsError,
    UnauthorizedError,
    UnavailableError,
    UnknownFeatureError,
    UnreadableAnswerError,
)
from scrip_client.models import (
    Account,
    Actor,
    Allocation,
    Balance,
    Entry,
    Grant,
    OneEntry,
    Period,
    Posting,
    Quote,
)
from scrip_client.problems import USER_ERRORS, ProblemAnswer, problem_answer
from scrip_client.retries import Retries
from scrip_client.tokens import ClientCredentials

__all__ = [
    "USER_ERRORS",
    "Account",
    "AccountClosedError",
    "AccountFrozenError",
    "AccountNotFoundError",
    "Actor",
    "Allocation",
    "AlreadyRefundedError",
    "ApiError",
    "AsyncCharge",
    "AsyncScrip",
    "Balance",
    "BusyError",
    "Charge",
    "ClientCredentials",
    "CostOutOfRangeError",
    "Entry",
    "EntryNotFoundError",
    "ForbiddenError",
    "Grant",
    "IdempotencyKeyReusedError",
    "InsufficientCreditsError",
    "InvalidRequestError",
    "NotFoundError",
    "NotRefundableError",
    "OneEntry",
    "Period",
    "Posting",
    "ProblemAnswer",
    "Quote",
    "RefundTooLargeError",
    "Retries",
    "Scrip",
    "ScripError",
    "ServerError",
    "TokenError",
    "TooManyAttemptsError",
    "TooManyRequestsError",
    "UnauthorizedError",
    "UnavailableError",
    "UnknownFeatureError",
    "UnreadableAnswerError",
    "problem_answer",
]

"""What Scrip refuses, and why: one class an answer, typed data on it, never a message to parse.

    ScripError
    +-- RefusalError                    decided from the account that was read; nothing is written
    |   +-- InsufficientCreditsError    402
    |   +-- AccountFrozenError          403
    |   +-- AccountClosedError          403
    |   +-- HoldNotYoursError           403
    |   +-- UnusableAccountIdError      403
    |   +-- AccountNotFoundError        404
    |   +-- EntryNotFoundError          404
    |   +-- PaymentNotFoundError        404
    |   +-- HoldNotFoundError           404
    |   +-- DeductionTooLargeError      409
    |   +-- AlreadyRefundedError        409
    |   +-- RefundTooLargeError         409
    |   +-- TooManyGrantsError          409
    |   +-- TooManyHoldsError           409
    |   +-- HoldEndedError              409
    |   +-- HoldExceededError           409
    |   +-- PaymentTakenError           409
    |   +-- UnknownFeatureError         422
    |   +-- UnknownPlanError            422
    |   +-- CostOutOfRangeError         422
    |   +-- NotRefundableError          422
    |   +-- HoldWithoutFeatureError     422
    |   +-- ExpiryInThePastError        422
    |   +-- HoldRateLimitedError        429
    +-- PlanNotFoundError               404
    +-- FeatureNotFoundError            404
    +-- WebhookNotFoundError            404
    +-- AlreadyExistsError              409
    +-- DefaultPlanError                409
    +-- ProviderIdTakenError            409
    +-- EmailTakenError                 409
    +-- PayloadErasedError              409
    +-- NotConfiguredError              409
    +-- StaleVersionError               412
    +-- IdempotencyKeyReusedError       422
    +-- InvalidCursorError              400
    +-- SignatureError                  401
    +-- BusyError                       503
    |   +-- ProviderBusyError           503
    +-- CatalogUnsoundError             500
    +-- CorruptAccountError             500
    +-- PayloadError                    500

`status` is the HTTP status, `code` what a program switches on, the docstring's first line what a
person reads, the rest of it what to do; the fields of an error are its data (amounts in credits).
docs/reference/errors.md is made of all this.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar


@dataclass(eq=False, repr=False)
class ScripError(Exception):
    """Something went wrong.

    A fault of Scrip's own; the function's log has it under the `instance`. Asking again with the
    same idempotency key is safe.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"


@dataclass(eq=False, repr=False)
class RefusalError(ScripError):
    """The rules do not allow this on the account as it is."""


@dataclass(eq=False, repr=False)
class InsufficientCreditsError(RefusalError):
    """Not enough credits.

    Nothing was taken. Show the user the `shortfall`, when the next credits come (`next_reset_at`),
    and where to get more (`top_up_url`, null unless the stack has one).
    """

    status, code = 402, "insufficient_credits"
    required: int
    available: int
    shortfall: int
    next_reset_at: datetime


@dataclass(eq=False, repr=False)
class AccountFrozenError(RefusalError):
    """The account is frozen and may not spend.

    Do not ask again: an admin froze it, and one unfreezes it. Refunds and credits still arrive, and
    a service may end the holds that are open; its user can only read.
    """

    status, code = 403, "account_frozen"


@dataclass(eq=False, repr=False)
class AccountClosedError(RefusalError):
    """The account is closed for good.

    Do not ask again. The person opens another account under another id.
    """

    status, code = 403, "account_closed"


@dataclass(eq=False, repr=False)
class HoldNotYoursError(RefusalError):
    """The hold is not yours to end.

    A user's token can capture, extend and release only what a user's token has opened: a hold whose
    id begins with `user:`. The app's own holds are for its back end.
    """

    status, code = 403, "hold_not_yours"
    hold_id: str


@dataclass(eq=False, repr=False)
class UnusableAccountIdError(RefusalError):
    """No account can have this id, and none was opened.

    An id has 1 to 128 letters, digits and any of `. _ ~ ! $ & ' ( ) * + , ; = : @ | -`, and is not
    `me`, `.` or `..`. A user's is the `sub` of their token: have the issuer send another.
    """

    status, code = 403, "unusable_account_id"


@dataclass(eq=False, repr=False)
class AccountNotFoundError(RefusalError):
    """There is no such account.

    Check the id. A user's first call opens their account; a service's does not.
    """

    status, code = 404, "account_not_found"
    account_id: str


@dataclass(eq=False, repr=False)
class EntryNotFoundError(RefusalError):
    """The account has no such entry.

    If this refunds a consume whose answer was lost, nothing was charged. Ask again some seconds
    later where it may still have been on its way.
    """

    status, code = 404, "entry_not_found"
    entry_id: str


@dataclass(eq=False, repr=False)
class PaymentNotFoundError(RefusalError):
    """The account has no such payment.

    Told within webhooks only, never to a caller: the message waits until the payment is known.
    """

    status, code = 404, "payment_not_found"
    payment_id: str


@dataclass(eq=False, repr=False)
class HoldNotFoundError(RefusalError):
    """The account has no such hold.

    If the answer to opening it was lost, nothing is held. Ask again some seconds later where it may
    still have been on its way.
    """

    status, code = 404, "hold_not_found"
    hold_id: str


@dataclass(eq=False, repr=False)
class DeductionTooLargeError(RefusalError):
    """Not enough credits to deduct.

    Deduct at most `available`. What the app holds cannot be deducted before its hold has ended, and
    so the balance cannot be set below it. The user's own holds do not stand in the way: as many of
    them end as the deduction needs.
    """

    status, code = 409, "insufficient_credits"
    required: int
    available: int
    shortfall: int


@dataclass(eq=False, repr=False)
class RefundTooLargeError(RefusalError):
    """More than is left to refund.

    Refund at most `refundable`.
    """

    status, code = 409, "refund_too_large"
    taken: int
    refunded: int
    refundable: int


@dataclass(eq=False, repr=False)
class AlreadyRefundedError(RefundTooLargeError):
    """Everything that the entry took has been refunded.

    Nothing is left to do; `taken` and `refunded` are the totals.
    """

    code = "already_refunded"


@dataclass(eq=False, repr=False)
class TooManyGrantsError(RefusalError):
    """The account holds as many live grants as it may.

    Give the credits the kind and expiry of a live grant, which they then join, or wait until one
    expires.
    """

    status, code = 409, "too_many_grants"
    grants_max: int


@dataclass(eq=False, repr=False)
class TooManyHoldsError(RefusalError):
    """The account has as many open holds as it may.

    Capture or release some, or wait until one expires.
    """

    status, code = 409, "too_many_holds"
    holds_max: int


@dataclass(eq=False, repr=False)
class HoldEndedError(RefusalError):
    """The hold has ended.

    `ended_by` is the entry that captured or released it; null when it expired, its account was
    closed, an admin deducted its credits, or an unlimited plan that gave it for nothing ended. What
    it had left is back in its grants. Use `consume` for what is still to be charged.
    """

    status, code = 409, "hold_ended"
    hold_id: str
    ended_by: str | None


@dataclass(eq=False, repr=False)
class HoldExceededError(RefusalError):
    """More than the hold has left.

    Capture at most `left`, or ask for the rest to be taken from what is available (`excess`).
    Release a hold of which nothing is left.
    """

    status, code = 409, "hold_exceeded"
    hold_id: str
    amount: int
    left: int


@dataclass(eq=False, repr=False)
class PaymentTakenError(RefusalError):
    """The payment has brought its credits to another account.

    Told within webhooks only, never to a caller: the message is ignored with this reason.
    """

    status, code = 409, "payment_taken"
    payment_id: str


@dataclass(eq=False, repr=False)
class UnknownPlanError(RefusalError):
    """There is no active plan of this id.

    Use a plan of `GET /v1/admin/plans` that is active.
    """

    status, code = 422, "unknown_plan"
    plan_id: str


@dataclass(eq=False, repr=False)
class UnknownFeatureError(RefusalError):
    """There is no active feature of this id; what has no price is never free.

    Use a feature of `GET /v1/catalog`. A new or revived one counts within 30 seconds.
    """

    status, code = 422, "unknown_feature"
    feature: str


@dataclass(eq=False, repr=False)
class CostOutOfRangeError(RefusalError):
    """That quantity would cost more credits than one request may move.

    Use a smaller quantity: a request moves `cost_max` credits at most.
    """

    status, code = 422, "cost_out_of_range"
    cost: int
    cost_max: int


@dataclass(eq=False, repr=False)
class NotRefundableError(RefusalError):
    """Only usage entries can be refunded.

    Name the entry of a consume. What an admin gave or took is put right by an adjustment.
    """

    status, code = 422, "not_refundable"
    entry_id: str
    entry_type: str


@dataclass(eq=False, repr=False)
class HoldWithoutFeatureError(RefusalError):
    """The hold is of an amount, so a quantity of it has no price.

    Capture an `amount`.
    """

    status, code = 422, "hold_without_feature"
    hold_id: str


@dataclass(eq=False, repr=False)
class ExpiryInThePastError(RefusalError):
    """Credits cannot arrive expired.

    Give an `expires_at` that is still to come, or none.
    """

    status, code = 422, "expiry_in_the_past"
    expires_at: datetime


@dataclass(eq=False, repr=False)
class HoldRateLimitedError(RefusalError):
    """Too many calls about holds within this hour.

    A user's token opens, extends and releases holds at most `calls_max` times an hour. Wait
    `Retry-After` seconds, or let the app's back end make the calls: a service has no such bound.
    """

    status, code = 429, "hold_rate_limited"
    calls_max: int
    retry_after: int


@dataclass(eq=False, repr=False)
class PlanNotFoundError(ScripError):
    """There is no such plan.

    Check the id against `GET /v1/admin/plans`.
    """

    status, code = 404, "plan_not_found"
    plan_id: str


@dataclass(eq=False, repr=False)
class FeatureNotFoundError(ScripError):
    """There is no such feature.

    Check the id against `GET /v1/admin/features`.
    """

    status, code = 404, "feature_not_found"
    feature_id: str


@dataclass(eq=False, repr=False)
class AlreadyExistsError(ScripError):
    """There is one of that id.

    Replace it with PUT and its version, or take another id. If this repeats a POST whose answer was
    lost, read the item: it may be yours.
    """

    status, code = 409, "already_exists"


@dataclass(eq=False, repr=False)
class DefaultPlanError(ScripError):
    """The plan of new accounts stays active.

    Deploy the stack with another `DefaultPlan` first.
    """

    status, code = 409, "default_plan"
    plan_id: str


@dataclass(eq=False, repr=False)
class ProviderIdTakenError(ScripError):
    """Another plan has that id at a provider.

    Take the `provider_id` out of the plan `plan_id` first.
    """

    status, code = 409, "provider_id_taken"
    provider_id: str
    plan_id: str


@dataclass(eq=False, repr=False)
class WebhookNotFoundError(ScripError):
    """No such message is in the inbox.

    Check the id against `GET /v1/admin/webhooks`; messages that are done are kept for 90 days.
    """

    status, code = 404, "webhook_not_found"
    webhook_id: str


@dataclass(eq=False, repr=False)
class EmailTakenError(ScripError):
    """The address leads to another account.

    Find the account with `GET /v1/admin/accounts?email=`; the first account of an address keeps it.
    """

    status, code = 409, "email_taken"


@dataclass(eq=False, repr=False)
class PayloadErasedError(ScripError):
    """What the message said was erased with somebody's personal data.

    Nothing can be replayed: the account was closed.
    """

    status, code = 409, "payload_erased"


@dataclass(eq=False, repr=False)
class NotConfiguredError(ScripError):
    """The stack lacks something that this needs, or what it has is not accepted.

    Set what `setting` names, or correct it. For `stripe_api_key` that is in the webhooks' secret.
    """

    status, code = 409, "not_configured"
    setting: str


@dataclass(eq=False, repr=False)
class StaleVersionError(ScripError):
    """It has been changed since that version.

    Read it again, see what has changed, and repeat the edit with `version`.
    """

    status, code = 412, "stale_version"
    version: int


@dataclass(eq=False, repr=False)
class IdempotencyKeyReusedError(ScripError):
    """The idempotency key belongs to another request of this account.

    A key belongs to one request for ever. Take a new key for a new request; send a retry unchanged.
    """

    status, code = 422, "idempotency_key_reused"
    entry_id: str


@dataclass(eq=False, repr=False)
class InvalidCursorError(ScripError):
    """The cursor is not one that this question was answered with.

    Send a cursor with the very filters that it was answered to, or begin without one.
    """

    status, code = 400, "invalid_cursor"


@dataclass(eq=False, repr=False)
class SignatureError(ScripError):
    """The message is not signed with a secret that is known here, or not just now.

    Check that the stack's secret holds the provider's, and that the clocks differ by less than 5
    minutes. Nothing was stored.
    """

    status, code = 401, "bad_signature"


@dataclass(eq=False, repr=False)
class BusyError(ScripError):
    """Too busy right now; asking again is safe.

    Wait `Retry-After` seconds, then ask again with the same idempotency key: it takes effect once,
    whether this attempt did or not.
    """

    status, code = 503, "busy"
    retry_after: int = 1


@dataclass(eq=False, repr=False)
class ProviderBusyError(BusyError):
    """A service that has to be asked does not answer; asking again is safe.

    Ask again, with the `cursor` of the answer before if there was one.
    """

    code = "provider_busy"


@dataclass(eq=False, repr=False)
class CatalogUnsoundError(ScripError):
    """The catalog lacks a plan that is in use.

    An admin puts the plan `plan_id` back into the catalog.
    """

    code = "catalog_unsound"
    plan_id: str


@dataclass(eq=False, repr=False)
class CorruptAccountError(ScripError):
    """The stored account contradicts itself: it was not written by Scrip.

    Nothing was changed. The item was edited by hand: restore it from a backup.
    """

    code = "corrupt_account"
    account_id: str


@dataclass(eq=False, repr=False)
class PayloadError(ScripError):
    """The provider's message is not of a shape that can be read.

    The provider tries again; `reason` says what could not be read. Replay it once the reading is
    mended.
    """

    code = "unreadable_payload"
    reason: str

"""Why Scrip refuses a request: one class for each reason, with typed data and no message to parse.

    ScripError
    +-- RefusalError                    decided from the account as read; nothing is written
    |   +-- InsufficientCreditsError    402
    |   +-- AccountFrozenError          403
    |   +-- AccountClosedError          403
    |   +-- HoldNotYoursError           403
    |   +-- UnusableAccountIdError      403
    |   +-- AccountNotFoundError        404
    |   +-- EntryNotFoundError          404
    |   +-- NoEntryYetError             404
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
    |   +-- ClockBehindError            409
    |   +-- UnknownFeatureError         422
    |   +-- UnknownPlanError            422
    |   +-- CostOutOfRangeError         422
    |   +-- NotRefundableError          422
    |   +-- HoldWithoutFeatureError     422
    |   +-- ExpiryInThePastError        422
    |   +-- InstantTooFarError          422
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
    +-- UnknownUsageError               422
    +-- InvalidCursorError              400
    +-- SignatureError                  401
    +-- BusyError                       503
    |   +-- ProviderBusyError           503
    +-- NewerVersionError               503
    +-- CatalogUnsoundError             500
    +-- CorruptAccountError             500
    +-- PayloadError                    500

`status` is the HTTP status and `code` is for programs. The docstring's first line is for people,
the rest says what to do. The fields of an error are its data (amounts in credits).
docs/reference/errors.md is generated from all of this.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, dataclass_transform


@dataclass_transform(eq_default=False)
@dataclass(eq=False, repr=False)
class ScripError(Exception):
    """Something went wrong on our side.

    The function's log has the cause under the `instance`. Trying again with the same idempotency
    key is safe.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal_error"
    detail: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        """Make every error with data of its own a dataclass."""
        if "__annotations__" in cls.__dict__:
            dataclass(eq=False, repr=False)(cls)


class RefusalError(ScripError):
    """The rules do not allow this on the account as it is."""


class InsufficientCreditsError(RefusalError):
    """Not enough credits.

    Nothing was taken. Show the user the `shortfall`, when the next credits arrive
    (`next_reset_at`), where to get more (`top_up_url`, null unless the stack has one), and the page
    that shows where credits went (`credits_url`, null unless the stack has a domain of its own).
    """

    status, code = 402, "insufficient_credits"
    detail = "Not enough credits: {required} needed, {available} available."
    required: int
    available: int
    shortfall: int
    next_reset_at: datetime


class AccountFrozenError(RefusalError):
    """This account is frozen and cannot spend.

    Do not retry: an admin froze it and can unfreeze it. Refunds and credits still arrive, and a
    service can end the open holds; its user can only read.
    """

    status, code = 403, "account_frozen"


class AccountClosedError(RefusalError):
    """This account is closed permanently.

    Do not retry. The person can open another account under another ID.
    """

    status, code = 403, "account_closed"


class HoldNotYoursError(RefusalError):
    """This hold belongs to the app, so you cannot end it.

    A user's token can capture, extend and release only holds that a user's token opened: those
    whose ID begins with `user:`. The app's back end manages its own.
    """

    status, code = 403, "hold_not_yours"
    hold_id: str


class UnusableAccountIdError(RefusalError):
    """This ID cannot be used for an account, so none was opened.

    An ID has 1 to 128 letters, digits and any of `. _ ~ ! $ & ' ( ) * + , ; = : @ | -`, and is not
    `me`, `.` or `..`. A user's ID is the `sub` of their token: have the issuer send another.
    """

    status, code = 403, "unusable_account_id"


class AccountNotFoundError(RefusalError):
    """This account does not exist.

    Check the ID. A user's first call opens their account; a service's call does not.
    """

    status, code = 404, "account_not_found"
    account_id: str


class EntryNotFoundError(RefusalError):
    """This account has no such entry.

    If you are refunding a consume whose answer was lost, nothing was charged. Try again after a few
    seconds if the consume could still have been on its way.
    """

    status, code = 404, "entry_not_found"
    entry_id: str


class NoEntryYetError(RefusalError):
    """This account had no entry yet at this time.

    The past is read from the ledger, which begins with the account's first credits. Ask for a later
    `at`.
    """

    status, code = 404, "no_entry_yet"
    detail = "This account had no entry yet at {at}."
    at: datetime


class PaymentNotFoundError(RefusalError):
    """This account has no such payment.

    Only webhooks get this, never a caller: the message waits until the payment is known.
    """

    status, code = 404, "payment_not_found"
    payment_id: str


class HoldNotFoundError(RefusalError):
    """This account has no such hold.

    If the answer to opening it was lost, nothing is held. Try again after a few seconds if that
    request could still have been on its way.
    """

    status, code = 404, "hold_not_found"
    hold_id: str


class DeductionTooLargeError(RefusalError):
    """Not enough credits to deduct.

    Deduct at most `available`. Credits that the app holds cannot be deducted until the hold ends,
    so the balance cannot be set below them. The user's own holds are no obstacle: as many of them
    end as the deduction needs.
    """

    status, code = 409, "insufficient_credits"
    detail = "Not enough credits to deduct: {required} needed, {available} available."
    required: int
    available: int
    shortfall: int


class RefundTooLargeError(RefusalError):
    """This is more than is left to refund.

    Refund at most `refundable`.
    """

    status, code = 409, "refund_too_large"
    detail = "At most {refundable} credits of this entry can still be refunded."
    taken: int
    refunded: int
    refundable: int


class AlreadyRefundedError(RefundTooLargeError):
    """This entry has already been refunded in full.

    There is nothing left to do; `taken` and `refunded` are the totals.
    """

    code = "already_refunded"
    detail = "All {taken} credits of this entry have already been refunded."


class TooManyGrantsError(RefusalError):
    """This account has reached its limit of live grants.

    Give the credits the kind and expiry of a live grant, which they then join, or wait until one
    expires.
    """

    status, code = 409, "too_many_grants"
    detail = "This account already has {grants_max} live grants, the most it can have."
    grants_max: int


class TooManyHoldsError(RefusalError):
    """This account has reached its limit of open holds.

    Capture or release some, or wait until one expires.
    """

    status, code = 409, "too_many_holds"
    detail = "This account already has {holds_max} open holds, the most it can have."
    holds_max: int


class HoldEndedError(RefusalError):
    """This hold has ended.

    `ended_by` is the entry that captured or released it. It is null if the hold expired, its
    account was closed, an admin deducted its credits, or it cost nothing on an unlimited plan that
    ended. What was left went back to its grants. Use `consume` to charge for anything further.
    """

    status, code = 409, "hold_ended"
    hold_id: str
    ended_by: str | None


class HoldExceededError(RefusalError):
    """This is more than the hold has left.

    Capture at most `left`, or take the rest from the available credits (`excess`). Release a hold
    that has nothing left.
    """

    status, code = 409, "hold_exceeded"
    detail = "This hold has {left} credits left; {amount} were requested."
    hold_id: str
    amount: int
    left: int


class PaymentTakenError(RefusalError):
    """This payment's credits went to another account.

    Only webhooks get this, never a caller: the message is ignored for this reason.
    """

    status, code = 409, "payment_taken"
    payment_id: str


class ClockBehindError(RefusalError):
    """An account's clock can only be set forward.

    Give a time after `now`, the time on the account's clock. To start over, use another account.
    """

    status, code = 409, "clock_behind"
    detail = "The account's clock already shows {now} and can only be set forward."
    now: datetime


class UnknownPlanError(RefusalError):
    """There is no active plan with this ID.

    Use an active plan from `GET /v1/admin/plans`.
    """

    status, code = 422, "unknown_plan"
    detail = "There is no active plan with the ID {plan_id}."
    plan_id: str


class UnknownFeatureError(RefusalError):
    """There is no active feature with this ID.

    A use without a price is never free. Use a feature from `GET /v1/catalog`; a new or reactivated
    one takes effect within 30 seconds.
    """

    status, code = 422, "unknown_feature"
    detail = "There is no active feature with the ID {feature}."
    feature: str


class UnknownMeterError(RefusalError):
    """The feature has no such meter.

    Nothing without a price is free. Send `usage` with meters of the feature from `GET /v1/catalog`,
    or a `quantity` if it has no meters.
    """

    status, code = 422, "unknown_meter"
    detail = "The feature {feature} has no meter {meter}. It has: {meters}."
    feature: str
    meter: str
    meters: str


class CostOutOfRangeError(RefusalError):
    """This use costs more credits than one request can move.

    Charge it in parts: a request moves at most `cost_max` credits.
    """

    status, code = 422, "cost_out_of_range"
    detail = "This use costs {cost} credits; one request can move at most {cost_max}."
    cost: int
    cost_max: int


class NotRefundableError(RefusalError):
    """Only usage entries can be refunded.

    Refund the entry of a consume. To correct an admin's adjustment, make another one.
    """

    status, code = 422, "not_refundable"
    entry_id: str
    entry_type: str


class HoldWithoutFeatureError(RefusalError):
    """This hold is not for that feature, so its quantity or usage has no price.

    Capture an `amount`, or a line of a feature that the hold was opened for.
    """

    status, code = 422, "hold_without_feature"
    hold_id: str


class ExpiryInThePastError(RefusalError):
    """Credits cannot expire in the past.

    Use an `expires_at` in the future, or none.
    """

    status, code = 422, "expiry_in_the_past"
    expires_at: datetime


class InstantTooFarError(RefusalError):
    """This time is too far away.

    Give a time up to `latest`, which is 10 years ahead.
    """

    status, code = 422, "instant_too_far"
    detail = "This time is too far away: the latest is {latest}."
    latest: datetime


class HoldRateLimitedError(RefusalError):
    """Too many hold calls this hour.

    A user's token can open, extend and release holds at most `calls_max` times an hour, and each
    line of a hold counts. Wait `Retry-After` seconds, or make the calls from the app's back end,
    which has no such limit.
    """

    status, code = 429, "hold_rate_limited"
    detail = "Too many hold calls. Try again in {retry_after} seconds."
    calls_max: int
    retry_after: int


class PlanNotFoundError(ScripError):
    """This plan does not exist.

    Check the ID against `GET /v1/admin/plans`.
    """

    status, code = 404, "plan_not_found"
    plan_id: str


class FeatureNotFoundError(ScripError):
    """This feature does not exist.

    Check the ID against `GET /v1/admin/features`.
    """

    status, code = 404, "feature_not_found"
    feature_id: str


class AlreadyExistsError(ScripError):
    """This ID is already in use.

    Replace the item with PUT and its version, or choose another ID. If you are repeating a POST
    whose answer was lost, read the item: it may be yours.
    """

    status, code = 409, "already_exists"


class DefaultPlanError(ScripError):
    """The plan for new accounts must stay active.

    Deploy the stack with another `DefaultPlan` first.
    """

    status, code = 409, "default_plan"
    plan_id: str


class ProviderIdTakenError(ScripError):
    """Another plan already has this provider ID.

    Remove the `provider_id` from the plan `plan_id` first.
    """

    status, code = 409, "provider_id_taken"
    detail = "The plan {plan_id} already has the provider ID {provider_id}."
    provider_id: str
    plan_id: str


class WebhookNotFoundError(ScripError):
    """The inbox has no such message.

    Check the ID against `GET /v1/admin/webhooks`; processed messages are kept for 90 days.
    """

    status, code = 404, "webhook_not_found"
    webhook_id: str


class EmailTakenError(ScripError):
    """This email address belongs to another account.

    Find the account with `GET /v1/admin/accounts?email=`. An address stays with its first account.
    """

    status, code = 409, "email_taken"


class PayloadErasedError(ScripError):
    """The content of this message was erased with the user's personal data.

    It cannot be replayed: the account was closed.
    """

    status, code = 409, "payload_erased"


class NotConfiguredError(ScripError):
    """The stack lacks a setting that this needs, or its value is not accepted.

    Set or correct `setting`. For `stripe_api_key` that is in the webhooks' secret.
    """

    status, code = 409, "not_configured"
    detail = "The stack lacks the setting {setting}, or its value is not accepted."
    setting: str


class StaleVersionError(ScripError):
    """This was changed after the version you edited.

    Read it again, see what has changed, and repeat the edit with `version`.
    """

    status, code = 412, "stale_version"
    version: int


class IdempotencyKeyReusedError(ScripError):
    """This idempotency key belongs to another request of this account.

    A key belongs to one request permanently. Use a new key for a new request; send a retry
    unchanged.
    """

    status, code = 422, "idempotency_key_reused"
    entry_id: str


class UnknownUsageError(RefusalError):
    """The provider's usage is not in a form that Scrip can price.

    Nothing was charged. Send the usage object as the provider's API returned it: `field` is missing
    there, contradicts the rest, or is not known. If it is right, charge for this use by meters
    instead.
    """

    status, code = 422, "unknown_usage"
    detail = "Scrip cannot price the usage from {provider}: {field} is not as expected."
    provider: str
    field: str


class InvalidCursorError(ScripError):
    """This cursor belongs to a different query.

    Send a cursor with the same filters as the request that returned it, or start without one.
    """

    status, code = 400, "invalid_cursor"


class SignatureError(ScripError):
    """The signature of this message could not be verified.

    Check that the stack's secret holds the provider's secret, and that the clocks differ by less
    than 5 minutes. Nothing was stored.
    """

    status, code = 401, "bad_signature"


class BusyError(ScripError):
    """Too busy right now; trying again is safe.

    Wait `Retry-After` seconds, then send the request again with the same idempotency key: it takes
    effect once, whether or not this attempt did.
    """

    status, code = 503, "busy"
    retry_after: int = 1


class ProviderBusyError(BusyError):
    """An external service did not answer; trying again is safe.

    Send the request again, with the `cursor` of the previous answer if there was one.
    """

    code = "provider_busy"


class NewerVersionError(ScripError):
    """An update is under way; trying again in a moment is safe.

    A newer version wrote something that this one cannot read. Nothing was changed: wait
    `Retry-After` seconds, then send the request again with the same idempotency key. If that does
    not help, an older version was deployed over a newer one: deploy the newer one again.
    """

    status, code = 503, "newer_version"
    retry_after: int = 10


class CatalogUnsoundError(ScripError):
    """The catalog lacks a plan that is in use.

    Ask an admin to add the plan `plan_id` to the catalog again.
    """

    code = "catalog_unsound"
    detail = "The catalog lacks the plan {plan_id}, which is in use."
    plan_id: str


class CorruptAccountError(ScripError):
    """The stored account contradicts itself: something other than Scrip changed it.

    Nothing was changed now. The item was edited by hand: restore it from a backup.
    """

    code = "corrupt_account"
    account_id: str


class PayloadError(ScripError):
    """The format of the provider's message was not recognized.

    The provider will try again; `reason` says what could not be read. Replay the message once Scrip
    can read it.
    """

    code = "unreadable_payload"
    detail = "The format of the provider's message was not recognized: {reason}"
    reason: str

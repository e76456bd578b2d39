"""The shapes of answers and problems, for the OpenAPI document: no function imports them."""

from dataclasses import fields
from datetime import date, datetime
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, JsonValue, create_model

from scrip.domain.account import AccountStatus
from scrip.domain.entries import ActorType, EntryType
from scrip.domain.errors import InsufficientCreditsError, ScripError
from scrip.domain.grants import GrantKind

type InboxStatusName = Literal["received", "applied", "ignored", "unmatched", "failed"]


class Period(BaseModel):
    """A period, half-open."""

    start: datetime
    end: datetime


class GrantAnswer(BaseModel):
    """A bucket of credits."""

    grant_id: str
    kind: GrantKind
    amount: int
    remaining: int
    priority: int
    granted_at: datetime
    expires_at: datetime | None
    source: str


class AccountSummary(BaseModel):
    """An account's balance. Credits."""

    account_id: str
    balance: int
    available: int
    held: int
    debt: int
    unlimited: bool


class AccountAnswer(AccountSummary):
    """An account as it is now."""

    status: AccountStatus
    plan_id: str
    subscription_status: str | None
    period: Period
    used: int
    granted_total: int
    consumed_total: int
    grants: list[GrantAnswer]


class AuditAnswer(BaseModel):
    """What an admin changed: the value before and after."""

    audit_id: str
    action: str
    actor: "ActorAnswer"
    reason: str | None
    note: str | None
    before: dict[str, Any]
    after: dict[str, Any]
    recorded_at: datetime
    entry_id: str | None


class AuditsAnswer(BaseModel):
    """Audit records, newest first; the end is `cursor: null`."""

    audit: list[AuditAnswer]
    cursor: str | None


class QuotaOverrides(BaseModel):
    """What an account has instead of its plan's own."""

    monthly_credits: int | None
    limits: dict[str, int]


class NextQuota(BaseModel):
    """What comes into force with the next period."""

    plan_id: str
    monthly_credits: int
    unlimited: bool
    limits: dict[str, int]


class QuotaAnswer(NextQuota):
    """What an account may use, what it has used in the period, and who changed it last."""

    account_id: str
    overrides: QuotaOverrides
    next: NextQuota | None
    period: Period
    used: int
    audit: list[AuditAnswer]


class ClosedAnswer(BaseModel):
    """The account is closed; its ledger is kept, and leads to nobody."""

    account_id: str
    status: Literal["closed"]


class AllocationAnswer(BaseModel):
    """Credits of an entry that came from or went to one grant."""

    grant_id: str
    amount: int


class ActorAnswer(BaseModel):
    """Who made a change."""

    type: ActorType
    id: Annotated[str | None, Field(description="Null for users.")] = None


class EntryAnswer(BaseModel):
    """One immutable line of the ledger."""

    entry_id: str
    seq: int
    type: EntryType
    amount: int
    balance_after: int
    held_after: int
    debt_after: int
    unlimited: bool
    allocations: list[AllocationAnswer]
    feature: str | None
    quantity: int | None
    cost: int | None
    feature_version: int | None
    reason: str | None
    reference: str | None
    metadata: dict[str, Any] | None
    actor: ActorAnswer
    source: str | None
    refunds: str | None
    hold_id: str | None
    expires_at: datetime | None
    expired: int | None
    request_hash: str | None
    recorded_at: datetime
    effective_at: datetime
    previous_hash: str
    hash: str


class OneEntryAnswer(EntryAnswer):
    """An entry with the credits of it that have been refunded."""

    refunded: int


class EntriesAnswer(BaseModel):
    """Entries, newest first. A page may be short before the end; the end is `cursor: null`."""

    entries: list[EntryAnswer]
    cursor: str | None


class ArchivedEntryAnswer(EntryAnswer):
    """An entry as it was archived, whose it is, and what wrote it.

    `correlation_id` is the `X-Request-Id` of the request, or the id of a message or an invocation.
    """

    account_id: str
    correlation_id: str | None = None


class ArchivedEntriesAnswer(BaseModel):
    """Entries of all accounts, oldest hour first. A page may be short before the end."""

    entries: list[ArchivedEntryAnswer]
    cursor: str | None


class UsageRow(BaseModel):
    """Use of one day, one feature, or both, as it was asked to be grouped.

    `feature` is null for uses by amount. `credits` is what `count` uses cost; `refunded` is what
    was given back within the days, of uses of whatever day.
    """

    day: date | None = None
    feature: str | None = None
    credits: int
    count: int
    refunded: int


class UsageAnswer(BaseModel):
    """Use from a day (included) to a day (not included), in UTC."""

    usage: list[UsageRow]
    from_: Annotated[date, Field(alias="from")]
    to: date


class PostedAnswer(BaseModel):
    """The entry that a command wrote, and the account after it."""

    entry: EntryAnswer
    account: AccountSummary


class BatchAnswer(BaseModel):
    """The entries of a batch, in its order, and the account after the last."""

    entries: list[EntryAnswer]
    account: AccountSummary


class HeldAnswer(BaseModel):
    """A hold: `amount` credits are set aside, and `left` can still be captured within it.

    The two differ only where an unlimited plan charges nothing. `expires_at` is null for what a
    dispute of a payment has set aside. Only what a user's token opened can be ended with one.
    """

    hold_id: str
    opened_by: Literal[ActorType.USER, ActorType.SERVICE, ActorType.WEBHOOK]
    amount: int
    left: int
    feature: str | None
    expires_at: datetime | None
    allocations: list[AllocationAnswer]


class HoldAnswer(PostedAnswer):
    """The hold that was opened, its entry, and the account after it."""

    hold: HeldAnswer


class ExtendedAnswer(BaseModel):
    """The hold as it is now, and the account."""

    hold: HeldAnswer
    account: AccountSummary


class HoldsAnswer(BaseModel):
    """The holds that are open now."""

    holds: list[HeldAnswer]


class QuoteAnswer(BaseModel):
    """What a consume would cost, and whether it would be allowed. Credits."""

    cost: int
    feature_version: int | None
    available: int
    shortfall: int
    unlimited: bool
    allowed: bool


class RolloverAnswer(BaseModel):
    """What of an unspent allowance outlives its period."""

    max: int
    periods: int


class PublicPlan(BaseModel):
    """What an account gets every period. Credits."""

    plan_id: str
    name: str
    monthly_credits: int
    unlimited: bool
    rollover: RolloverAnswer | None
    overdraft_limit: int
    limits: dict[str, int]
    version: int


class PlanAnswer(PublicPlan):
    """A plan as admins see it."""

    provider_ids: list[str]
    active: bool


class PlansAnswer(BaseModel):
    """All plans, by id."""

    plans: list[PlanAnswer]


class PublicFeature(BaseModel):
    """What a use costs: `cost` credits for each `per` units."""

    feature_id: str
    name: str
    cost: int
    per: int
    unit: str
    version: int


class FeatureAnswer(PublicFeature):
    """A feature as admins see it."""

    active: bool


class FeaturesAnswer(BaseModel):
    """All features, by id."""

    features: list[FeatureAnswer]


class CatalogAnswer(BaseModel):
    """The active plans and features, by id."""

    plans: list[PublicPlan]
    features: list[PublicFeature]


class WebhookAnswer(BaseModel):
    """What became of a message; `unmatched` ones wait until their account or payment is known."""

    webhook_id: str
    status: Literal["applied", "ignored", "unmatched"]


class ListedAccount(BaseModel):
    """An account in a list, as it is now. Credits."""

    account_id: str
    emails: list[str]
    status: AccountStatus
    plan_id: str
    subscription_status: str | None
    balance: int
    available: int
    held: int
    debt: int


class UnreadableAccount(BaseModel):
    """An account that cannot be shown; `error` is the code of why not."""

    account_id: str
    error: str


class AccountsAnswer(BaseModel):
    """Accounts, by the day and time of their anchor. The end is `cursor: null`."""

    accounts: list[ListedAccount | UnreadableAccount]
    cursor: str | None


class ListedWebhook(BaseModel):
    """A message of a provider, and what became of it. `waits_for` are names nobody has yet."""

    webhook_id: str
    provider: str
    type: str
    status: InboxStatusName
    reason: str | None
    account_id: str | None
    attempts: int
    waits_for: list[str]
    sent_at: datetime
    received_at: datetime
    changed_at: datetime


class WebhooksAnswer(BaseModel):
    """Messages, newest first. A page may be short before the end; the end is `cursor: null`."""

    webhooks: list[ListedWebhook]
    cursor: str | None


class OneWebhookAnswer(ListedWebhook):
    """A message with what it said; `payload` is null once it was erased."""

    payload: dict[str, Any] | None


class SyncCounts(BaseModel):
    """How many users, subscriptions and overrides were looked at, and what became of them."""

    seen: int
    unchanged: int
    changed: int
    skipped: int
    unmatched: int
    failed: int


class SyncDifference(BaseModel):
    """What was repaired in an account, or would be."""

    account_id: str
    field: str
    before: JsonValue
    after: JsonValue


class SyncFailure(BaseModel):
    """What could not be repaired: an account's id or a subscription's, and the error's code."""

    subject: str
    code: str


class SyncAnswer(BaseModel):
    """What this call did. Unless it is `complete`, ask again with the cursor."""

    complete: bool
    cursor: str | None
    counts: SyncCounts
    differences: list[SyncDifference]
    failures: list[SyncFailure]


class HealthProblem(BaseModel):
    """Something that wants a look."""

    code: Literal[
        "unreadable_item",
        "default_plan_missing",
        "default_plan_inactive",
        "provider_id_on_two_plans",
        "sweep_late",
        "audit_mismatches",
        "accounts_unaudited",
        "audit_late",
        "dead_letters",
        "queue_unreadable",
    ]
    subject: str


class QueueDepths(BaseModel):
    """Messages of each queue, about; null where the queue did not say."""

    renew: int | None
    renew_dead_letters: int | None
    events_dead_letters: int | None


class AuditHealth(BaseModel):
    """What the audit of all accounts has come to.

    `accounts` and `unaudited` are of the last round that ended, `ended_at` is null before the
    first did. `mismatches` is what it found, or the round under way if that has found more.
    `age_seconds` is how long ago the last round began: so long may a fault stay unseen.
    """

    ended_at: datetime | None
    age_seconds: int
    accounts: int
    mismatches: int
    unaudited: int


class AdminHealthAnswer(BaseModel):
    """How the stack is.

    `watermark_age_seconds` is null before the first sweep, and for a watermark in the future.
    """

    status: Literal["ok", "degraded"]
    problems: list[HealthProblem]
    queues: QueueDepths
    watermark_age_seconds: int | None
    audit: Annotated[AuditHealth | None, Field(description="Null before the first audit.")]


class HealthAnswer(BaseModel):
    """The API is up."""

    status: Literal["ok"]


class ProblemAnswer(BaseModel):
    """A refusal or failure, RFC 9457. `code` is for programs; `instance` names the request."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    code: str


class GatewayMessage(BaseModel):
    """What API Gateway answers by itself."""

    message: str


@cache
def problem_model(error: type[ScripError]) -> type[ProblemAnswer]:
    """Return the shape of the problem that tells an error."""
    data: dict[str, Any] = {field.name: (field.type, ...) for field in fields(error)}
    if issubclass(error, InsufficientCreditsError):
        data |= {"unit": (Literal["credits"], ...), "top_up_url": (str | None, ...)}
    return create_model(
        error.__name__.removesuffix("Error") + "Problem",
        __base__=ProblemAnswer,
        __doc__=error.__doc__,
        status=(Literal[error.status], ...),
        code=(Literal[error.code], ...),
        **data,
    )

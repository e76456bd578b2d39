"""The answers to what admins ask about all accounts together."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, TypedDict

from pydantic import Field, JsonValue

from scrip.domain.entries import iso
from scrip.domain.states import AccountState
from scrip.http.accounts import ListedAccount, UnreadableAccount
from scrip.http.answers import EntryAnswer, IsoInstant
from scrip.store.inbox import InboxRecord, InboxStatus

if TYPE_CHECKING:
    from functions.admin.sync import Report


class ArchivedEntryAnswer(EntryAnswer):
    """An archived entry, its account, and the call that wrote it.

    `correlation_id` is the `X-Request-Id` of the request, or the ID of a message or an invocation.
    """

    account_id: str
    correlation_id: NotRequired[Annotated[str | None, Field(default=None)]]


class ArchivedEntriesAnswer(TypedDict):
    """Entries of all accounts, oldest hour first. A page may be short before the end."""

    entries: list[ArchivedEntryAnswer]
    cursor: str | None


class AccountsAnswer(TypedDict):
    """Accounts, newest first; with `q`, by the matching name. The end is `cursor: null`.

    Until lists are `complete`, they lack accounts that a version before 0.3.0 opened: run `scrip
    index`.
    """

    accounts: list[ListedAccount | UnreadableAccount]
    cursor: str | None
    complete: bool


class AccountCount(TypedDict):
    """How many accounts a list has; `more` if it has more than were counted."""

    count: int
    more: bool


class AccountCountsAnswer(TypedDict):
    """How many accounts are open, and how many are in each state and on each plan.

    Several plans can be in force for an account.
    """

    all: AccountCount
    states: dict[AccountState, AccountCount]
    plans: dict[str, AccountCount]


class Suggestion(TypedDict):
    """What a search has found: `matched` is what matched it, and `name` the account's owner's."""

    kind: Literal["account", "customer", "payment", "entry", "webhook", "reference"]
    matched: str
    account_id: str | None
    name: str | None


class SearchAnswer(TypedDict):
    """Up to 10 results, those with exactly this ID first."""

    suggestions: list[Suggestion]


class ListedWebhook(TypedDict):
    """A provider's message and its outcome. `waits_for` are names that no account has yet."""

    webhook_id: str
    provider: str
    type: str
    status: InboxStatus
    reason: str | None
    account_id: str | None
    attempts: int
    waits_for: list[str]
    sent_at: IsoInstant
    received_at: IsoInstant
    changed_at: IsoInstant


class WebhooksAnswer(TypedDict):
    """Messages, newest first. A page may be short before the end; the end is `cursor: null`."""

    webhooks: list[ListedWebhook]
    cursor: str | None


class OneWebhookAnswer(ListedWebhook):
    """A message with its payload, which is null once it has been erased."""

    payload: dict[str, Any] | None


class SyncCounts(TypedDict):
    """How many users, subscriptions and overrides were checked, by outcome."""

    seen: int
    unchanged: int
    changed: int
    skipped: int
    unmatched: int
    failed: int


class SyncDifference(TypedDict):
    """What was repaired in an account, or would be."""

    account_id: str
    field: str
    before: JsonValue
    after: JsonValue


class SyncFailure(TypedDict):
    """What could not be repaired: the ID of an account or a subscription, and the error's code."""

    subject: str
    code: str


class SyncAnswer(TypedDict):
    """What this call did. Unless it is `complete`, call again with the cursor."""

    complete: bool
    cursor: str | None
    counts: SyncCounts
    differences: list[SyncDifference]
    failures: list[SyncFailure]


def webhook_json(record: InboxRecord) -> ListedWebhook:
    """Return a message of the inbox without its payload."""
    return {
        "webhook_id": record.inbox_id,
        "provider": record.provider,
        "type": record.type,
        "status": record.status,
        "reason": record.reason,
        "account_id": record.account_id,
        "attempts": record.attempts,
        "waits_for": list(record.waits_for),
        "sent_at": iso(record.sent_at),
        "received_at": iso(record.received_at),
        "changed_at": iso(record.changed_at),
    }


def sync_json(report: "Report") -> SyncAnswer:
    """Return what a sync did."""
    from functions.admin.sync import Result  # noqa: PLC0415 - no list should wait for it

    return {
        "complete": report.cursor is None,
        "cursor": report.cursor,
        "counts": {
            "seen": report.seen,
            "unchanged": report.results[Result.UNCHANGED],
            "changed": report.results[Result.CHANGED],
            "skipped": report.results[Result.SKIPPED],
            "unmatched": report.results[Result.UNMATCHED],
            "failed": report.results[Result.FAILED],
        },
        "differences": [
            {
                "account_id": difference.account_id,
                "field": difference.field,
                "before": difference.before,
                "after": difference.after,
            }
            for difference in report.differences
        ],
        "failures": [
            {"subject": failure.subject, "code": failure.code} for failure in report.failures
        ],
    }

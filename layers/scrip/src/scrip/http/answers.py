"""JSON responses, and the answer to every command that posts an entry.

Each answer is a `TypedDict` beside the function that fills it. The return annotation of a handler
names it, and from there it gets into the OpenAPI document. Annotations are not postponed in these
modules: a `TypedDict` of strings takes ten times as long to build.
"""

from collections.abc import Mapping
from typing import Annotated, Any, NotRequired, TypedDict, cast

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.content_types import APPLICATION_JSON
from pydantic import Field

from scrip.domain.account import Account
from scrip.domain.commands import Command
from scrip.domain.entitlement import Entitlement
from scrip.domain.entries import ActorType, Entry, EntryType
from scrip.ledger import Outcome

IsoInstant = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
IsoDate = Annotated[str, Field(json_schema_extra={"format": "date"})]


class AllocationAnswer(TypedDict):
    """Credits of an entry that came from or went to one grant."""

    grant_id: str
    amount: int


class ActorAnswer(TypedDict):
    """Who made a change."""

    type: ActorType
    id: NotRequired[Annotated[str | None, Field(default=None, description="Null for users.")]]


class PriceAnswer(TypedDict):
    """`cost` credits for each `per` of what is counted."""

    cost: int
    per: int


class EntryAnswer(TypedDict):
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
    usage: dict[str, int] | None
    price: dict[str, PriceAnswer] | None
    reason: str | None
    reference: str | None
    metadata: dict[str, Any] | None
    actor: ActorAnswer
    source: str | None
    refunds: str | None
    hold_id: str | None
    expires_at: IsoInstant | None
    expired: int | None
    request_hash: str | None
    recorded_at: IsoInstant
    effective_at: IsoInstant
    previous_hash: str
    hash: str


class AccountSummary(TypedDict):
    """An account's balance. Credits."""

    account_id: str
    balance: int
    available: int
    held: int
    debt: int
    unlimited: bool


class PostedAnswer(TypedDict):
    """The entry that a command wrote, the balance right before it, and the account after it."""

    entry: EntryAnswer
    balance_before: int
    account: AccountSummary


def answer[Body](
    body: Body,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response[Body]:
    """Return a JSON response."""
    return Response(
        status_code=status,
        content_type=APPLICATION_JSON,
        headers=dict(headers or {}),
        body=body,
    )


def posted(command: Command, outcome: Outcome, status: int) -> Response[PostedAnswer]:
    """Return the answer to a command that wrote an entry.

    Everything in it follows from the entry, so a replay gets the first answer again.
    """
    assert outcome.entry is not None
    body: PostedAnswer = {
        "entry": entry_json(outcome.entry, command.actor.type),
        "balance_before": outcome.entry.balance_before,
        "account": summary_after(command.account_id, outcome.entry),
    }
    return answer(body, status, replayed(outcome))


def replayed(outcome: Outcome) -> dict[str, str]:
    """Return the header that marks a replay, if this is one."""
    return {"Idempotency-Replayed": "true"} if outcome.replayed else {}


def entry_json(entry: Entry, reader: ActorType) -> EntryAnswer:
    """Return an entry as the API shows it to one kind of caller."""
    return cast("EntryAnswer", entry.shown_to(reader))  # its keys are the fields of `Entry`


def summary(account: Account, entitlement: Entitlement) -> AccountSummary:
    """Return the balance of a settled account."""
    return {
        "account_id": account.account_id,
        "balance": account.balance,
        "available": account.available,
        "held": account.held,
        "debt": account.debt,
        "unlimited": entitlement.plan.unlimited,
    }


def summary_then(account_id: str, entry: Entry) -> AccountSummary:
    """Return the balance of an account when this was its newest entry."""
    return {
        "account_id": account_id,
        "balance": entry.balance_after,
        "available": entry.balance_after - entry.held_after,
        "held": entry.held_after,
        "debt": entry.debt_after,
        "unlimited": entry.unlimited,
    }


def summary_after(account_id: str, entry: Entry) -> AccountSummary:
    """Return the balance of an account after the posting whose own entry this is."""
    return {
        "account_id": account_id,
        "balance": entry.balance_left,
        "available": entry.balance_left - entry.held_after,
        "held": entry.held_after,
        "debt": entry.debt_left,
        "unlimited": entry.unlimited,
    }

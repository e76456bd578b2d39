"""Holds as the API shows them, and the answers to the calls that open and extend one."""

from typing import Literal, TypedDict

from aws_lambda_powertools.event_handler import Response

from scrip.domain.account import Account, Hold
from scrip.domain.commands import Command, is_users
from scrip.domain.entitlement import Entitlement
from scrip.domain.entries import ActorType, iso
from scrip.http.answers import (
    AccountSummary,
    AllocationAnswer,
    IsoInstant,
    PostedAnswer,
    answer,
    entry_json,
    replayed,
    summary,
    summary_after,
)
from scrip.ledger import Outcome


class HeldAnswer(TypedDict):
    """A hold: `amount` credits are set aside, and `left` can still be captured within it.

    The two differ only where an unlimited plan charges nothing. `expires_at` is null for credits
    that a payment dispute has set aside. A user's token can only end holds that one has opened.
    """

    hold_id: str
    opened_by: Literal[ActorType.USER, ActorType.SERVICE, ActorType.WEBHOOK]
    amount: int
    left: int
    feature: str | None
    expires_at: IsoInstant | None
    allocations: list[AllocationAnswer]


class HoldAnswer(PostedAnswer):
    """The hold that was opened, its entry, the balance right before it, and the account after."""

    hold: HeldAnswer


class ExtendedAnswer(TypedDict):
    """The hold as it is now, and the account."""

    hold: HeldAnswer
    account: AccountSummary


class HoldsAnswer(TypedDict):
    """The holds that are open now."""

    holds: list[HeldAnswer]


def hold_json(hold: Hold) -> HeldAnswer:
    """Return an open hold as the API shows it."""
    return {
        "hold_id": hold.hold_id,
        "opened_by": _opened_by(hold),
        "amount": hold.amount,
        "left": hold.left,
        "feature": hold.feature,
        "expires_at": iso(hold.expires_at) if hold.expires_at else None,
        "allocations": [
            {"grant_id": allocation.grant_id, "amount": allocation.amount}
            for allocation in hold.allocations
        ],
    }


def posted_hold(command: Command, outcome: Outcome) -> Response[HoldAnswer]:
    """Return the answer to the opening of a hold. It follows from the entry, so replays get it."""
    assert outcome.entry is not None
    entry = outcome.entry
    hold = Hold(
        hold_id=entry.entry_id,
        allocations=entry.allocations,
        expires_at=entry.expires_at,
        feature=entry.feature,
        uncharged=0 if entry.allocations else entry.cost or 0,
    )
    body: HoldAnswer = {
        "hold": hold_json(hold),
        "entry": entry_json(entry, command.actor.type),
        "balance_before": entry.balance_before,
        "account": summary_after(command.account_id, entry),
    }
    return answer(body, 201, replayed(outcome))


def extended_hold(
    hold_id: str,
    account: Account,
    entitlement: Entitlement,
) -> Response[ExtendedAnswer]:
    """Return the answer to the extension of a hold, which writes no entry, from the account."""
    hold = account.hold(hold_id)
    assert hold is not None, hold_id
    return answer({"hold": hold_json(hold), "account": summary(account, entitlement)})


def _opened_by(
    hold: Hold,
) -> Literal[ActorType.USER, ActorType.SERVICE, ActorType.WEBHOOK]:
    if hold.expires_at is None:
        return ActorType.WEBHOOK
    return ActorType.USER if is_users(hold.hold_id) else ActorType.SERVICE

"""Holds as the API shows them, and the answers to the calls that open and extend one."""

from collections.abc import Sequence
from typing import Literal, TypedDict

from aws_lambda_powertools.event_handler import Response

from scrip.domain.account import Account, Hold
from scrip.domain.commands import Command, is_users
from scrip.domain.entitlement import Entitlement
from scrip.domain.entries import ActorType, Entry, iso
from scrip.domain.grants import joined
from scrip.domain.holds import for_features
from scrip.http.answers import (
    AccountSummary,
    AllocationAnswer,
    EntryAnswer,
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
    `features` are all that it was opened for; `feature` is null if it has several lines.
    """

    hold_id: str
    opened_by: Literal[ActorType.USER, ActorType.SERVICE, ActorType.WEBHOOK]
    amount: int
    left: int
    feature: str | None
    features: list[str]
    expires_at: IsoInstant | None
    allocations: list[AllocationAnswer]


class CaptureAnswer(PostedAnswer):
    """The entries that a capture wrote, one for each use, and the first of them as `entry`.

    With the balance right before the first, and the account after the last.
    """

    entries: list[EntryAnswer]


class HoldAnswer(CaptureAnswer):
    """The hold that was opened, its entries, the balance right before, and the account after."""

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
        "features": list(hold.all_features),
        "expires_at": iso(hold.expires_at) if hold.expires_at else None,
        "allocations": [
            {"grant_id": allocation.grant_id, "amount": allocation.amount}
            for allocation in hold.allocations
        ],
    }


def posted_hold(command: Command, outcome: Outcome) -> Response[HoldAnswer]:
    """Return the answer to the opening of a hold. It follows from its entries, as replays do."""
    assert outcome.entry is not None
    entries = (outcome.entry, *outcome.others)
    feature, features = for_features([entry.feature for entry in entries])
    hold = Hold(
        hold_id=outcome.entry.entry_id,
        allocations=joined(*(part for entry in entries for part in entry.allocations)),
        expires_at=outcome.entry.expires_at,
        feature=feature,
        features=features,
        uncharged=sum(entry.cost or 0 for entry in entries if not entry.allocations),
    )
    body: HoldAnswer = {"hold": hold_json(hold), **_written(command, entries)}
    return answer(body, 201, replayed(outcome))


def posted_capture(command: Command, outcome: Outcome) -> Response[CaptureAnswer]:
    """Return the answer to a capture. It follows from its entries, as replays do."""
    assert outcome.entry is not None
    body = _written(command, (outcome.entry, *outcome.others))
    return answer(body, headers=replayed(outcome))


def extended_hold(
    hold_id: str,
    account: Account,
    entitlement: Entitlement,
) -> Response[ExtendedAnswer]:
    """Return the answer to the extension of a hold, which writes no entry, from the account."""
    hold = account.hold(hold_id)
    assert hold is not None, hold_id
    return answer({"hold": hold_json(hold), "account": summary(account, entitlement)})


def _written(command: Command, entries: Sequence[Entry]) -> CaptureAnswer:
    shown = [entry_json(entry, command.actor.type) for entry in entries]
    return {
        "entry": shown[0],
        "entries": shown,
        "balance_before": entries[0].balance_before,
        "account": summary_after(command.account_id, entries[-1]),
    }


def _opened_by(
    hold: Hold,
) -> Literal[ActorType.USER, ActorType.SERVICE, ActorType.WEBHOOK]:
    if hold.expires_at is None:
        return ActorType.WEBHOOK
    return ActorType.USER if is_users(hold.hold_id) else ActorType.SERVICE

"""Scrip's path: read, decide, and one transaction of the account and its entry."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.consume.handler import app, lambda_handler
from scrip.domain.commands import Adjust, AdjustAction, OpenAccount, ResetAnchor
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import Actor, ActorType
from scrip.domain.grants import GrantKind
from scrip.store.items import account_item, entry_item, to_wire
from scrip.store.queries import read

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.domain.account import Account
    from scrip.domain.commands import Command
    from scrip.domain.posting import Posting
    from scrip.store.client import Table

NAME = "Scrip"
GRANTS = 4
"""Live grants of the account on which a consume's budget is defined."""

PLAN = "pro"
"""A plan with enough credits for everything that is measured."""

SUPPORT = Actor(ActorType.ADMIN, "support")

__all__ = ["NAME", "app", "credits_left", "lambda_handler", "open_account", "postings"]


def open_account(table: Table, account_id: str, credits_: int, now: datetime) -> None:
    """Write an account with four live grants and at least these credits."""
    written = list(postings(account_id, credits_, now, grants=GRANTS))
    for posting in written:
        for entry in posting.entries:
            item = to_wire(entry_item(account_id, entry))
            table.client.put_item(TableName=table.name, Item=item)
    item = to_wire(account_item(written[-1].after))
    table.client.put_item(TableName=table.name, Item=item)


def credits_left(table: Table, account_id: str) -> int:
    """Return the balance."""
    account = read(table, account_id).account
    assert account is not None
    return account.balance


def postings(account_id: str, credits_: int, now: datetime, grants: int) -> Iterator[Posting]:
    """Yield the first postings of an account with a number of live grants, its plan's first."""
    now = now.replace(microsecond=now.microsecond // 1000 * 1000)
    common: dict[str, Any] = {"account_id": account_id, "actor": SUPPORT}
    opening = OpenAccount(
        **common,
        entry_id=SIGNUP_ENTRY_ID,
        plan_id=PLAN,
        signup_credits=0,
        reset_anchor=ResetAnchor.SIGNUP,
        time_zone="UTC",
    )
    gifts = [
        Adjust(
            **common,
            entry_id=f"gift-{number}",
            reason="to measure",
            action=AdjustAction.ADD,
            amount=credits_,
            kind=GrantKind.PROMO,
            expires_at=now + timedelta(days=300 + number),
        )
        for number in range(1, grants)
    ]
    account: Account | None = None
    commands: tuple[Command, ...] = (opening, *gifts)
    for command in commands:
        posting = decide(account, command, catalog=DEFAULT_CATALOG, now=now)
        account = posting.after
        yield posting

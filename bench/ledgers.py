"""Writes any number of sound accounts: the rules' own decisions, in the store's own items."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, timedelta
from itertools import batched, chain, islice
from typing import Any

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    Command,
    Consume,
    OpenAccount,
    OpenHold,
    Purchase,
    Refund,
    ResetAnchor,
)
from scrip.domain.decide import SIGNUP_ENTRY_ID, decide
from scrip.domain.entries import Actor, ActorType, Entry
from scrip.domain.holds import HOLD_SECONDS_MAX
from scrip.domain.posting import Refundable
from scrip.domain.usage import DayUsage
from scrip.ledger import utc_now
from scrip.store.client import Table
from scrip.store.items import (
    Wire,
    account_item,
    audit_item,
    entry_item,
    feature_item,
    payment_item,
    plan_item,
    to_wire,
    usage_item,
)
from scrip.store.keys import account_alias_key, alias_key, audit_key, hold_end_key, refunded_key

BATCH = 25
"""Number of items that one BatchWriteItem takes."""

LIVED = timedelta(hours=36)
"""Time between an account's first and last entry; the last one is half a day old."""

REFUNDED_EVERY = 10
"""Every tenth use fails and is refunded."""

HELD_AFTER = 3
"""A hold is opened and captured after this number of uses."""

LONGEST = 20
"""The first account has a twentieth of all entries: memory must not grow with a ledger."""

APP = Actor(ActorType.SERVICE, "app")
SHOP = Actor(ActorType.WEBHOOK, "shop")
SUPPORT = Actor(ActorType.ADMIN, "support")


def write(table: Table, lengths_by_id: Mapping[str, int]) -> None:
    """Write accounts with given numbers of entries."""
    put(table, (item for name, length in lengths_by_id.items() for item in life(name, length)))


def put(table: Table, items: Iterable[Wire]) -> None:
    """Put items, in batches."""
    puts = ({"PutRequest": {"Item": item}} for item in items)
    for batch in batched(puts, BATCH, strict=False):
        left: Any = {table.name: list(batch)}
        while left:
            left = table.client.batch_write_item(RequestItems=left)["UnprocessedItems"]


def catalog_items() -> list[Wire]:
    """Return the items of the default catalog."""
    plans, features = DEFAULT_CATALOG.plans.values(), DEFAULT_CATALOG.features.values()
    return [to_wire(item) for item in (*map(plan_item, plans), *map(feature_item, features))]


def lengths(accounts: int, entries: int) -> list[int]:
    """Distribute entries: the first account gets more, all others the same number."""
    longest = entries // min(LONGEST, accounts)
    others, left = divmod(entries - longest, max(1, accounts - 1))
    return [longest, *(others + (number < left) for number in range(accounts - 1))]


def life(account_id: str, length: int) -> Iterator[Wire]:
    """Yield the items of an account with `length` entries, at least six; the last opens a hold."""
    began = utc_now() - LIVED - timedelta(hours=12)
    refunded: dict[str, int] = {}
    entries: dict[str, Entry] = {}
    days: dict[date, list[Entry]] = defaultdict(list)
    account = None
    commands = chain(islice(_commands(account_id), length - 2), [_hold(account_id, "hold-2")])
    for number, command in enumerate(commands):
        now = began + LIVED * number / length
        now = now.replace(microsecond=now.microsecond // 1000 * 1000)
        of = command.refunds if isinstance(command, Refund) else ""
        posting = decide(
            account,
            command,
            catalog=DEFAULT_CATALOG,
            now=now,
            refundable=Refundable(entry=entries[of], refunded=0) if of else None,
        )
        account = posting.after
        for entry in posting.entries:
            entries[entry.entry_id] = entry
            days[now.date()].append(entry)
        if posting.refund:
            refunded[of] = posting.refund[1]
        if posting.ended_hold and posting.entry:
            ended_by = {"ended_by": posting.entry.entry_id}
            yield to_wire({**hold_end_key(account_id, posting.ended_hold), **ended_by})
        if posting.payment:
            yield to_wire(payment_item(posting.payment[1]))
        if posting.audit:
            yield to_wire(audit_item(audit_key(account_id, str(number)), posting.audit))
    assert account
    yield to_wire(account_item(account))
    yield from (to_wire(entry_item(account_id, entry)) for entry in entries.values())
    for entry_id, total in refunded.items():
        yield to_wire({**refunded_key(account_id, entry_id), "refunded": total})
    for day, counted in days.items():
        yield to_wire(usage_item(account_id, day, DayUsage().with_entries(counted)))
    name = f"email:{account_id}@example.com"
    yield to_wire({**alias_key(name), "account_id": account_id})
    yield to_wire(account_alias_key(account_id, name))


def _commands(account_id: str) -> Iterator[Command]:
    """Yield commands: sign-up (two entries), a purchase, a gift, then uses and refunds.

    One hold is opened and captured in between.
    """
    yield OpenAccount(
        account_id=account_id,
        entry_id=SIGNUP_ENTRY_ID,
        actor=APP,
        plan_id="free",
        signup_credits=100,
        reset_anchor=ResetAnchor.SIGNUP,
        time_zone="UTC",
    )
    yield Purchase(
        account_id=account_id,
        entry_id=f"shop:pi_{account_id}",
        keyed=False,
        actor=SHOP,
        credits=10_000_000,
        money=500,
    )
    yield Adjust(
        account_id=account_id,
        entry_id="gift",
        actor=SUPPORT,
        reason="sorry",
        action=AdjustAction.ADD,
        amount=25,
    )
    number = 0
    while True:
        number += 1
        use = Consume(
            account_id=account_id, entry_id=f"use-{number}", actor=APP, feature="chat", quantity=1
        )
        yield use
        if number == HELD_AFTER:
            yield _hold(account_id, "hold-1")
            yield CaptureHold(
                account_id=account_id,
                entry_id="capture-1",
                actor=APP,
                hold_id="hold-1",
                final=True,
                excess=False,
            )
        if number % REFUNDED_EVERY == 1:
            yield Refund(
                account_id=account_id,
                entry_id=f"refund-{number}",
                actor=APP,
                refunds=use.entry_id,
                reason="timed out",
            )


def _hold(account_id: str, hold_id: str) -> OpenHold:
    return OpenHold(
        account_id=account_id,
        entry_id=hold_id,
        actor=APP,
        feature="chat",
        quantity=1,
        expires_in=HOLD_SECONDS_MAX,
    )

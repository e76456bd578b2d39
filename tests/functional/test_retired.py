"""Retired grants in the table: when they leave the account, and how refunds find them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scrip.audit.accounts import audit_account
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CloseAccount,
    Consume,
    OpenHold,
    Purchase,
    Refund,
    Renew,
)
from scrip.domain.entries import CLOCK, Actor, ActorType
from scrip.domain.grants import GRANTS_MAX, GrantKind
from scrip.ledger import Ledger, opening
from tests.functional.conftest import items
from tests.functional.test_ledger import item_bytes

if TYPE_CHECKING:
    from scrip.store.client import Table

APP = Actor(ActorType.SERVICE, "app")
ADMIN = Actor(ActorType.ADMIN, "a1")
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def books(table: Table) -> Ledger:
    ledger = Ledger(table, lambda: NOW)
    ledger.execute(opening("u1"))
    return ledger


def buy(books: Ledger, number: int, amount: int = 100) -> None:
    books.execute(
        Purchase(
            account_id="u1",
            entry_id=f"stripe:pi_{number:024}",
            keyed=False,
            actor=Actor(ActorType.WEBHOOK, "stripe"),
            credits=amount,
            money=500,
        ),
    )


def use(books: Ledger, amount: int, key: str) -> None:
    books.execute(Consume(account_id="u1", entry_id=key, actor=APP, amount=amount))


def refund(books: Ledger, key: str, amount: int | None = None) -> None:
    """Refund as an admin, whom admission never refuses, however slow the machine is."""
    books.execute(
        Refund(account_id="u1", entry_id=f"r-{key}", actor=ADMIN, refunds=key, amount=amount),
    )


def account_item(books: Ledger) -> dict[str, Any]:
    [account] = [item for item in items(books.table) if item["sk"]["S"] == "ACCOUNT"]
    return account


def retired(books: Ledger) -> list[str]:
    return sorted(
        item["sk"]["S"] for item in items(books.table) if item["sk"]["S"].startswith("GRANT#")
    )


def findings(books: Ledger) -> list[tuple[str, str]]:
    audited = audit_account(books.table, "u1", NOW)
    assert audited is not None
    return [(one.code, one.about) for one in audited.findings]


def test_an_account_with_many_purchases_stays_within_2_kb(books: Ledger) -> None:
    for number in range(GRANTS_MAX + 20):
        buy(books, number)
        use(books, 100, f"use-{number}")
    assert item_bytes(account_item(books)) <= 2_048
    assert len(account_item(books)["grants"]["L"]) <= 3
    assert len(retired(books)) >= GRANTS_MAX
    assert findings(books) == []


def test_a_refund_restores_retired_grants(books: Ledger) -> None:
    buy(books, 1)
    before = {grant.grant_id: grant for grant in books.account("u1").grants}
    use(books, 250, "all")
    assert len(retired(books)) == 2  # the welcome's grant, and the purchase's
    refund(books, "all", 40)
    refund_of_rest = Refund(account_id="u1", entry_id="rest", actor=APP, refunds="all")
    books.execute(refund_of_rest)
    assert {grant.grant_id: grant for grant in books.account("u1").grants} == before
    assert findings(books) == []


def test_a_restored_grant_that_is_spent_is_retired_again(books: Ledger) -> None:
    buy(books, 1)
    for n in range(3):
        use(books, books.account("u1").available, f"all-{n}")
        assert len(retired(books)) == 2
        refund(books, f"all-{n}")
    assert findings(books) == []


def test_a_refund_finds_a_grant_that_is_retired_while_it_is_decided(
    books: Ledger,
) -> None:
    """The rest of the grant is spent between the two reads of the refund."""
    buy(books, 1)
    use(books, 200, "most")
    faster = [lambda: use(books, books.account("u1").available, "rest")]

    def before_call(**_: Any) -> None:
        if faster:
            faster.pop()()

    events = books.table.client.meta.events
    events.register("before-call.dynamodb.TransactWriteItems", before_call)
    try:
        refund(books, "most")
    finally:
        events.unregister("before-call.dynamodb.TransactWriteItems", before_call)
    assert not faster
    assert books.account("u1").balance == 200
    assert all(grant.kind is not GrantKind.REFUND for grant in books.account("u1").grants)
    assert findings(books) == []


def test_exhausted_grants_of_an_earlier_version_are_retired_with_the_next_change(
    books: Ledger,
) -> None:
    """That version kept up to fifty of them on the item."""
    buy(books, 1)
    account = account_item(books)
    grants = account["grants"]["L"]
    spent = [
        {"M": {**grant["M"], "remaining": {"N": "0"}}}
        for grant in grants
        if grant["M"]["kind"]["S"] == "purchase"
    ]
    assert len(spent) == 1
    kept = [grant for grant in grants if grant["M"]["kind"]["S"] != "purchase"]
    books.table.client.put_item(
        TableName=books.table.name,
        Item={
            **account,
            "grants": {"L": kept + spent},
            "balance": {"N": str(int(account["balance"]["N"]) - 100)},
        },
    )
    assert retired(books) == []
    use(books, 1, "any")
    assert retired(books) == ["GRANT#" + spent[0]["M"]["grant_id"]["S"]]


def test_a_renewal_settles_more_due_items_than_a_transaction_has_room_for(books: Ledger) -> None:
    """32 holds and 45 grants end within one millisecond."""

    def give(number: int, amount: int, end: datetime) -> None:
        books.execute(
            Adjust(
                account_id="u1",
                entry_id=f"gift-{number}",
                actor=Actor(ActorType.ADMIN, "a1"),
                reason="r",
                action=AdjustAction.ADD,
                amount=amount,
                kind=GrantKind.PROMO,
                expires_at=end,
            ),
        )

    give(0, 32, NOW + timedelta(hours=1))
    for n in range(32):
        hold = OpenHold(account_id="u1", entry_id=f"h{n}", actor=APP, amount=1, expires_in=86_400)
        books.execute(hold)
    for n in range(1, 46):
        give(n, 1, NOW + timedelta(hours=24, milliseconds=n % 2))
    late = Ledger(books.table, lambda: NOW + timedelta(days=20))
    expected = late.account("u1").balance
    renewal = Renew(account_id="u1", entry_id="renewal", keyed=False, actor=CLOCK)
    late.execute(renewal)
    use(late, 1, "after-all")
    assert late.account("u1").balance == expected - 1
    assert late.account("u1").held == 0
    assert findings(books) == []


def test_the_audit_finds_an_edited_retired_grant(books: Ledger) -> None:
    buy(books, 1)
    use(books, 250, "all")
    [item] = [one for one in items(books.table) if one["sk"]["S"] == "GRANT#g3"]
    for name, value in {"amount": {"N": "101"}, "kind": {"S": "plan"}}.items():
        books.table.client.put_item(TableName=books.table.name, Item={**item, name: value})
        assert findings(books) == [("grant_wrong", "retired grant g3")]


def test_a_restored_grant_of_a_closed_account_is_no_finding(
    books: Ledger,
) -> None:
    buy(books, 1)
    use(books, 250, "all")
    refund(books, "all")
    admin = Actor(ActorType.ADMIN, "a1")
    more = Adjust(account_id="u1", entry_id="more", actor=admin, action=AdjustAction.ADD, amount=50)
    books.execute(more)
    books.execute(CloseAccount(account_id="u1", entry_id="close", actor=admin))
    assert findings(books) == []

"""A table that an earlier version wrote can be used without a migration.

The ledger of 0.1.0 wrote tables/0.1.0.json: an exhausted sign-up grant and purchase on the item,
holds without a bound, one of them by a user, with an entry for each extension, a partial capture, a
batch, a release, and a refund by an admin without an audit record.

That of 0.2.0 wrote tables/0.2.0.json, with what it answered about each account at the same instant.
The name of an account says what it was through; most were paid for, by plans without terms.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrip.audit.accounts import audit_account
from scrip.domain.account import AccountStatus
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    Consume,
    ExtendHold,
    Refund,
    ReleaseHold,
    TakeBack,
)
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import HoldNotYoursError
from scrip.domain.grants import GrantKind
from scrip.domain.payments import DisputeOutcome
from scrip.http.accounts import account_json
from scrip.ledger import Ledger
from scrip.store.items import with_bytes
from tests.functional.deliveries import Clock

if TYPE_CHECKING:
    from scrip.store.client import Table

WRITTEN = datetime(2026, 11, 1, 12, 5, tzinfo=UTC)
USER = Actor(ActorType.USER, "u1")
APP = Actor(ActorType.SERVICE, "app")
BILLING = Actor(ActorType.WEBHOOK, "stripe")
ADMIN = Actor(ActorType.ADMIN, "a1")
TABLES = Path(__file__).parent / "tables"
BY_0_2_0 = json.loads((TABLES / "0.2.0.json").read_text())


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = WRITTEN
    return clock


@pytest.fixture
def books(table: Table, clock: Clock) -> Ledger:
    return loaded(table, clock, json.loads((TABLES / "0.1.0.json").read_text()))


@pytest.fixture
def paid_books(table: Table, clock: Clock) -> Ledger:
    return loaded(table, clock, BY_0_2_0["items"])


def loaded(table: Table, clock: Clock, items: list[Any]) -> Ledger:
    for item in items:
        table.client.put_item(TableName=table.name, Item=with_bytes(item))
    return Ledger(table, clock)


def findings(books: Ledger, account_id: str = "u1") -> list[tuple[str, str]]:
    audited = audit_account(books.table, account_id, WRITTEN)
    assert audited is not None
    return [(one.code, one.about) for one in audited.findings]


def consume(key: str, amount: int = 1) -> Consume:
    return Consume(account_id="u1", entry_id=key, actor=APP, amount=amount)


def refund(of: str) -> Refund:
    return Refund(account_id="u1", entry_id=f"r-{of}", actor=APP, refunds=of)


def test_its_account_has_no_findings_before_and_after_the_first_change(books: Ledger) -> None:
    assert findings(books) == []
    before = books.account("u1")
    books.execute(consume("new-1"))
    assert books.account("u1").balance == before.balance - 1
    assert findings(books) == []


def test_its_exhausted_grants_are_retired_and_refunds_find_them(books: Ledger) -> None:
    spent = [grant for grant in books.account("u1").grants if not grant.remaining]
    assert {grant.kind for grant in spent} >= {GrantKind.SIGNUP, GrantKind.PURCHASE}
    books.execute(consume("new-1"))
    assert not {grant.grant_id for grant in books.account("u1").grants} & {
        grant.grant_id for grant in spent if grant.expires_at is None
    }
    books.execute(refund("big-1"))
    back = {grant.grant_id: grant for grant in books.account("u1").grants}
    assert all(
        back[grant.grant_id].remaining == grant.amount for grant in spent if not grant.expires_at
    )
    assert GrantKind.REFUND not in {grant.kind for grant in back.values()}
    assert findings(books) == []


@pytest.mark.parametrize("entry_id", ["big-1", "batch-1", "batch-1~2", "part-1"])
def test_its_entries_can_be_refunded(books: Ledger, entry_id: str) -> None:
    assert books.execute(refund(entry_id)).entry is not None
    assert findings(books) == []


def test_its_holds_can_be_captured(books: Ledger) -> None:
    end = CaptureHold(
        account_id="u1", entry_id="end-2", actor=APP, hold_id="job-2", final=True, excess=False
    )
    entry = books.execute(end).entry
    assert entry is not None
    assert (entry.cost, entry.hold_id) == (17, "job-2")
    assert findings(books) == []


def test_its_holds_can_be_extended_for_a_week_and_no_longer(books: Ledger, clock: Clock) -> None:
    for _ in range(20):
        extension = ExtendHold(
            account_id="u1",
            entry_id="x",
            keyed=False,
            actor=APP,
            hold_id="job-2",
            expires_in=86_400,
        )
        if books.account("u1").hold("job-2"):
            books.execute(extension)
        assert findings(books) == []
        clock.now += timedelta(hours=12)
    assert books.account("u1").hold("job-2") is None
    books.execute(consume("later"))
    assert findings(books) == []


def test_only_the_app_can_end_a_users_hold_and_others_expire(books: Ledger, clock: Clock) -> None:
    fields: dict[str, Any] = {"account_id": "u1", "hold_id": "job-1"}
    with pytest.raises(HoldNotYoursError):
        books.execute(ReleaseHold(**fields, entry_id="user:end-1", actor=USER))
    books.execute(ReleaseHold(**fields, entry_id="end-1", actor=APP))
    clock.now += timedelta(days=1)
    assert books.account("u1").held == 0
    assert findings(books) == []


def test_a_retry_of_an_earlier_command_is_replayed(books: Ledger) -> None:
    again = Consume(account_id="u1", entry_id="big-1", actor=APP, amount=245)
    outcome = books.execute(again)
    assert outcome.replayed
    ended = books.execute(
        ReleaseHold(account_id="u1", entry_id="another", actor=APP, hold_id="job-3")
    )
    assert ended.replayed
    assert ended.entry is not None
    assert ended.entry.entry_id == "end-3"


def read(books: Ledger, account_id: str) -> dict[str, Any]:
    account = books.account(account_id)
    return dict(account_json(account, books.entitled(account), books.clock()))


def add_one(account_id: str) -> Adjust:
    return Adjust(
        account_id=account_id,
        entry_id="add-1",
        actor=ADMIN,
        reason="support",
        action=AdjustAction.ADD,
        amount=1,
    )


def take_back(account_id: str, **fact: Any) -> TakeBack:
    return TakeBack(
        account_id=account_id,
        entry_id="back-1",
        keyed=False,
        actor=BILLING,
        payment_id=f"stripe:in_{account_id}_1",
        **fact,
    )


@pytest.mark.parametrize("account_id", BY_0_2_0["answers"])
def test_every_account_reads_the_same_before_and_after_the_first_change(
    paid_books: Ledger, account_id: str
) -> None:
    before = BY_0_2_0["answers"][account_id]
    assert read(paid_books, account_id).items() >= before.items()
    assert findings(paid_books, account_id) == []
    if before["status"] != AccountStatus.CLOSED:
        paid_books.execute(add_one(account_id))
        more = {name: before[name] + 1 for name in ("balance", "available")}
        more["debt"] = max(0, before["debt"] - 1)
        assert read(paid_books, account_id).items() >= {**before, **more}.items()
        assert findings(paid_books, account_id) == []


@pytest.mark.parametrize(
    ("account_id", "at", "plan_id", "balance"),
    [
        ("month", (11, 10, 13), "pro", 1_550),  # its grace
        ("month", (11, 13, 13), "free", 150 + 1_000),  # with what has rolled over
        ("year", (11, 30, 12), "pro", 50 + 2_000 + 1_000),
        ("canceled", (11, 5, 12), "free", 150 + 1_000),
        ("downgraded", (11, 20, 12), "free", 150 + 1_000),
        ("former", (11, 3, 12), "free", 150),
        ("given", (11, 18, 12), "free", 150 + 1_000),
    ],
)
def test_what_was_paid_for_goes_on_to_its_end(
    paid_books: Ledger,
    clock: Clock,
    account_id: str,
    at: tuple[int, int, int],
    plan_id: str,
    balance: int,
) -> None:
    clock.now = datetime(2026, *at, tzinfo=UTC)
    account = read(paid_books, account_id)
    assert (account["plan_id"], account["balance"]) == (plan_id, balance)


def test_what_0_2_0_writes_over_the_new_form_during_the_update_reads_the_same(
    paid_books: Ledger,
) -> None:
    """It sets its own attributes and leaves the others as they were."""
    paid_books.table.client.update_item(
        TableName=paid_books.table.name,
        Key={"pk": {"S": "ACCOUNT#trial"}, "sk": {"S": "ACCOUNT"}},
        UpdateExpression="SET as_of = :as_of, allowance = :allowance",
        ExpressionAttributeValues={":as_of": {"N": "1792929600000"}, ":allowance": {"N": "100"}},
    )
    assert read(paid_books, "trial").items() >= BY_0_2_0["answers"]["trial"].items()
    paid_books.execute(add_one("trial"))
    assert findings(paid_books, "trial") == []


def test_a_return_before_and_one_after_the_update_take_each_credit_once(
    paid_books: Ledger,
) -> None:
    """Of 2,000 credits 1,600 were spent and 1,000 taken back; then the other 1,000 are."""
    before = paid_books.account("half-returned")
    rest = {"refund_id": "stripe:re_2", "money": 1_000}
    paid_books.execute(take_back("half-returned", **rest))
    after = paid_books.account("half-returned")
    base_plan = 100
    assert after.balance == before.balance - 1_000 + base_plan
    assert findings(paid_books, "half-returned") == []


def test_a_dispute_that_was_open_during_the_update_is_lost(paid_books: Ledger) -> None:
    lost = {"dispute_id": "stripe:dp_disputed", "outcome": DisputeOutcome.LOST, "money": 2_000}
    paid_books.execute(take_back("disputed", **lost))
    account = paid_books.account("disputed")
    assert (account.held, account.balance) == (0, 50 + 100 - 300)
    assert findings(paid_books, "disputed") == []

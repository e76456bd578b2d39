"""A table that version 0.1.0 wrote can be used without a migration.

Its own ledger wrote tables/0.1.0.json: an exhausted sign-up grant and purchase on the item, holds
without a bound, one of them by a user, with an entry for each extension, a partial capture, a
batch, a release, and a refund by an admin without an audit record.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from scrip.audit.accounts import audit_account
from scrip.domain.commands import CaptureHold, Consume, ExtendHold, Refund, ReleaseHold
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import HoldNotYoursError
from scrip.domain.grants import GrantKind
from scrip.ledger import Ledger
from scrip.store.items import with_bytes
from tests.functional.deliveries import Clock

if TYPE_CHECKING:
    from scrip.store.client import Table

WRITTEN = datetime(2026, 11, 1, 12, 5, tzinfo=UTC)
USER = Actor(ActorType.USER, "u1")
APP = Actor(ActorType.SERVICE, "app")
TABLE = Path(__file__).parent / "tables" / "0.1.0.json"


@pytest.fixture
def clock() -> Clock:
    clock = Clock()
    clock.now = WRITTEN
    return clock


@pytest.fixture
def books(table: Table, clock: Clock) -> Ledger:
    for item in json.loads(TABLE.read_text()):
        table.client.put_item(TableName=table.name, Item=with_bytes(item))
    return Ledger(table, clock)


def findings(books: Ledger) -> list[tuple[str, str]]:
    audited = audit_account(books.table, "u1", WRITTEN)
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

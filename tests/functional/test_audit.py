"""The audit of a table: items that the ledger wrote, and how it finds tampering with them."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime
from functools import partial
from itertools import batched
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from scrip.audit.accounts import Audited, audit_account
from scrip.domain.audit.findings import Code
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    CloseAccount,
    Command,
    Consume,
    OpenHold,
    Purchase,
    Refund,
)
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import BusyError
from scrip.ledger import Ledger, opening
from scrip.store.aliases import link_account
from scrip.store.audit.books import account_pages, newest_entry_at, read_ledger
from scrip.store.client import Table
from scrip.store.usage import count_usage
from scrip_cli.audit.work import TableAudit
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import items
from tests.functional.faults import THROTTLED, instead_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ADMIN = Actor(ActorType.ADMIN, "a1")

ACCOUNT = ("ACCOUNT#u1", "ACCOUNT")
FIRST = ("LEDGER#u1", "ENTRY#signup:grant")
PLAN = ("LEDGER#u1", "ENTRY#period:2026-01-31")
USE = ("LEDGER#u1", "ENTRY#c1")
REFUNDED = ("ACCOUNT#u1", "REFUNDED#c1")
HOLD_END = ("ACCOUNT#u1", "HOLD#h1")
USAGE = ("ACCOUNT#u1", "USAGE#2026-01-31")

type Tamper = Callable[["Intruder"], None]


class Intruder:
    """Someone who edits the table, and can undo all edits."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.before: dict[tuple[str, str], dict[str, Any]] = {}

    def take(self, key: tuple[str, str]) -> dict[str, Any]:
        """Delete an item and return it."""
        wire = {"pk": {"S": key[0]}, "sk": {"S": key[1]}}
        answer = self.table.client.delete_item(
            TableName=self.table.name, Key=wire, ReturnValues="ALL_OLD"
        )
        self.before.setdefault(key, answer.get("Attributes", {}))
        return copy.deepcopy(answer["Attributes"])

    def put(self, item: dict[str, Any]) -> None:
        """Put an item of any content."""
        self.before.setdefault((item["pk"]["S"], item["sk"]["S"]), {})
        self.table.client.put_item(TableName=self.table.name, Item=item)

    def edit(self, key: tuple[str, str], **changed: Any) -> None:
        """Change attributes of an item; None removes one."""
        item = self.take(key) | changed
        self.put({name: value for name, value in item.items() if value is not None})

    def undo(self) -> None:
        """Undo all edits."""
        for (pk, sk), item in self.before.items():
            if item:
                self.table.client.put_item(TableName=self.table.name, Item=item)
            else:
                self.table.client.delete_item(
                    TableName=self.table.name, Key={"pk": {"S": pk}, "sk": {"S": sk}}
                )
        self.before.clear()


def number(value: int) -> dict[str, str]:
    return {"N": str(value)}


def edit(key: tuple[str, str], **changed: Any) -> Tamper:
    return lambda intruder: intruder.edit(key, **changed)


def move_to_another_account(intruder: Intruder) -> None:
    intruder.put(intruder.take(USE) | {"pk": {"S": "LEDGER#u2"}})


def edit_grant(intruder: Intruder) -> None:
    item = intruder.take(ACCOUNT)
    item["grants"]["L"][0]["M"]["remaining"] = number(1)
    intruder.put(item)


def move_beyond_time(intruder: Intruder) -> None:
    """Let a period begin in the last second of the year 9999, which is over in Tokyo."""
    intruder.edit(PLAN, effective_at=number(253_402_300_799_000))
    intruder.edit(ACCOUNT, time_zone={"S": "Asia/Tokyo"})


TAMPERED: dict[str, tuple[Tamper, str, Code, str]] = {
    # kind of tampering: (the edit, the account, the finding's code, the item it names)
    "an amount": (edit(USE, amount=number(-1)), "u1", Code.ENTRY_HASH_WRONG, "entry c1"),
    "a seq removed": (edit(USE, seq=None), "u1", Code.ENTRY_WITHOUT_SEQ, "entry c1"),
    "an entry marked to be deleted": (
        edit(USE, purge_at=number(1)),
        "u1",
        Code.UNKNOWN_ATTRIBUTE,
        "entry c1",
    ),
    "a number turned into text": (
        edit(USE, amount={"S": "-5"}),
        "u1",
        Code.UNKNOWN_ATTRIBUTE,
        "entry c1",
    ),
    "an unreadable entry": (edit(USE, type={"S": "gift"}), "u1", Code.ITEM_UNREADABLE, "entry c1"),
    "metadata that cannot be hashed": (
        edit(USE, metadata={"S": '{"a":NaN}'}),
        "u1",
        Code.ITEM_UNREADABLE,
        "entry c1",
    ),
    "metadata too deep to be read": (
        edit(USE, metadata={"S": "[" * 100_000}),
        "u1",
        Code.ITEM_UNREADABLE,
        "entry c1",
    ),
    "a time that overflows in another zone": (
        move_beyond_time,
        "u1",
        Code.ITEM_UNREADABLE,
        "account",
    ),
    "an entry moved away": (move_to_another_account, "u1", Code.ENTRY_MISSING, "seq 3"),
    "an entry moved here": (move_to_another_account, "u2", Code.SEQ_REPEATED, "seq 3"),
    "the account removed": (
        lambda intruder: discard(intruder.take(ACCOUNT)),
        "u1",
        Code.ACCOUNT_MISSING,
        "account",
    ),
    "a balance": (edit(ACCOUNT, balance=number(10**6)), "u1", Code.BALANCE_WRONG, "account"),
    "a grant": (edit_grant, "u1", Code.GRANT_WRONG, "grant g1"),
    "an unreadable account": (
        edit(ACCOUNT, period={"S": "x"}),
        "u1",
        Code.ITEM_UNREADABLE,
        "account",
    ),
    "an account's place in the directory": (
        edit(ACCOUNT, directory_pk={"S": "DAY#01#00"}),
        "u1",
        Code.DIRECTORY_WRONG,
        "account",
    ),
    "a refunded total": (
        edit(REFUNDED, refunded=number(0)),
        "u1",
        Code.REFUNDED_TOTAL_WRONG,
        "refunded total of c1",
    ),
    "a refunded total marked to be deleted": (
        edit(REFUNDED, purge_at=number(1)),
        "u1",
        Code.UNKNOWN_ATTRIBUTE,
        "refunded total of c1",
    ),
    "the end of a hold": (
        edit(HOLD_END, ended_by={"S": "c1"}),
        "u1",
        Code.HOLD_END_WRONG,
        "entry p1",
    ),
    "an unreadable end of a hold": (
        edit(HOLD_END, ended_by=number(1)),
        "u1",
        Code.ITEM_UNREADABLE,
        "end of hold h1",
    ),
    "the end of a hold marked to be deleted": (
        edit(HOLD_END, purge_at=number(1)),
        "u1",
        Code.UNKNOWN_ATTRIBUTE,
        "end of hold h1",
    ),
    "the usage of a day": (edit(USAGE, uses=None), "u1", Code.USAGE_WRONG, "usage of 2026-01-31"),
    "a day's usage under another key": (
        lambda intruder: intruder.put(intruder.take(USAGE) | {"sk": {"S": "USAGE#20260131"}}),
        "u1",
        Code.ITEM_UNREADABLE,
        "usage of 20260131",
    ),
    "an item that is not Scrip's": (
        lambda intruder: intruder.put({"pk": {"S": "ACCOUNT#u1"}, "sk": {"S": "NOTE"}}),
        "u1",
        Code.ITEM_UNREADABLE,
        "item NOTE",
    ),
    "a payment": (
        lambda intruder: discard(intruder.take(("FACT#stripe:pi_1", "FACT#stripe:pi_1"))),
        "u1",
        Code.PAYMENT_WRONG,
        "payment stripe:pi_1",
    ),
    "the account of an alias": (
        edit(("ALIAS#email:a@x.org", "ALIAS#email:a@x.org"), account_id={"S": "u2"}),
        "u1",
        Code.ALIAS_WRONG,
        "alias email:a@x.org",
    ),
}


def discard(_: object) -> None:
    """Do nothing with a value."""


_ITEMS: list[dict[str, Any]] = []


@pytest.fixture
def lived(table: Table, monkeypatch: pytest.MonkeyPatch) -> Table:
    """Two accounts with something of everything; the ledger writes them for the first test only."""
    monkeypatch.setattr("scrip.audit.accounts.PAUSES_SECONDS", ())
    monkeypatch.setattr("scrip.store.audit.books.BACKOFF_SECONDS", 0.0001)
    if not _ITEMS:
        live(table)
        _ITEMS.extend(items(table))
    for some in batched(_ITEMS, 25, strict=False):
        puts: Any = [{"PutRequest": {"Item": item}} for item in some]
        table.client.batch_write_item(RequestItems={table.name: puts})
    return table


def live(table: Table) -> None:
    ledger = Ledger(table, lambda: NOW)
    commands: list[Command] = [
        Consume(account_id="u1", entry_id="c1", actor=ADMIN, amount=5),
        Refund(account_id="u1", entry_id="r1", actor=ADMIN, refunds="c1", amount=2),
        Adjust(account_id="u1", entry_id="a1", actor=ADMIN, action=AdjustAction.ADD, amount=9),
        Purchase(account_id="u1", entry_id="stripe:pi_1", actor=ADMIN, credits=50, money=500),
        OpenHold(account_id="u1", entry_id="h1", actor=ADMIN, amount=4, expires_in=300),
        CaptureHold(
            account_id="u1", entry_id="p1", actor=ADMIN, hold_id="h1", final=True, excess=False
        ),
        Consume(account_id="u2", entry_id="c1-of-u2", actor=ADMIN, amount=5),
    ]
    for command in commands:
        ledger.execute(command, partial(opening, command.account_id))
    for account_id in ("u1", "u2"):
        entries = [one.entry for one in read_ledger(table, account_id) if one.entry]
        assert not [*count_usage(table, {(account_id, NOW.date()): entries})]
    assert link_account(table, "u1", "email:a@x.org")


def test_payments_and_aliases_that_their_account_does_not_know_are_found(
    lived: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    payment = {"pk": {"S": "FACT#pi_2"}, "sk": {"S": "FACT#pi_2"}}
    alias = {"pk": {"S": "ALIAS#email:b@x.org"}, "sk": {"S": "ALIAS#email:b@x.org"}}
    intruder = Intruder(lived)
    intruder.put(payment | {"account_id": {"S": "u1"}, "credits": number(10)})
    intruder.put(alias | {"account_id": {"S": "u2"}})
    intruder.put({"pk": {"S": "FACT#pi_3"}, "sk": {"S": "FACT#pi_3"}, "account_id": number(1)})
    # No entry can have an ID of that length.
    longest = {"S": "FACT#" + 1_019 * "x"}
    intruder.put({"pk": longest, "sk": longest, "account_id": {"S": "u3"}})
    code, lines = audit_command(lived, monkeypatch)
    assert (code, lines[-1]) == (6, "findings  4")
    assert {" ".join(line.split()[:4]) for line in lines[:4]} == {
        "payment_wrong u1 payment pi_2:",
        "payment_wrong payment pi_3: It",
        f"payment_wrong u3 payment {1_019 * 'x'}:",
        "alias_wrong u2 alias email:b@x.org:",
    }
    intruder.undo()
    assert audit_command(lived, monkeypatch)[0] == 0


def accounts(table: Table) -> set[str]:
    """Return the accounts that a scan in two segments finds."""
    pages = [
        page for segment in (0, 1) for page in account_pages(table, segment=segment, segments=2)
    ]
    return {account_id for page in pages for account_id in page.account_ids}


def found(table: Table, account_id: str) -> list[tuple[Code, str]]:
    audited = audit_account(table, account_id, NOW)
    assert audited is not None
    return [(one.code, one.about) for one in audited.findings]


def test_every_kind_of_tampering_is_found_and_names_its_item(
    lived: Table, subtests: pytest.Subtests
) -> None:
    intruder = Intruder(lived)
    for kind, (tamper, account_id, code, about) in TAMPERED.items():
        with subtests.test(kind):
            tamper(intruder)
            assert (code, about) in found(lived, account_id)
            intruder.undo()
    assert (found(lived, "u1"), found(lived, "u2")) == ([], [])


def test_a_closed_account_has_no_findings_and_an_unknown_one_no_audit(
    lived: Table,
) -> None:
    close = CloseAccount(account_id="u1", entry_id="close", actor=ADMIN)
    Ledger(lived, lambda: NOW).execute(close)
    audited = audit_account(lived, "u1", NOW)
    assert audited is not None
    assert (audited.entries, audited.findings) == (9, ())
    assert audit_account(lived, "unknown", NOW) is None


def test_an_account_is_found_by_any_item_that_is_left_of_it(lived: Table) -> None:
    assert accounts(lived) == {"u1", "u2"}
    intruder = Intruder(lived)
    for key in (ACCOUNT, FIRST, REFUNDED, USAGE):
        intruder.take(key)
    assert accounts(lived) == {"u1", "u2"}, "by the entries that are left"
    assert found(lived, "u1")[0] == (Code.ACCOUNT_MISSING, "account")


def test_an_account_that_changes_while_it_is_read_has_no_findings(
    lived: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The account changes each time between the audit's reads of it and of its entries."""
    ledger = Ledger(lived, lambda: NOW)
    refunds = 0

    def refund_and_read(table: Table, account_id: str) -> Any:
        nonlocal refunds
        refunds += 1
        ledger.execute(
            Refund(account_id="u1", entry_id=f"r-{refunds}", actor=ADMIN, refunds="c1", amount=1),
        )
        return read_ledger(table, account_id)

    monkeypatch.setattr("scrip.audit.accounts.read_ledger", refund_and_read)
    assert found(lived, "u1") == [(Code.ENTRY_BEYOND_ACCOUNT, "entry r-1")], "in one reading"
    monkeypatch.setattr("scrip.audit.accounts.PAUSES_SECONDS", (0,))
    assert found(lived, "u1") == []
    assert refunds == 3


def test_the_command_prints_a_line_for_each_finding_and_the_totals(
    lived: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    command = partial(audit_command, lived, monkeypatch)
    assert command() == (0, ["accounts  2", "entries   11", "findings  0"])
    assert command("--account", "u2") == (0, ["accounts  1", "entries   3", "findings  0"])
    assert command("--account", "unknown") == (5, [])
    assert command("--account", "u1", "--since", "2026-01-01") == (2, [])
    assert command("--since", "2026-01-31")[1][0] == "accounts  2"
    assert command("--since", "2026-02-01")[1][0] == "accounts  0"

    Intruder(lived).edit(USE, reason={"S": "another"})
    sentence = "Entry 3 does not match its hash: it was edited."
    code, [line, *totals] = command()
    assert (code, line) == (6, f"entry_hash_wrong  u1  entry c1: {sentence}")
    assert totals == ["accounts  2", "entries   11", "findings  1"]
    code, [line, total] = command("--json")
    assert (code, json.loads(line)) == (
        6,
        {
            "code": "entry_hash_wrong",
            "account_id": "u1",
            "about": "entry c1",
            "sentence": sentence,
            "entry_id": "c1",
            "seq": 3,
        },
    )
    assert {"accounts": 2, "entries": 11, "findings": 1}.items() <= json.loads(total).items()


def test_the_command_exits_when_it_is_interrupted_or_the_table_stays_busy(
    lived: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with instead_of(lived, "Query", THROTTLED, times=100):
        assert audit_command(lived, monkeypatch) == (1, [])

    def stopped(audit: TableAudit) -> Iterator[Audited]:
        yield Audited(account_id="u1", entries=6, findings=())
        raise KeyboardInterrupt

    monkeypatch.setattr(TableAudit, "results", stopped)
    assert audit_command(lived, monkeypatch) == (130, [])


def audit_command(
    table: Table, monkeypatch: pytest.MonkeyPatch, *words: str
) -> tuple[int, list[str]]:
    """Run `scrip audit` on a table; return the exit code and the printed lines."""
    monkeypatch.setattr(Session, "table", lambda _: table)
    answer = CliRunner().invoke(app, ["audit", "--segments", "1", *words])
    return answer.exit_code, answer.stdout.splitlines()


def test_a_busy_table_is_retried_and_finally_reported(lived: Table) -> None:
    with instead_of(lived, "Query", THROTTLED, times=3):
        assert found(lived, "u2") == []
    with instead_of(lived, "Query", THROTTLED, times=100), pytest.raises(BusyError):
        found(lived, "u2")


def test_long_ledgers_are_read_page_by_page(lived: Table, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Table._page  # noqa: SLF001 - a page holds 1 MB otherwise
    monkeypatch.setattr(
        Table,
        "_page",
        lambda table, ask, after, request: page(table, ask, after, {**request, "Limit": 2}),
    )
    assert found(lived, "u1") == []
    assert accounts(lived) == {"u1", "u2"}


def test_the_newest_entry_has_the_time_of_the_last_change(lived: Table) -> None:
    assert newest_entry_at(lived, "u1") == NOW
    assert newest_entry_at(lived, "unknown") is None

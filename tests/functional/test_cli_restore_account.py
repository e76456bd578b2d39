"""One account put back to what it was, without undoing anything: `scrip accounts restore`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from scrip.audit.accounts import audit_account
from scrip.domain.commands import Adjust, AdjustAction, Consume, Refund
from scrip.domain.entries import Actor, ActorType, iso
from scrip.ledger import Ledger, opening, utc_now
from scrip.store.items import to_wire
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import items

if TYPE_CHECKING:
    from pathlib import Path

    from scrip.store.client import Table

ADMIN = Actor(ActorType.ADMIN, "a1")
ACCOUNT = {"pk": "ACCOUNT#u1", "sk": "ACCOUNT"}
FIRST = {"pk": "LEDGER#u1", "sk": "ENTRY#signup:grant"}
USE = {"pk": "LEDGER#u1", "sk": "ENTRY#c1"}
TOTAL = {"pk": "ACCOUNT#u1", "sk": "REFUNDED#c1"}


class Books:
    """An account of the table, of which a backup was made, and who damages it."""

    def __init__(self, table: Table, folder: Path) -> None:
        self.table, self.folder, self.ledger = table, folder, Ledger(table, utc_now)
        self.ledger.execute(opening("u1"))
        self.consume("c1")
        fields: dict[str, Any] = {"account_id": "u1", "actor": ADMIN}
        self.ledger.execute(Refund(**fields, entry_id="r1", refunds="c1", amount=2, reason="sorry"))
        self.ledger.execute(
            Adjust(**fields, entry_id="a1", action=AdjustAction.ADD, amount=5, reason="sorry")
        )
        backup = CliRunner().invoke(app, ["backup", str(folder)])
        assert backup.exit_code == ExitCode.DONE, backup.output

    def consume(self, key: str) -> None:
        self.ledger.execute(Consume(account_id="u1", entry_id=key, actor=ADMIN, amount=7))

    def edit(self, key: dict[str, str], attribute: str, value: object) -> None:
        self.table.client.update_item(
            TableName=self.table.name,
            Key=to_wire(key),
            UpdateExpression="SET #name = :value",
            ExpressionAttributeNames={"#name": attribute},
            ExpressionAttributeValues=to_wire({":value": value}),
        )

    def delete(self, key: dict[str, str]) -> None:
        self.table.client.delete_item(TableName=self.table.name, Key=to_wire(key))

    def restore(self, *words: str) -> Result:
        where = ["accounts", "restore", "u1", "--from", str(self.folder)]
        return CliRunner().invoke(app, [*where, *(words or ["--yes"])])

    def found(self) -> dict[str, str]:
        """Return the findings of a dry run by item."""
        lines = self.restore("--dry-run", "--json").stdout.splitlines()
        return {one["item"]: one["finding"] for one in map(json.loads, lines)}

    @property
    def is_whole(self) -> bool:
        audited = audit_account(self.table, "u1", utc_now())
        return audited is not None and not audited.findings


@pytest.fixture
def books(table: Table, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Books:
    monkeypatch.setattr(Session, "table", lambda _: table)
    monkeypatch.setattr("scrip_cli.work.PAUSE_SECONDS", 0)
    monkeypatch.setattr("scrip.audit.accounts.PAUSES_SECONDS", ())
    return Books(table, tmp_path / "backup")


def test_what_is_missing_or_was_edited_is_put_back_and_the_books_are_whole(books: Books) -> None:
    before = books.ledger.account("u1").balance
    books.edit(ACCOUNT, "balance", 1_000_000)
    books.edit(USE, "amount", -1)
    books.delete(FIRST)
    books.delete(TOTAL)
    assert books.found() == {
        "ACCOUNT": "edited",
        "ENTRY#c1": "edited",
        "ENTRY#signup:grant": "missing",
        "REFUNDED#c1": "missing",
    }
    assert not books.is_whole, "a dry run writes nothing"
    done = books.restore()
    assert done.exit_code == ExitCode.DONE, done.output
    assert books.is_whole
    assert books.ledger.account("u1").balance == before
    books.consume("c2")
    assert books.is_whole
    restored = {item["sk"]["S"] for item in items(books.table) if "restored_at" in item}
    assert restored == {"ENTRY#c1", "ENTRY#signup:grant"}, "so that nobody hears of them again"


def test_an_account_that_is_gone_is_put_back(books: Books) -> None:
    before = books.ledger.account("u1").balance
    for item in items(books.table):
        if item["pk"]["S"] in {"ACCOUNT#u1", "LEDGER#u1"}:
            books.delete({name: item[name]["S"] for name in ("pk", "sk")})
    assert books.restore().exit_code == ExitCode.DONE
    assert (books.is_whole, books.ledger.account("u1").balance) == (True, before)


def test_what_was_booked_since_stays(books: Books) -> None:
    books.consume("c2")
    after = books.ledger.account("u1").balance
    books.edit(USE, "amount", -1)
    assert books.found() == {"ACCOUNT": "changed", "ENTRY#c1": "edited", "ENTRY#c2": "new"}
    done = books.restore()
    assert (done.exit_code, "Entries booked since then: 1, with -7" in done.stderr) == (0, True)
    assert (books.is_whole, books.ledger.account("u1").balance) == (True, after)


def test_an_account_that_was_used_and_then_damaged_needs_a_later_state(books: Books) -> None:
    books.consume("c2")
    books.edit(ACCOUNT, "balance", 1_000_000)
    before = items(books.table)
    refused = books.restore()
    assert (refused.exit_code, "Choose a time between" in refused.stderr) == (
        ExitCode.REFUSED,
        True,
    )
    assert items(books.table) == before


def test_an_account_that_was_damaged_already_needs_an_earlier_state(
    books: Books, tmp_path: Path
) -> None:
    books.edit(ACCOUNT, "balance", 1_000_000)
    later = tmp_path / "later"
    CliRunner().invoke(app, ["backup", str(later)])
    refused = CliRunner().invoke(app, ["accounts", "restore", "u1", "--from", str(later), "--yes"])
    assert (refused.exit_code, "Choose an earlier time" in refused.stderr) == (1, True)


def test_what_somebody_inserted_is_left_and_the_audit_names_it(books: Books) -> None:
    [wire] = [item for item in items(books.table) if item["sk"]["S"] == "ENTRY#a1"]
    forged = {**wire, "sk": {"S": "ENTRY#forged"}}
    books.table.client.put_item(TableName=books.table.name, Item=forged)
    assert books.found() == {"ENTRY#forged": "new"}
    done = books.restore()
    assert (done.exit_code, "seq_repeated" in done.stderr) == (ExitCode.FOUND, True)


def test_an_account_that_a_backup_lacks_is_not_found(books: Books) -> None:
    missing = CliRunner().invoke(
        app, ["accounts", "restore", "u9", "--from", str(books.folder), "--yes"]
    )
    assert (missing.exit_code, "no account u9" in missing.stderr) == (ExitCode.NOT_FOUND, True)


def test_the_local_aws_has_no_earlier_times(books: Books) -> None:
    refused = CliRunner().invoke(
        app, ["accounts", "restore", "u1", "--at", "2026-11-21T12:59Z", "--yes"]
    )
    assert (refused.exit_code, "--from" in refused.stderr) == (ExitCode.FAILED, True)


@pytest.mark.moto
def test_a_state_of_an_earlier_time_is_read_from_a_table_that_is_deleted_again(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table that moto restores is as the original is now: it keeps no history either."""
    monkeypatch.setattr(Session, "is_local", False)
    monkeypatch.setattr("scrip_cli.restoring.source.POLL_SECONDS", 0)
    at = ["accounts", "restore", "u1", "--at", iso(utc_now()), "--yes"]
    off = CliRunner().invoke(app, at)
    assert (off.exit_code, "can be restored to: none" in off.stderr) == (ExitCode.FAILED, True)
    books.table.client.update_continuous_backups(
        TableName=books.table.name,
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    before = books.table.client.list_tables()["TableNames"]
    early = CliRunner().invoke(app, [*at[:4], "2020-01-01", "--yes"])
    assert (early.exit_code, "can be restored to: from" in early.stderr) == (1, True)
    known = books.table.client.describe_continuous_backups(TableName=books.table.name)
    span = known["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    at[4] = iso(span["LatestRestorableDateTime"])
    done = CliRunner().invoke(app, at)
    assert (done.exit_code, "nothing to put back" in done.stderr) == (ExitCode.DONE, True)
    assert books.table.client.list_tables()["TableNames"] == before

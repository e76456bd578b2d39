"""A table saved to a folder and restored into an empty one: `scrip backup`, `scrip restore`."""

from __future__ import annotations

import gzip
import json
from contextlib import contextmanager
from itertools import batched
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner, Result

from scrip.domain.audit.rounds import Progress
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    Consume,
    ConsumeBatch,
    OpenHold,
    Purchase,
    Refund,
    Use,
)
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import Ledger, opening, utc_now
from scrip.store.aliases import link_account
from scrip.store.audit.books import read_ledger
from scrip.store.audit.rounds import save_progress
from scrip.store.items import to_wire
from scrip.store.keys import restore_key
from scrip.store.listing import is_complete, note_complete
from scrip.store.sweeps import move_watermark, read_watermark
from scrip.store.usage import count_usage
from scrip_cli.backup.folder import BackupWriter
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import items
from tests.functional.faults import THROTTLED, instead_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from scrip.store.client import Table

pytestmark = pytest.mark.moto

ADMIN = Actor(ActorType.ADMIN, "a1")

type Run = Callable[..., Result]


class KilledError(BaseException):
    """The process is killed here."""


def consume(key: str) -> Consume:
    return Consume(account_id="u1", entry_id=key, actor=ADMIN, feature="chat", quantity=1)


def batch(key: str) -> ConsumeBatch:
    uses = (Use(amount=2), Use(amount=3))
    return ConsumeBatch(account_id="u1", entry_id=key, actor=ADMIN, uses=uses)


def capture(key: str, hold_id: str) -> CaptureHold:
    fields: dict[str, Any] = {"account_id": "u1", "actor": ADMIN, "final": True, "excess": False}
    return CaptureHold(**fields, entry_id=key, hold_id=hold_id, amount=1)


_ITEMS: list[dict[str, Any]] = []


@pytest.fixture
def ledger(table: Table) -> Ledger:
    """An account with something of everything; the ledger writes it for the first test only."""
    ledger = Ledger(table, utc_now)
    if not _ITEMS:
        live(ledger)
        _ITEMS.extend(items(table))
    for some in batched(_ITEMS, 25, strict=False):
        puts: Any = [{"PutRequest": {"Item": item}} for item in some]
        table.client.batch_write_item(RequestItems={table.name: puts})
    return ledger


def live(ledger: Ledger) -> None:
    """Let every kind of change happen, and a sweep run."""
    table = ledger.table
    ledger.execute(opening("u1", mailboxes=("5f" * 32,)))
    ledger.execute(opening("u2"))
    link_account(table, "u1", "email:a@x.org")
    fields: dict[str, Any] = {"account_id": "u1", "actor": ADMIN}
    ledger.execute(Purchase(**fields, entry_id="stripe:pi_1", credits=500, money=500))
    ledger.execute(consume("c1"))
    ledger.execute(Refund(**fields, entry_id="r1", refunds="c1", amount=2, reason="failed"))
    ledger.execute(
        Adjust(**fields, entry_id="a1", action=AdjustAction.ADD, amount=5, reason="sorry")
    )
    ledger.execute(batch("b1"))
    for hold_id in ("h1", "h2"):
        ledger.execute(OpenHold(**fields, entry_id=hold_id, amount=9, expires_in=86_400))
    ledger.execute(capture("p1", "h1"))
    entries = [stored.entry for stored in read_ledger(table, "u1") if stored.entry]
    assert not [*count_usage(table, {("u1", entries[0].recorded_at.date()): entries})]
    move_watermark(table, utc_now())


@pytest.fixture
def run(table: Table, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return a function that runs a command on the table."""
    monkeypatch.setattr(Session, "table", lambda _: table)
    monkeypatch.setattr("scrip_cli.backup.work.WORKERS", 1)
    monkeypatch.setattr("scrip_cli.work.PAUSE_SECONDS", 0)
    monkeypatch.setattr("scrip.audit.accounts.PAUSES_SECONDS", ())
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


def wipe(table: Table) -> None:
    """Leave the items of a new stack: its catalog, and the watermark of a sweep."""
    for some in batched(items(table), 25, strict=False):
        deletes: Any = [
            {"DeleteRequest": {"Key": {name: item[name] for name in ("pk", "sk")}}} for item in some
        ]
        table.client.batch_write_item(RequestItems={table.name: deletes})
    move_watermark(table, utc_now())


def without_mark(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return items without the mark of restored entries."""
    return [
        {name: value for name, value in item.items() if name != "restored_at"} for item in found
    ]


@contextmanager
def after_each_write(table: Table, happens: Callable[..., None]) -> Iterator[None]:
    """Call `happens` after each write that has taken effect."""
    events = table.client.meta.events
    names = [f"after-call.dynamodb.{operation}" for operation in ("PutItem", "BatchWriteItem")]
    for name in names:
        events.register(name, happens)
    try:
        yield
    finally:
        for name in names:
            events.unregister(name, happens)


def is_killed(run: Run, folder: Path) -> bool:
    """Restore; return whether the process was killed before it was done."""
    try:
        assert run("restore", folder).exit_code == 0
    except KilledError:
        return True
    return False


def backup_in_parts(folder: Path, found: list[dict[str, Any]]) -> Path:
    """Write a backup in files of five items."""
    writer = BackupWriter(folder)
    for some in batched(found, 5, strict=False):
        writer.add(some)
    writer.finish()
    return folder


def test_a_restored_table_equals_the_original_and_replays_old_keys(
    ledger: Ledger,
    run: Run,
    tmp_path: Path,
) -> None:
    table, before = ledger.table, items(ledger.table)
    watermark, account = read_watermark(table), ledger.account("u1")
    again = (consume("c1"), batch("b1"), capture("p1", "h1"), capture("under another", "h1"))
    answered = [ledger.execute(command) for command in again]
    save_progress(table, Progress().begun(utc_now()))
    assert run("backup", tmp_path / "b").exit_code == 0
    wipe(table)
    assert ledger.table is table
    assert run("restore", tmp_path / "b").exit_code == 0
    assert without_mark(items(table)) == before, "all but the progress of the audit"
    marked = {item["sk"]["S"].split("#")[0] for item in items(table) if "restored_at" in item}
    assert marked == {"ENTRY"}
    assert read_watermark(table) == watermark, "the sweep finds what is due since the backup"
    assert ledger.account("u1") == account
    assert [ledger.execute(command) for command in again] == answered
    assert all(outcome.replayed for outcome in answered)
    assert ledger.account("u1") == account
    audited = run("audit", "--segments", "1")
    assert (audited.exit_code, audited.stdout.split()[:2]) == (0, ["accounts", "2"])
    # It can be used and backed up like any other.
    assert ledger.execute(consume("c2")).entry is not None
    assert ledger.execute(capture("p2", "h2")).entry is not None
    assert run("backup", tmp_path / "b2").exit_code == 0


@pytest.mark.parametrize("were_listed", [True, False])
def test_accounts_are_all_in_their_lists_after_a_restore_only_if_they_were_before(
    ledger: Ledger, run: Run, tmp_path: Path, *, were_listed: bool
) -> None:
    if were_listed:
        note_complete(ledger.table, utc_now())
    run("backup", tmp_path / "copy")
    wipe(ledger.table)
    note_complete(ledger.table, utc_now())  # as the new stack has it
    assert run("restore", tmp_path / "copy").exit_code == 0
    assert is_complete(ledger.table) == were_listed


def test_a_killed_restore_continues_and_writes_accounts_last(
    ledger: Ledger,
    run: Run,
    tmp_path: Path,
) -> None:
    table, before = ledger.table, items(ledger.table)
    folder = backup_in_parts(tmp_path / "b", before)
    other_items = sum(item["sk"] != {"S": "ACCOUNT"} and "#" in item["pk"]["S"] for item in before)
    wipe(table)
    killed: list[list[dict[str, Any]]] = []

    left = [2]

    def kill(**_: Any) -> None:
        left[0] -= 1
        if not left[0]:
            killed.append(items(table))
            raise KilledError

    with after_each_write(table, kill):
        while is_killed(run, folder):
            assert len(killed) < 100
            left[0] = 2 + len(killed) % 4
    assert len(killed) > 3
    for found in killed:
        if any(item["sk"] == {"S": "ACCOUNT"} for item in found):
            assert sum("#" in item["pk"]["S"] for item in found) > other_items
    assert without_mark(items(table)) == before


def test_a_restore_that_continues_keeps_accounts_that_were_used_meanwhile(
    ledger: Ledger,
    run: Run,
    tmp_path: Path,
) -> None:
    table = ledger.table
    folder = backup_in_parts(tmp_path / "b", items(table))
    wipe(table)

    def kill(**_: Any) -> None:
        if any(item["sk"] == {"S": "ACCOUNT"} for item in items(table)):
            raise KilledError

    with after_each_write(table, kill):
        assert is_killed(run, folder)
    ledger.execute(consume("too early"))
    used = ledger.account("u1")
    done = run("restore", folder)
    assert (done.exit_code, "Continuing after" in done.stderr) == (0, True)
    assert ledger.account("u1") == used
    assert run("audit", "--segments", "1").exit_code == 0


def test_a_restore_refuses_a_table_in_use_and_a_damaged_backup(
    ledger: Ledger,
    run: Run,
    tmp_path: Path,
) -> None:
    table, found = ledger.table, items(ledger.table)
    folder = backup_in_parts(tmp_path / "b", found)
    before = items(table)

    def refused(words: str) -> bool:
        done = run("restore", folder)
        return done.exit_code == ExitCode.FAILED and words in " ".join(done.stderr.split())

    assert refused("is in use")
    assert items(table) == before
    wipe(table)
    empty = items(table)
    table.client.put_item(
        TableName=table.name,
        Item=to_wire({**restore_key(), "backup": "another", "at": utc_now(), "stage": 1}),
    )
    assert refused("the beginning of another backup")
    table.client.delete_item(TableName=table.name, Key=to_wire(restore_key()))

    last = max((folder / "data").iterdir())
    whole = last.read_bytes()
    for damaged, words in (
        (whole[:-9], "cannot be read"),
        (whole[:-1] + b"?", "cannot be read"),
        (gzip.compress(b""), "has 0 items"),
        (gzip.compress(b"[]\n"), "cannot be read"),
    ):
        last.write_bytes(damaged)
        assert refused(words), words
    last.unlink()
    assert refused("cannot be read")
    (folder / "manifest-files.json").unlink()
    assert refused("is not a backup")
    assert without_mark(items(table)) == empty
    taken = run("backup", folder)
    assert (taken.exit_code, "cannot be made" in taken.stderr) == (ExitCode.FAILED, True)


def test_an_export_of_dynamodb_can_be_restored(ledger: Ledger, run: Run, tmp_path: Path) -> None:
    # As `aws dynamodb export-table-to-point-in-time` writes it, with more fields than Scrip writes.
    table, before = ledger.table, items(ledger.table)
    folder = backup_in_parts(tmp_path / "written", before)
    export = tmp_path / "AWSDynamoDB/01693685827463-2d8752fd"
    (export / "data").mkdir(parents=True)
    manifest = []
    for number, file in enumerate(sorted((folder / "data").iterdir())):
        name = f"asdl{number}.json.gz"
        (export / "data" / name).write_bytes(file.read_bytes())
        file_info = {
            "itemCount": len(gzip.decompress(file.read_bytes()).splitlines()),
            "md5Checksum": "sQMSpEILNgoQmarvDFonGQ==",
            "etag": "af83d6f217c19b8b0fff8023d8ca4716-1",
            "dataFileS3Key": f"AWSDynamoDB/01693685827463-2d8752fd/data/{name}",
        }
        manifest.append(json.dumps(file_info))
    (export / "manifest-files.json").write_text("\n".join(manifest))
    (export / "_started").touch()
    wipe(table)
    with instead_of(table, "BatchWriteItem", THROTTLED, times=2):
        assert run("restore", export).exit_code == 0
    assert without_mark(items(table)) == before

"""`scrip index`: the accounts that a version without lists opened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from scrip.domain.commands import SetFrozen
from scrip.domain.entries import CLOCK
from scrip.ledger import ledger
from scrip.store.items import to_wire
from scrip.store.keys import account_alias_key, account_key, addresses_key
from scrip.store.listing import end_row, put_row
from scrip.users import open_account
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import items, send

if TYPE_CHECKING:
    from scrip.store.client import Table

FIRST = datetime(2026, 11, 1, 12, tzinfo=UTC)


def run() -> tuple[int, str]:
    done = CliRunner().invoke(app, ["index"])
    return done.exit_code, done.output


@pytest.fixture
def opened(table: Table, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Accounts as the version before left them, the last one frozen, in a small directory."""
    for module in ("scrip.store.keys", "scrip.store.directory"):
        monkeypatch.setattr(f"{module}.DIRECTORY_SHARDS", 1)
    monkeypatch.setattr("scrip.store.directory.ANCHOR_DAYS", 1)
    monkeypatch.setattr(Session, "table", lambda _: table)
    now = [FIRST]
    monkeypatch.setattr("scrip.ledger.utc_now", lambda: now[-1])
    ledger.cache_clear()
    account_ids = ["anna", "bert", "cleo"]
    for account_id in account_ids:
        open_account(ledger(), account_id, [f"{account_id}@example.com"], at=now[-1])
        table.put(account_alias_key(account_id, f"email:{account_id}@example.com"))
        table.put({**addresses_key(account_id), "told_at": now[-1]})
        now.append(now[-1] + timedelta(hours=1))
    ledger().execute(SetFrozen(account_id="cleo", entry_id="f", actor=CLOCK, frozen=True))
    ledger.cache_clear()
    return account_ids


def listed(**query: str) -> list[str]:
    return [one["account_id"] for one in send("admin/accounts", query=query).body["accounts"]]


def test_all_accounts_are_listed_and_found_afterwards(table: Table, opened: list[str]) -> None:
    assert (listed(), listed(state="frozen"), listed(q="cleo@")) == ([], [], [])
    assert not send("admin/accounts").body["complete"]
    code, output = run()
    shown = [line for line in output.splitlines() if "Listing" not in line]
    assert (code, shown) == (
        0,
        [
            "changed 3  unchanged 0  failed 0",
            "changed 0  unchanged 3  failed 0",
            "All accounts are listed.",
        ],
    )
    assert (listed(), listed(state="frozen"), listed(q="cleo@")) == (
        opened[::-1],
        ["cleo"],
        ["cleo"],
    )
    page = send("admin/accounts").body
    assert page["complete"]
    assert [one["emails"] for one in page["accounts"]] == [
        [f"{account_id}@example.com"] for account_id in opened[::-1]
    ]
    before = items(table)
    assert run()[0] == 0
    assert items(table) == before


def test_an_address_that_a_function_of_the_version_before_took_away_is_listed_no_more(
    table: Table, opened: list[str]
) -> None:
    run()
    table.delete(account_alias_key("anna", "email:anna@example.com"))
    run()
    assert [one["emails"] for one in send("admin/accounts").body["accounts"]] == [
        ["cleo@example.com"],
        ["bert@example.com"],
        [],
    ]


def test_a_row_of_a_later_version_stays_and_an_older_one_is_corrected(
    table: Table, opened: list[str]
) -> None:
    later = ledger().account("cleo").version + 1
    end_row(table, "cleo", "frozen", later, FIRST)
    put_row(table, "anna", "held", 0, FIRST)  # that is older than the account
    run()
    assert (listed(state="frozen"), listed(state="held")) == ([], [])


def test_an_account_that_cannot_be_read_stops_no_other_one_and_is_named(
    table: Table, opened: list[str]
) -> None:
    table.client.update_item(
        TableName=table.name,
        Key=to_wire(account_key("bert")),
        UpdateExpression="SET balance = :wrong",
        ExpressionAttributeValues={":wrong": {"N": "1"}},
    )
    code, output = run()
    assert code == ExitCode.FAILED
    assert "changed 2  unchanged 0  failed 1\n  bert: corrupt_account\n" in output
    assert listed(state="frozen") == ["cleo"]
    assert listed() == ["cleo", "anna"]
    assert not send("admin/accounts").body["complete"]

"""`scrip what-if` on a stack: the answer in a sentence, the table, the files, and Ctrl-C."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner, Result

from scrip.domain.commands import Consume
from scrip.domain.editing import Editor
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import Ledger, utc_now
from scrip.settings import Settings
from scrip.store.catalogs import commit_edit, read_catalog
from scrip.users import add_account
from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app
from scrip_cli.session import Session
from scrip_cli.what_if.replay import Replay
from tests.functional.conftest import items

if TYPE_CHECKING:
    from pathlib import Path

    from scrip.store.client import Table

SETTINGS = Settings(table_name="scrip", signup_credits=50)
ADMIN = Actor(ActorType.ADMIN, "arn")
DEARER = "features:\n  chat: {name: Chat, cost: 12}\n"


@pytest.fixture
def prices(table: Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A file with a dearer chat, and two accounts that chatted; only one was awake since."""
    now = utc_now()
    for account_id, days, uses in (("anna", 3, 12), ("ben", 3, 2), ("carl", 50, 1)):
        ledger = Ledger(table, lambda days=days: now - timedelta(days))  # type: ignore[misc]
        add_account(ledger, account_id, f"{account_id}@example.com", SETTINGS)
        for number in range(uses):
            ledger.execute(
                Consume(
                    account_id=account_id,
                    entry_id=f"job-{number}",
                    actor=Actor(ActorType.SERVICE, "app"),
                    feature="chat",
                    quantity=2,
                )
            )
    monkeypatch.setattr(Session, "table", lambda _: table)
    monkeypatch.setattr(Session, "settings", lambda _: SETTINGS)
    monkeypatch.setattr(Session, "operator", lambda _: ADMIN)
    path = tmp_path / "prices.yaml"
    path.write_text(DEARER)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, ["what-if", *map(str, words)])


def test_the_first_line_answers_in_a_sentence(table: Table, prices: Path) -> None:
    before = items(table)
    ran = run(prices)
    assert ran.exit_code == ExitCode.DONE, ran.output
    sentence, *rows = ran.stdout.splitlines()
    assert sentence == (
        "At the prices of prices.yaml, the last 30 days would have cost 192 credits instead of 140 "
        "(+37.1%); 1 of 2 accounts would have been refused 6 calls (402), and none would have run "
        "into debt."
    )
    assert [row.split("\t") for row in rows] == [
        ["account_id", "used_before", "used_after", "refused", "debt_before", "debt_after"],
        ["anna", "120", "144", "6", "0", "0"],
        ["ben", "20", "48", "0", "0", "0"],
    ]
    assert "0 of 18 entries differ" in ran.stderr
    assert items(table) == before


def test_the_prices_of_today_change_nothing(prices: Path) -> None:
    prices.write_text("features: {}\n")
    ran = run(prices, "--last", "1w")
    assert ran.stdout.startswith(
        "At the prices of prices.yaml, the last 7 days would have cost 140 credits instead of "
        "140; none of 2 accounts would have been refused a call (402), and none would have run "
        "into debt."
    )


def test_before_is_what_was_charged_though_the_price_has_changed_since(
    table: Table, prices: Path
) -> None:
    catalog = read_catalog(table)
    editor = Editor(
        catalog=catalog, default_plan="free", actor=ADMIN, reason="dearer", now=utc_now()
    )
    chat = catalog.features["chat"]
    commit_edit(table, editor.change(chat, replace(chat, cost=12), chat.version))
    ran = run(prices)
    assert "would have cost 192 credits instead of 140" in ran.stdout
    assert "0 of 18 entries differ" in ran.stderr


def test_without_an_entry_in_the_window_there_is_nothing_to_compare(prices: Path) -> None:
    assert run(prices, "--last", "1h").stdout == (
        "No account has an entry in the last hour, so prices.yaml changes nothing.\n"
    )


def test_the_csv_has_a_row_for_each_account(prices: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    ran = run(prices, "--csv", out)
    assert ran.exit_code == ExitCode.DONE
    rows = {row["account_id"]: row for row in csv.DictReader(out.read_text().splitlines())}
    assert rows.keys() == {"anna", "ben"}
    assert rows["anna"]["refused"] == "6"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.csv", "prices.yaml"]


def test_json_has_a_line_for_each_account_and_one_for_all(prices: Path) -> None:
    *accounts, total = map(json.loads, run(prices, "--json").stdout.splitlines())
    assert {account["account_id"]: account["used_after"] for account in accounts} == {
        "anna": 144,
        "ben": 48,
    }
    assert (total["used_before"], total["used_after"], total["refused"]) == (140, 192, 6)
    assert (total["entries"], total["differ"], total["facts"]) == (18, 0, 0)


def test_a_stop_leaves_no_half_written_file(
    prices: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Replay) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Replay, "run", stop)
    ran = run(prices, "--csv", tmp_path / "out.csv")
    assert ran.exit_code == ExitCode.INTERRUPTED
    assert [path.name for path in tmp_path.iterdir()] == ["prices.yaml"]


def test_an_account_that_was_edited_by_hand_is_left_out(table: Table, prices: Path) -> None:
    table.client.update_item(
        TableName=table.name,
        Key={"pk": {"S": "ACCOUNT#ben"}, "sk": {"S": "ACCOUNT"}},
        UpdateExpression="SET balance = :b",
        ExpressionAttributeValues={":b": {"N": "7"}},
    )
    ran = run(prices)
    assert ran.exit_code == ExitCode.FAILED
    assert "ben is left out: it was edited by hand" in ran.stderr
    assert "would have cost 144 credits instead of 120" in ran.stdout


def test_a_file_that_cannot_be_written_is_named(prices: Path) -> None:
    ran = run(prices, "--csv", "/no/such/folder/out.csv")
    assert ran.exit_code == ExitCode.FAILED
    assert "cannot be written" in ran.stderr

"""What a newer version wrote is left to that version: nobody reads it wrongly, or writes over it.

While an update is deployed, functions of both versions run. The tests stand for the older ones:
they make all items of an account, as the ledger wrote them, newer than any that this version knows.
"""

from __future__ import annotations

import copy
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

from functions.bootstrap.parameters import check_default_plan
from functions.events.handler import UndeliveredError
from functions.webhook import handler as webhook
from scrip.domain.errors import BusyError, NewerVersionError
from scrip.ledger import ledger, opening
from scrip.store.aliases import links_of, payment_named
from scrip.store.catalogs import examine_catalog
from scrip.store.inbox import InboxStatus, read_message
from scrip.store.items import FORMAT_MAX, entry_of, to_wire
from scrip.store.keys import account_key, restore_key
from scrip.store.listing import OPENED, put_row
from scrip.store.sweeps import move_watermark
from scrip.webhooks.apply import apply_waiting
from scrip.webhooks.providers import Provider
from scrip_cli.main import app
from scrip_cli.session import Session
from tests.functional.conftest import EVENTS, USER, Answer, event, invoke, items, send
from tests.functional.deliveries import deliver
from tests.functional.renewals import NOW
from tests.unit.webhooks.examples import SECRETS, body

if TYPE_CHECKING:
    from pathlib import Path

    from scrip.store.client import Table
    from tests.functional.outside import Outside
    from tests.functional.renewals import Renewals
    from tests.functional.rounds import Rounds

MONTH = timedelta(days=31)
STRIPE = Provider.STRIPE
NEWER = {"N": str(FORMAT_MAX + 1)}
OWNED = ("ACCOUNT#", "LEDGER#", "FACT#")
"""How the partitions begin whose items belong to accounts."""

ASKING = [
    f"{function}/{path.stem}"
    for function in ("account", "adjust", "consume", "refund")
    for path in sorted((EVENTS / function).glob("*.json"))
]
OTHERS = {"account/other", "refund/by_user", "consume/by_role"}
"""Requests that a user's token does not allow, and one that comes without the API."""

OF_THE_CATALOG = sorted(f"catalog/{path.stem}" for path in (EVENTS / "catalog").glob("*.json"))


@pytest.fixture
def newer_plan(table: Table) -> Table:
    """A table of which a newer version wrote the plan `pro`."""
    send("account/me")
    make_plan_newer(table, "pro")
    return table


@pytest.fixture
def newer(table: Table, monkeypatch: pytest.MonkeyPatch) -> Table:
    """A table whose accounts a newer version wrote."""
    monkeypatch.setattr(webhook.secrets, "of", lambda sender, **_: [SECRETS[sender]])
    send("consume/hold", body={"amount": 5}, key="hold-1")
    send("consume/amount", body={"amount": 1}, key="chat-1")
    assert deliver(STRIPE, purchase("1")).body["status"] == "applied"
    make_newer(table, owned(table))
    return table


def purchase(number: str) -> Any:
    """Return Stripe's message about a purchase by the user."""
    payload = body(STRIPE, "checkout_payment")
    payload["id"] += number
    payload["data"]["object"]["payment_intent"] += number
    return payload


def make_newer(table: Table, written: list[dict[str, Any]]) -> None:
    for item in written:
        table.client.put_item(TableName=table.name, Item={**item, "format": NEWER})


def make_plan_newer(table: Table, plan_id: str) -> None:
    make_newer(table, [one for one in catalog_of(table) if one["sk"]["S"] == f"PLAN#{plan_id}"])
    ledger.cache_clear()


def owned(table: Table) -> list[dict[str, Any]]:
    """Return the items that belong to accounts."""
    return [item for item in items(table) if item["pk"]["S"].startswith(OWNED)]


def catalog_of(table: Table) -> list[dict[str, Any]]:
    return table.client.query(
        TableName=table.name,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": "CATALOG"}},
    )["Items"]


def is_refused(answer: Answer) -> bool:
    return (answer.status, answer.body["code"]) == (503, "newer_version") and (
        answer.headers["Retry-After"] == str(answer.body["retry_after"])
    )


@pytest.mark.parametrize("name", sorted({*ASKING} - OTHERS))
def test_a_request_is_answered_with_503_and_writes_nothing(newer: Table, name: str) -> None:
    before = items(newer)
    assert is_refused(send(name))
    assert items(newer) == before


@pytest.mark.moto
@pytest.mark.parametrize("name", OF_THE_CATALOG)
def test_the_catalog_is_neither_shown_nor_edited_without_a_plan(
    newer_plan: Table, name: str
) -> None:
    before = catalog_of(newer_plan)
    assert is_refused(send(name))
    assert catalog_of(newer_plan) == before


def test_a_plan_stops_what_needs_it_and_nothing_else(newer_plan: Table) -> None:
    assert send("consume/feature", key="chat-1").status == 200
    assert send("adjust/change_quota", body={"plan_id": "unlimited"}).status == 200
    for plan_id in ("pro", "another"):
        assert is_refused(send("adjust/change_quota", body={"plan_id": plan_id}))
    assert is_refused(send("consume/feature", body={"feature": "another"}, key="chat-2"))


def test_a_default_plan_that_may_be_a_newer_one_is_not_called_missing(table: Table) -> None:
    make_plan_newer(table, "free")
    problems = send("admin/health").body["problems"]
    assert {"code": "unreadable_item", "subject": "PLAN#free"} in problems
    assert "default_plan_missing" not in {problem["code"] for problem in problems}
    check_default_plan("free", examine_catalog(table)[0])  # or an update could not be rolled back


def test_a_payment_for_a_plan_that_may_be_the_newer_one_is_sent_again(
    newer_plan: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook.secrets, "of", lambda sender, **_: [SECRETS[sender]])
    paid = body(STRIPE, "invoice_paid")
    assert is_refused(deliver(STRIPE, paid))

    monkeypatch.setattr("scrip.store.items.FORMAT_MAX", FORMAT_MAX + 1)
    ledger.cache_clear()
    assert deliver(STRIPE, paid).body["status"] != "ignored"


def test_an_account_is_not_opened_a_second_time(newer: Table) -> None:
    before = items(newer)
    assert is_refused(send("admin/add_account", body={"account_id": USER}))
    confirmed = event("signup/confirmed")
    confirmed["request"]["userAttributes"] |= {"sub": USER}
    assert invoke("signup", confirmed) == confirmed, "the user can sign in"
    assert items(newer) == before


def test_a_list_of_accounts_says_which_it_cannot_show(
    newer: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_row(newer, USER, OPENED, 1, NOW)
    listed = send("admin/accounts").body["accounts"]
    assert listed == [{"account_id": USER, "error": "newer_version"}]

    monkeypatch.setattr(Session, "table", lambda _: newer)
    _, line = CliRunner().invoke(app, ["accounts", "list"]).stdout.splitlines()
    assert line.split() == [USER, "newer_version"]


def test_a_message_is_applied_when_the_newer_version_gets_it(
    newer: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = owned(newer)
    refunded = body(STRIPE, "charge_refunded_fully")
    refunded["data"]["object"]["payment_intent"] += "1"
    for message in (purchase(""), refunded):
        assert is_refused(deliver(STRIPE, message))
    assert is_refused(send("admin/replay"))
    assert owned(newer) == before

    monkeypatch.setattr("scrip.store.items.FORMAT_MAX", FORMAT_MAX + 1)
    for message in (purchase(""), refunded):  # which the provider sends again
        assert deliver(STRIPE, message).body["status"] == "applied"
    assert ledger().account(USER).balance == 150 - 1 + 500


def test_a_waiting_message_waits_for_the_newer_version(
    table: Table, newer: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    for_bob = purchase("3")
    for_bob["data"]["object"]["client_reference_id"] = "bob"
    assert deliver(STRIPE, for_bob).body["status"] == "unmatched"
    ledger().execute(opening("bob"))
    make_newer(table, owned(table))
    inserted = event("wake/account_opened")
    inserted["Records"][0]["dynamodb"]["Keys"]["pk"]["S"] = "ACCOUNT#bob"
    with pytest.raises(BusyError):  # so that the stream delivers it again
        invoke("wake", inserted)

    monkeypatch.setattr("scrip.store.items.FORMAT_MAX", FORMAT_MAX + 1)
    invoke("wake", inserted)
    assert ledger().account("bob").balance == 150 + 500
    record = read_message(table, f"stripe:{for_bob['id']}")
    assert record is not None
    assert record.status is InboxStatus.APPLIED


def test_a_message_of_a_newer_version_is_left_to_it(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webhook.secrets, "of", lambda sender, **_: [SECRETS[sender]])
    waits = purchase("1")
    waits["data"]["object"]["client_reference_id"] = "bob"
    assert deliver(STRIPE, waits).body["status"] == "unmatched"
    make_newer(table, [one for one in items(table) if one["pk"]["S"].startswith("INBOX#")])
    before = items(table)
    assert is_refused(deliver(STRIPE, waits))
    replay = event("admin/replay")
    replay["pathParameters"]["webhook_id"] = f"stripe:{waits['id']}"
    replay["rawPath"] = f"/v1/admin/webhooks/stripe:{waits['id']}/replay"
    assert invoke("admin", replay)["statusCode"] == 503
    assert send("admin/webhooks").body["webhooks"] == []
    apply_waiting(ledger(), lambda: True)
    assert items(table) == before


def test_a_name_of_a_newer_version_leads_nowhere_else(newer: Table) -> None:
    make_newer(newer, [one for one in items(newer) if one["pk"]["S"].startswith("ALIAS#")])
    before = items(newer)
    for read in (links_of, payment_named):
        with pytest.raises(NewerVersionError):
            read(newer, [one["pk"]["S"].removeprefix("ALIAS#") for one in before])
    assert items(newer) == before


@pytest.mark.parametrize("batch", ["day", "depleted"])
def test_the_stream_delivers_entries_and_changes_of_accounts_again(
    table: Table, outside: Outside, batch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = event(f"events/{batch}")
    for record in sent["Records"]:
        record["dynamodb"]["NewImage"]["format"] = NEWER
    with pytest.raises(UndeliveredError):
        invoke("events", copy.deepcopy(sent))
    assert (items(table), outside.received, outside.archived()) == ([], [], [])

    monkeypatch.setattr("scrip.store.items.FORMAT_MAX", FORMAT_MAX + 1)
    assert invoke("events", sent) == {"batchItemFailures": []}
    assert outside.received


def test_an_account_is_renewed_by_the_next_sweep_of_the_newer_version(
    renewals: Renewals, monkeypatch: pytest.MonkeyPatch
) -> None:
    renewals.open({"u1": NOW - MONTH, "u2": NOW - MONTH})
    move_watermark(renewals.table, NOW - timedelta(hours=1))
    account = account_key("u1")
    renewals.table.client.update_item(
        TableName=renewals.table.name,
        Key=to_wire(account),
        UpdateExpression="SET #format = :newer",
        ExpressionAttributeNames={"#format": "format"},
        ExpressionAttributeValues={":newer": NEWER},
    )
    renewals.sweep()
    assert renewals.drain() == [], "no dead letters"
    assert renewals.renewed() == ["u2"]

    monkeypatch.setattr("scrip.store.items.FORMAT_MAX", FORMAT_MAX + 1)
    renewals.sweep()
    assert renewals.drain() == []
    assert renewals.renewed() == ["u1", "u2"]


def test_the_audit_leaves_it_out_and_says_so_without_a_finding(
    newer: Table, rounds: Rounds, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger().execute(opening("bob"))
    round_ = rounds.whole()
    assert (round_["accounts"], round_["mismatches"]) == (2, 0)
    problems = send("admin/health").body["problems"]
    assert {"code": "accounts_unaudited", "subject": "audit"} in problems

    monkeypatch.setattr(Session, "table", lambda _: newer)
    answer = CliRunner().invoke(app, ["audit", "--json"])
    totals = json.loads(answer.stdout)
    assert (totals["accounts"], totals["newer"], totals["findings"]) == (1, 1, 0)
    assert (answer.exit_code, "newer version" in answer.stderr) == (1, True)


def test_the_audit_takes_no_new_kind_of_item_for_one_that_was_added_by_hand(
    table: Table, rounds: Rounds
) -> None:
    send("account/me")
    kind = {"pk": {"S": f"ACCOUNT#{USER}"}, "sk": {"S": "COUPON#1"}, "format": NEWER}
    table.client.put_item(TableName=table.name, Item=kind)
    round_ = rounds.whole()
    assert (round_["accounts"], round_["mismatches"]) == (1, 0)


def test_a_restore_that_a_newer_version_began_is_left_to_it(
    empty_table: Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Session, "table", lambda _: empty_table)
    runner = CliRunner()
    assert runner.invoke(app, ["backup", str(tmp_path / "backup")]).exit_code == 0
    begun = {**to_wire(restore_key()), "format": NEWER}
    empty_table.client.put_item(TableName=empty_table.name, Item=begun)
    answer = runner.invoke(app, ["restore", str(tmp_path / "backup")])
    assert (answer.exit_code, "newer version" in answer.stderr) == (1, True)
    assert items(empty_table) == [begun]


def test_an_export_ends_there_and_leaves_nothing_out(
    newer: Table, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(Session, "table", lambda _: newer)
    answer = CliRunner().invoke(app, ["export", "--out", str(tmp_path / "ledger.ndjson")])
    assert (answer.exit_code, "newer version" in answer.stderr) == (1, True)


def test_entries_have_the_hash_that_they_had_and_no_number(table: Table) -> None:
    """The first form of an item has none, so what is written costs what it did."""
    send("consume/amount", body={"amount": 1}, key="chat-1")
    [account] = [item for item in items(table) if item["sk"]["S"] == "ACCOUNT"]
    others = [item for item in items(table) if item != account]
    assert account["format"] == {"N": "2"}
    assert all("format" not in item for item in others)
    [entry] = [item for item in others if item["sk"]["S"] == "ENTRY#user:chat-1"]
    assert entry_of({**entry, "format": {"N": "2"}}) == entry_of(entry)

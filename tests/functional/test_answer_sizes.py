"""Lists of the longest possible items: every answer fits, and the pages together miss nothing."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from functions.events.events import detail_of
from scrip.domain.catalog import LIMITS_MAX
from scrip.domain.entries import GENESIS_HASH, Actor, ActorType, Entry, EntryType, canonical_json
from scrip.domain.posting import AuditRecord
from scrip.domain.usage import DayUsage, FeatureUse
from scrip.http.models import METADATA_BYTES_MAX
from scrip.ledger import ledger
from scrip.store.client import Table
from scrip.store.inbox import InboxRecord, InboxStatus, mark, receive
from scrip.store.items import audit_item, entry_item, feature_item, plan_item, to_wire, usage_item
from scrip.store.keys import audit_key
from simulation.dynamodb import SimulatedDynamoDB
from tests.functional.conftest import USER, event, invoke
from tests.functional.deliveries import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from types_boto3_dynamodb import DynamoDBClient

    from scrip.store.items import Item
    from tests.functional.outside import Outside

LAMBDA_BYTES_MAX = 6 * 1024 * 1024
"""https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html"""

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
ALICE = Actor(ActorType.ADMIN, "alice")

LETTERS = {
    "ascii": "x",
    "two bytes": "é",
    "three": "€",
    "four": "🙂",
    "quotes": '"',
    "slashes": "\\",
}
"""Characters that metadata may contain; in an answer it is up to three and a half times as long."""


def full(letter: str) -> dict[str, str]:
    """Return metadata of the maximum length, filled with a letter."""
    frame, one = len(canonical_json({"note": ""})), len(canonical_json(letter)) - 2
    return {"note": letter * ((METADATA_BYTES_MAX - frame) // one)}


def entry(seq: int, letter: str) -> Entry:
    """Return a usage entry whose texts have the maximum length."""
    return Entry(
        entry_id=f"e{seq}",
        seq=seq,
        type=EntryType.USAGE,
        amount=-1,
        balance_after=1,
        actor=ALICE,
        recorded_at=NOON + timedelta(seconds=seq),
        effective_at=NOON,
        feature="chat",
        reason=letter * 500,
        reference=letter * 256,
        metadata=full(letter),
        previous_hash=GENESIS_HASH,
        hash=GENESIS_HASH,
    )


@pytest.fixture
def table(
    aws: Table,  # for the environment
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Table]:
    """A table that takes thousands of items quickly, with an account."""
    clock = Clock()
    clock.now = NOON
    table = Table(cast("DynamoDBClient", SimulatedDynamoDB(aws.name)), aws.name)
    monkeypatch.setattr("scrip.ledger.open_table", lambda *_: table)
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    ledger.cache_clear()
    plans, features = DEFAULT_CATALOG.plans.values(), DEFAULT_CATALOG.features.values()
    put(table, [*map(plan_item, plans), *map(feature_item, features)])
    assert invoke("account", event("account/me"))["statusCode"] == 200
    yield table
    ledger.cache_clear()


def put(table: Table, items: Sequence[Item]) -> None:
    for item in items:
        table.client.put_item(TableName=table.name, Item=to_wire(item))


def pages(name: str, of: str, **query: str) -> list[list[Any]]:
    """Return all pages of a list, each within Lambda's limit."""
    found: list[list[Any]] = []
    cursor: dict[str, str] = {}
    for _ in range(60):
        sent = event(name)
        sent["queryStringParameters"] = {**query, **cursor}
        answer = invoke(name.partition("/")[0], sent)
        assert answer["statusCode"] == 200, answer["body"]
        assert len(json.dumps(answer)) < LAMBDA_BYTES_MAX
        body = json.loads(answer["body"])
        found.append(body[of])
        if body["cursor"] is None:
            return found
        cursor = {"cursor": body["cursor"]}
    raise AssertionError("the pages never end")


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS.keys())
def test_entries_with_the_longest_metadata_fit(table: Table, letter: str) -> None:
    _list_entries(table, letter, {})


@pytest.mark.parametrize("window", [{"from": "2026-11-21", "to": "2026-11-22"}, {"type": "usage"}])
def test_entries_of_a_window_or_a_type_fit(table: Table, window: dict[str, str]) -> None:
    _list_entries(table, LETTERS["quotes"], window)


def _list_entries(table: Table, letter: str, window: dict[str, str]) -> None:
    entries = [entry(seq, letter) for seq in range(3, 1_003)]
    put(table, [entry_item(USER, one) for one in entries])
    found = pages("account/entries", "entries", limit="1000", **window)
    assert [one["seq"] for page in found for one in page if one["type"] == "usage"] == [
        one.seq for one in reversed(entries)
    ]
    assert len(found) < 10, "pages are no shorter than necessary"


@pytest.mark.parametrize("letter", LETTERS.values(), ids=LETTERS.keys())
def test_archived_entries_with_the_longest_metadata_fit(outside: Outside, letter: str) -> None:
    entries = [entry(seq, letter) for seq in range(1, 1_001)]
    lines = b"".join(
        canonical_json(detail_of(USER, one, "r1", ActorType.ADMIN)) + b"\n" for one in entries
    )
    outside.archive.client.put_object(
        Bucket=outside.archive.bucket,
        Key=f"entries/dt=2026-11-21/hour=12/{1:040}-{2:040}-0.ndjson.gz",
        Body=gzip.compress(lines),
    )
    window = {"from": "2026-11-21", "to": "2026-11-22"}
    found = pages("admin/entries", "entries", limit="500", **window)
    assert [one["seq"] for page in found for one in page] == [one.seq for one in entries]


def test_a_page_has_at_least_one_item_however_large(
    table: Table, outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(table, [entry_item(USER, entry(seq, "x")) for seq in range(3, 6)])
    monkeypatch.setattr("scrip.store.pages.PAGE_BYTES_MAX", 1)
    found = pages("account/entries", "entries", limit="1000")
    assert [[one["seq"] for one in page] for page in found] == [[5], [4], [3], [2], [1]]


def test_audit_records_with_the_longest_limits_fit_and_none_is_missed(table: Table) -> None:
    limits = {f"{n:03}{'🙂' * 125}": 10**12 for n in range(LIMITS_MAX)}
    record = AuditRecord(
        action="quota.change",
        actor=ALICE,
        reason="🙂" * 500,
        before={"plan_id": "free", "monthly_credits": 1, "limits": limits},
        after={"plan_id": "free", "monthly_credits": 2, "limits": limits},
        recorded_at=NOON,
    )
    ids = [f"{n:026}" for n in range(120)]
    put(table, [audit_item(audit_key(USER, audit_id), record) for audit_id in ids])
    found = pages("adjust/audit", "audit", limit="100")
    assert [one["audit_id"] for page in found for one in page] == ids[::-1]
    quota = invoke("adjust", event("adjust/quota"))
    assert len(json.dumps(quota)) < LAMBDA_BYTES_MAX
    assert [one["audit_id"] for one in json.loads(quota["body"])["audit"]] == ids[:-11:-1]


def test_messages_with_the_longest_reasons_fit(table: Table) -> None:
    ids = [f"stripe:evt_{n:03}" for n in range(100)]
    for n, inbox_id in enumerate(ids):
        at = NOON + timedelta(seconds=n)
        record = InboxRecord(
            inbox_id=inbox_id, type="x", payload=b"{}", sent_at=at, received_at=at, changed_at=at
        )
        receive(table, record)
        failed = replace(record, status=InboxStatus.FAILED, reason="é" * 100_000)
        mark(table, failed)
    found = pages("admin/webhooks", "webhooks", limit="100")
    assert [one["webhook_id"] for page in found for one in page] == ids[::-1]


def test_a_usage_report_too_large_for_an_answer_is_refused_with_a_remedy(
    table: Table,
) -> None:
    names = [f"{n:03}{'x' * 125}" for n in range(70)]
    uses = tuple(FeatureUse(feature=name, credits=1, count=1) for name in names)
    first = NOON.date() - timedelta(days=365)
    days = [first + timedelta(days=n) for n in range(366)]
    put(table, [usage_item(USER, day, DayUsage(counted=((1, 1),), uses=uses)) for day in days])
    year = {"from": first.isoformat(), "to": "2026-11-22"}
    answers = {}
    for group_by in ("day,feature", "day", "feature", "total"):
        sent = event("account/usage")
        sent["queryStringParameters"] = {**year, "group_by": group_by}
        answer = answers[group_by] = invoke("account", sent)
        assert len(json.dumps(answer)) < LAMBDA_BYTES_MAX
    refused = answers.pop("day,feature")
    assert (refused["statusCode"], json.loads(refused["body"])["code"]) == (422, "invalid")
    assert "fewer days" in refused["body"]
    assert {answer["statusCode"] for answer in answers.values()} == {200}

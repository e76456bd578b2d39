"""The ledger of all accounts by time, read from the archive's objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.conftest import USER, event, invoke, send

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.functional.outside import Outside

WINDOW = {"from": "2026-11-21", "to": "2026-11-22"}


def deliver(*parts: slice) -> None:
    records = event("events/day")["Records"]
    for part in parts:
        assert invoke("events", {"Records": records[part]}) == {"batchItemFailures": []}


def pages(**query: str) -> Iterator[list[dict[str, Any]]]:
    cursor: dict[str, str] = {}
    for _ in range(30):
        body = send("admin/entries", query={**WINDOW, **query, **cursor}).body
        yield body["entries"]
        if body["cursor"] is None:
            return
        cursor = {"cursor": body["cursor"]}
    raise AssertionError("the pages never end")


def found(**query: str) -> list[tuple[str, str]]:
    return [
        ("user" if entry["account_id"] == USER else "other", entry["entry_id"])
        for page in pages(**query)
        for entry in page
    ]


DAY = [
    ("user", "signup:grant"),
    ("user", "period:2026-11-21"),
    ("other", "signup:grant"),
    ("other", "period:2026-11-21"),
    ("user", "chat-1"),
    ("other", "image-1"),
    ("user", "job-1"),
    ("user", "refund-1"),
    ("user", "image-2"),
]


@pytest.mark.usefixtures("table")
def test_records_that_the_stream_repeats_are_listed_once_for_any_page_size(
    outside: Outside,
) -> None:
    deliver(slice(None))
    keys = outside.archived()
    deliver(slice(None))
    assert outside.archived() == keys, "the same batch writes the same objects"
    deliver(slice(9), slice(9, None), slice(6, 10), slice(7, 8))
    assert len(outside.archived()) > len(keys)
    for limit in ("1", "5"):
        assert found(limit=limit) == DAY, limit


@pytest.mark.usefixtures("table", "outside")
def test_entries_are_filtered_by_time_type_feature_and_account() -> None:
    deliver(slice(None))
    assert found(type="refund") == [("user", "refund-1")]
    assert found(feature="image-generation") == [("other", "image-1"), ("user", "image-2")]
    assert found(account_id=USER, type="usage") == [
        ("user", "chat-1"),
        ("user", "job-1"),
        ("user", "image-2"),
    ]
    at_chat = {"from": "2026-11-21T13:05:00Z", "to": "2026-11-21T13:06:30Z"}
    assert found(**at_chat) == [("user", "chat-1"), ("other", "image-1")]
    after = {"from": "2026-11-21T23:59:59.999Z", "to": "2026-11-22T00:00:02Z"}
    assert found(**after) == [("user", "image-2"), ("user", "chat-2")]
    assert found(**{"from": "2026-11-20", "to": "2026-11-21"}) == []


@pytest.mark.usefixtures("table", "outside")
def test_one_request_reads_a_bounded_number_of_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.admin.archive.OBJECTS_MAX", 1)
    deliver(slice(None))
    sizes = [len(page) for page in pages(type="usage")]
    assert (sum(sizes), len(sizes) > 3) == (4, True)


@pytest.mark.usefixtures("outside")
def test_the_time_window_is_required_and_at_most_a_day() -> None:
    for query, status in (
        ({"from": "2026-11-21", "to": "2026-11-22T00:00:00.001Z"}, 422),
        ({"from": "2026-11-21", "to": "2026-11-21"}, 422),
        ({"from": "2026-11-21"}, 422),
        ({"to": "2026-11-21"}, 422),
        ({**WINDOW, "limit": "501"}, 422),
        ({**WINDOW, "cursor": "e30"}, 400),
        ({**WINDOW, "cursor": "ü"}, 400),
        ({**WINDOW, "cursor": "####"}, 400),
        (WINDOW, 200),
    ):
        assert send("admin/entries", query=query).status == status, query


@pytest.mark.usefixtures("table", "outside")
def test_a_cursor_is_valid_only_for_its_own_filters() -> None:
    deliver(slice(None))
    cursor = send("admin/entries", query={**WINDOW, "limit": "1"}).body["cursor"]
    answer = send("admin/entries", query={**WINDOW, "cursor": cursor, "type": "usage"})
    assert (answer.status, answer.body["code"]) == (400, "invalid_cursor")


@pytest.mark.usefixtures("outside")
def test_only_admins_read_the_ledger_of_all_accounts() -> None:
    for claims in (
        {"sub": USER},
        {"sub": "client", "client_id": "client", "scope": "scrip/service"},
    ):
        sent = event("admin/entries")
        sent["requestContext"]["authorizer"]["jwt"]["claims"] = claims
        assert invoke("admin", sent)["statusCode"] == 403

"""Reading an account and its ledger over HTTP."""

import base64
from typing import Any

import pytest

from scrip.store.client import Table
from scrip.store.cursors import seal
from scrip.store.queries import EntryFilter
from tests.functional.conftest import USER, event, invoke, items, send
from tests.unit.domain.test_invariants import hash_chain


def test_an_account_shows_its_balance_and_the_grants_that_make_it_up(table: Table) -> None:
    body = send("account/me").body
    assert (body["balance"], body["available"], body["used"]) == (150, 150, 0)
    assert [(grant["kind"], grant["remaining"]) for grant in body["grants"]] == [
        ("plan", 100),
        ("signup", 50),
    ]


def test_a_user_cannot_learn_whether_another_account_exists(table: Table) -> None:
    unknown = send("account/other")
    sent = event("account/me")
    sent["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = event("account/other")[
        "pathParameters"
    ]["account_id"]
    assert invoke("account", sent)["statusCode"] == 200
    known = send("account/other")
    assert (known.status, known.body["code"]) == (403, "forbidden")
    assert known.body == unknown.body


def test_an_id_token_is_refused_and_opens_no_account(table: Table) -> None:
    sent = event("account/me")
    sent["requestContext"]["authorizer"]["jwt"]["claims"]["token_use"] = "id"
    assert invoke("account", sent)["statusCode"] == 403
    assert items(table) == []


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "client", "client_id": "client"},
        {"sub": "client", "client_id": "client", "scope": "other/scope"},
        {"sub": "client", "client_id": "client", "scope": "scrip/service"},
    ],
)
def test_a_machine_has_no_account_of_its_own(table: Table, claims: dict[str, str]) -> None:
    sent = event("account/me")
    sent["requestContext"]["authorizer"]["jwt"]["claims"] = claims
    assert invoke("account", sent)["statusCode"] == 403


def spend(times: int) -> None:
    for n in range(times):
        send("consume/feature", body={"feature": "chat"}, key=f"k{n}")


def pages(query: dict[str, str], name: str = "account/entries") -> list[list[dict[str, Any]]]:
    found, cursor = [], None
    for _ in range(20):
        body = send(name, query={**query, **({"cursor": cursor} if cursor else {})}).body
        found.append(body["entries"])
        cursor = body["cursor"]
        if cursor is None:
            return found
    raise AssertionError("the pages never end")


def test_the_pages_together_hold_the_whole_chain_newest_first(table: Table) -> None:
    spend(4)
    for limit in (1, 2, 5, 6, 7, 1000):
        found = pages({"limit": str(limit)}, "account/entries_by_service")
        entries = [entry for page in found for entry in page]
        assert [entry["seq"] for entry in entries] == [6, 5, 4, 3, 2, 1]
        hash_chain(entries[::-1])


def test_entries_are_filtered_by_type_feature_and_time(table: Table) -> None:
    spend(3)
    send("consume/amount")
    [used] = pages({"type": "usage"})
    assert [entry["seq"] for entry in used] == [6, 5, 4, 3]
    [chats] = pages({"feature": "chat"})
    assert [entry["seq"] for entry in chats] == [5, 4, 3]
    [since] = pages({"from": used[1]["recorded_at"]})
    assert [entry["seq"] for entry in since][:2] == [6, 5]
    [before] = pages({"to": "2020-01-01"})
    assert before == []


def test_a_page_with_a_filter_respects_its_limit(table: Table) -> None:
    spend(5)
    assert [len(page) for page in pages({"type": "usage", "limit": "2"})][:2] == [2, 2]


def test_a_forged_cursor_is_refused(table: Table) -> None:
    query = repr(EntryFilter(account_id=USER))
    forged = ("", "x", "####", "e30", "ü", base64.urlsafe_b64encode(b"123456783").decode())
    places: tuple[Any, ...] = (10**40, 1, -5, "5", [5])
    for cursor in (*forged, *(seal(query, place) for place in places)):
        answer = send("account/entries", query={"cursor": cursor})
        assert (answer.status, answer.body["code"]) == (400, "invalid_cursor"), cursor


def test_a_cursor_is_valid_only_for_its_own_filters(table: Table) -> None:
    spend(3)
    cursor = send("account/entries", query={"limit": "1"}).body["cursor"]
    answer = send("account/entries", query={"cursor": cursor, "type": "usage"})
    assert answer.body["code"] == "invalid_cursor"


@pytest.mark.parametrize(
    "query",
    [{"limit": "0"}, {"limit": "1001"}, {"type": "gift"}, {"from": "yesterday"}, {"to": "5"}],
)
def test_invalid_filters_are_refused(aws: Table, query: dict[str, str]) -> None:
    answer = send("account/entries", query=query)
    assert (answer.status, answer.body["code"]) == (422, "invalid")


def test_one_entry_shows_its_refunded_total(table: Table) -> None:
    send("consume/feature")
    body = send("account/entry").body
    assert (body["entry_id"], body["refunded"]) == ("user:chat-1", 0)


def test_an_unknown_entry_is_not_found(table: Table) -> None:
    answer = send("account/entry")
    assert (answer.status, answer.body["code"]) == (404, "entry_not_found")

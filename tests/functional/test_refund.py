"""Refunds over HTTP."""

from typing import Any

import pytest

from scrip.store.client import Table
from tests.functional.conftest import items, send


@pytest.fixture
def spent(table: Table) -> Table:
    send("consume/feature")
    return table


def test_a_consume_is_refunded_by_its_idempotency_key(spent: Table) -> None:
    answer = send("refund/whole")
    assert answer.status == 201
    entry = answer.body["entry"]
    assert (entry["type"], entry["amount"], entry["refunds"]) == ("refund", 5, "user:chat-1")
    assert answer.body["account"]["balance"] == 150


def test_a_refund_changes_only_the_refunded_total_of_its_entry(spent: Table) -> None:
    before = send("account/entry").body
    send("refund/part")
    after = send("account/entry").body
    assert (before.pop("refunded"), after.pop("refunded")) == (0, 2)
    assert before == after


def test_partial_refunds_add_up_to_the_amount_and_no_more(spent: Table) -> None:
    send("refund/part")
    too_much = send(
        "refund/part", body={"entry_id": "user:chat-1", "amount": 4, "reason": "x"}, key="b"
    )
    assert (too_much.status, too_much.body["code"]) == (409, "refund_too_large")
    assert too_much.body["refundable"] == 3
    rest = send("refund/whole")
    assert rest.body["entry"]["amount"] == 3
    none_left = send("refund/whole", key="again")
    assert (none_left.status, none_left.body["code"]) == (409, "already_refunded")
    assert (none_left.body["taken"], none_left.body["refunded"]) == (5, 5)


def test_a_repeated_refund_is_replayed(spent: Table) -> None:
    first, again = send("refund/whole"), send("refund/whole")
    assert (again.status, again.body) == (201, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_user_cannot_refund(spent: Table) -> None:
    before = items(spent)
    answer = send("refund/by_user")
    assert (answer.status, answer.body["code"]) == (403, "forbidden")
    assert items(spent) == before


BAD_BODIES: list[tuple[dict[str, Any], int, str]] = [
    ({"entry_id": "nothing", "reason": "x"}, 404, "entry_not_found"),
    ({"entry_id": "signup:grant", "reason": "x"}, 422, "not_refundable"),
    ({"entry_id": "user:chat-1"}, 422, "invalid"),
    ({"entry_id": "user:chat-1", "reason": ""}, 422, "invalid"),
    ({"entry_id": "user:chat-1", "reason": "x", "amount": 0}, 422, "invalid"),
    ({"entry_id": "user:chat-1", "reason": "x", "amount": 6}, 409, "refund_too_large"),
]


def test_invalid_refunds_are_refused_and_change_nothing(
    spent: Table, subtests: pytest.Subtests
) -> None:
    before = items(spent)
    for body, status, code in BAD_BODIES:
        with subtests.test(body=body):
            answer = send("refund/whole", body=body)
            assert (answer.status, answer.body["code"]) == (status, code)
            assert items(spent) == before


def test_a_refund_to_an_unknown_account_is_not_found(table: Table) -> None:
    assert send("refund/whole").body["code"] == "account_not_found"

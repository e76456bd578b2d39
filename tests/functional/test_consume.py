"""Spending over HTTP: answers, replays, and errors for invalid input."""

import base64
import json
from typing import Any

import pytest

from scrip.store.client import Table
from tests.functional.conftest import USER, event, invoke, items, send
from tests.functional.faults import CONFLICT, counted, instead_of

FEATURE, AMOUNT, QUOTE = "consume/feature", "consume/amount", "consume/quote"


def test_the_first_call_of_a_signed_in_user_opens_their_account(table: Table) -> None:
    answer = send(FEATURE)
    assert answer.status == 200
    assert answer.body["account"] == {
        "account_id": USER,
        "balance": 145,
        "available": 145,
        "held": 0,
        "debt": 0,
        "unlimited": False,
    }
    entry = answer.body["entry"]
    assert (entry["entry_id"], entry["type"], entry["amount"]) == ("user:chat-1", "usage", -5)
    assert entry["actor"] == {"type": "user"}


def test_callers_of_a_crowded_account_are_refused_early_with_a_retry_after(
    table: Table,
) -> None:
    send(FEATURE)
    before = items(table)
    with instead_of(table, "TransactWriteItems", CONFLICT, times=1_000):
        answers = [send(AMOUNT) for _ in range(12)]
        with counted(table) as calls:
            answers += [send(AMOUNT) for _ in range(12)]
    assert {(answer.status, answer.body["code"]) for answer in answers} == {(503, "busy")}
    assert {answer.headers["Retry-After"] for answer in answers} <= {"1", "2", "3"}
    assert len(calls) < 24, "most were refused before any call to DynamoDB"
    assert items(table) == before


def test_a_service_opens_no_account(table: Table) -> None:
    answer = send("consume/by_service")
    assert (answer.status, answer.body["code"]) == (404, "account_not_found")


def test_a_service_spends_from_any_account(table: Table) -> None:
    send(FEATURE)
    answer = send("consume/by_service")
    assert (answer.status, answer.body["entry"]["amount"]) == (200, -50)
    assert answer.body["entry"]["actor"]["type"] == "service"


def test_a_use_by_amount_keeps_its_reference_and_metadata(table: Table) -> None:
    entry = send(AMOUNT).body["entry"]
    assert (entry["cost"], entry["feature"]) == (12, None)
    assert (entry["reference"], entry["metadata"]) == ("job-77", {"model": "large"})


def test_the_same_request_again_gets_the_first_answer(table: Table) -> None:
    first = send(FEATURE)
    send(AMOUNT)
    again = send(FEATURE)
    assert again.body == first.body
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    assert send("account/me").body["balance"] == 133


def test_a_request_without_a_quantity_equals_one_with_a_quantity_of_one(table: Table) -> None:
    first = send(FEATURE)
    assert send(FEATURE, body={"feature": "chat", "quantity": 1}).body == first.body


def test_a_retry_of_the_use_that_emptied_the_account_is_not_refused(table: Table) -> None:
    first = send(AMOUNT, body={"amount": 150})
    assert first.status == 200
    again = send(AMOUNT, body={"amount": 150})
    assert (again.status, again.body) == (200, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"


def test_a_key_cannot_be_reused_for_another_request(table: Table) -> None:
    send(FEATURE)
    answer = send(FEATURE, body={"feature": "chat", "quantity": 2})
    assert (answer.status, answer.body["code"]) == (422, "idempotency_key_reused")


def test_a_refused_command_writes_nothing_and_may_be_retried_with_its_key(table: Table) -> None:
    send("account/me")
    before = items(table)
    answer = send("consume/too_much")
    assert answer.status == 402
    assert {name: answer.body[name] for name in ("required", "available", "shortfall", "unit")} == {
        "required": 1_000_000,
        "available": 150,
        "shortfall": 999_850,
        "unit": "credits",
    }
    assert answer.body["next_reset_at"] == send("account/me").body["period"]["end"]
    assert items(table) == before
    send("adjust/add", body={"action": "add", "amount": 1_000_000, "reason": "enough"})
    assert send("consume/too_much").status == 200


def test_a_quote_changes_nothing(table: Table) -> None:
    send("account/me")
    before = items(table)
    answer = send(QUOTE)
    assert answer.status == 200
    assert answer.body == {
        "cost": 30,
        "feature_version": 1,
        "available": 150,
        "shortfall": 0,
        "unlimited": False,
        "allowed": True,
    }
    assert items(table) == before


def test_a_frozen_account_is_refused(table: Table) -> None:
    send("account/me")
    send("adjust/freeze")
    answer = send(FEATURE)
    assert (answer.status, answer.body["code"]) == (403, "account_frozen")
    send("adjust/unfreeze")
    assert send(FEATURE).status == 200


BAD_BODIES: list[tuple[Any, int, str]] = [
    ({"amount": 0}, 422, "invalid"),
    ({"amount": -5}, 422, "invalid"),
    ({"amount": 10**12 + 1}, 422, "invalid"),
    ({"amount": 1.5}, 422, "invalid"),
    ({"amount": 5.0}, 422, "invalid"),
    ({"amount": "5"}, 422, "invalid"),
    ({"amount": True}, 422, "invalid"),
    ({"feature": "nothing"}, 422, "unknown_feature"),
    ({"feature": "chat", "amount": 5}, 422, "invalid"),
    ({}, 422, "invalid"),
    ({"quantity": 5}, 422, "invalid"),
    ({"amount": 5, "quantity": 5}, 422, "invalid"),
    ({"feature": "chat", "quantity": 0}, 422, "invalid"),
    ({"feature": "chat", "quantity": 10**12}, 422, "cost_out_of_range"),
    ({"feature": ""}, 422, "invalid"),
    ({"feature": ["chat"]}, 422, "invalid"),
    ({"amount": 5, "amuont": 6}, 422, "invalid"),
    ({"amount": 5, "metadata": {"text": "x" * 4096}}, 422, "invalid"),
    ({"amount": 5, "reference": "\ud800"}, 422, "invalid"),
    ({"amount": 5, "metadata": [1]}, 422, "invalid"),
    ({"amount": 5, "metadata": {"a": json.loads("[" * 16 + "]" * 16)}}, 422, "invalid"),
    ("5", 422, "invalid"),
    ("", 422, "invalid"),
    ("{", 400, "malformed"),
    ('{"amount": NaN}', 400, "malformed"),
    ('{"amount": 5, "metadata": {"n": 1e400}}', 422, "invalid"),
]


def test_invalid_input_gets_a_problem_and_changes_nothing(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    send("account/me")
    before = items(table)
    for body, status, code in BAD_BODIES:
        with subtests.test(body=str(body)[:60]):
            answer = send(AMOUNT, body=body)
            assert (answer.status, answer.body["code"]) == (status, code), answer.body
            assert answer.headers["Content-Type"] == "application/problem+json"
            assert items(table) == before


def test_metadata_of_the_maximum_depth_is_stored_unchanged(table: Table) -> None:
    metadata = {"a": json.loads("[" * 15 + "]" * 15)}
    assert send(AMOUNT, body={"amount": 5, "metadata": metadata}).status == 200
    assert send("account/entries").body["entries"][0]["metadata"] == metadata


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        ("text/plain", '{"amount": 5}'),
        ("application/xml", '{"amount": 5}'),
        ("application/jsonx", '{"amount": 5}'),
        ("application/x-www-form-urlencoded", "feature=chat"),
        ("multipart/form-data", '{"amount": 5}'),
        (
            "multipart/form-data; boundary=x",
            '--x\r\nContent-Disposition: form-data; name="feature"\r\n\r\nchat\r\n--x--\r\n',
        ),
    ],
)
def test_a_body_that_is_not_json_is_an_unsupported_media_type(
    aws: Table, media_type: str, body: str
) -> None:
    sent = event(FEATURE)
    sent["headers"]["content-type"] = media_type
    sent["body"] = base64.b64encode(body.encode()).decode()
    sent["isBase64Encoded"] = True
    answer = invoke("consume", sent)
    assert answer["statusCode"] == 415
    assert json.loads(answer["body"])["code"] == "unsupported_media_type"


@pytest.mark.parametrize("key", ["a b", "a#b", "ü", "x" * 129, ""])
def test_a_key_with_other_characters_or_too_many_is_refused(aws: Table, key: str) -> None:
    answer = send(FEATURE, key=key)
    assert (answer.status, answer.body["code"]) == (422, "invalid")

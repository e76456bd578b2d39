"""Holds and batches over HTTP: answers, replays, refusals, and the end of a hold."""

import json
from datetime import timedelta

import pytest

from scrip.ledger import ledger, utc_now
from scrip.store.client import Table
from tests.functional.conftest import Answer, event, invoke, items, send

BATCH, HOLD, HOLDS = "consume/batch", "consume/hold", "consume/holds"
CAPTURE, EXTEND, RELEASE = "consume/capture", "consume/extend", "consume/release"


def is_replay(answer: Answer) -> bool:
    """Return whether an answer is a replay of an earlier one."""
    return answer.headers.get("Idempotency-Replayed") == "true"


def test_a_hold_is_opened_listed_and_gone_after_its_capture(table: Table) -> None:
    opened = send(HOLD)
    assert opened.status == 201
    account = opened.body["account"]
    assert (account["balance"], account["held"], account["available"]) == (150, 60, 90)
    assert (opened.body["entry"]["type"], opened.body["entry"]["amount"]) == ("hold", 0)
    [listed] = send(HOLDS).body["holds"]
    assert listed == opened.body["hold"]
    assert (listed["hold_id"], listed["amount"], listed["left"]) == ("user:hold-1", 60, 60)
    captured = send(CAPTURE)
    assert (captured.status, captured.body["entry"]["amount"]) == (200, -25)
    assert (captured.body["entry"]["hold_id"], captured.body["entry"]["quantity"]) == (
        "user:hold-1",
        5,
    )
    assert captured.body["account"] == {**account, "balance": 125, "held": 0, "available": 125}
    assert send(HOLDS).body == {"holds": []}
    assert send("account/me").body["consumed_total"] == 25


def test_every_command_is_replayed_under_its_key(table: Table) -> None:
    first = [send(name) for name in (HOLD, CAPTURE, BATCH)]
    again = [send(name) for name in (HOLD, CAPTURE, BATCH)]
    assert [answer.body for answer in again] == [answer.body for answer in first]
    assert [answer.status for answer in again] == [answer.status for answer in first]
    assert all(map(is_replay, again))
    assert not any(map(is_replay, first))


def test_the_capture_that_ended_a_hold_is_replayed_under_another_key_but_nothing_else(
    table: Table,
) -> None:
    send(HOLD)
    captured = send(CAPTURE)
    again = send(CAPTURE, key="capture-2")
    assert (again.status, again.body, is_replay(again)) == (200, captured.body, True)
    before = items(table)
    for name, body in (
        (RELEASE, None),
        (EXTEND, None),
        (CAPTURE, {"quantity": 6}),
        (CAPTURE, {"quantity": 5, "final": False}),
    ):
        refused = send(name, body=body, key="other-1")
        assert (refused.status, refused.body["code"]) == (409, "hold_ended")
        assert refused.body["ended_by"] == "user:capture-1"
    assert items(table) == before


def test_a_released_hold_frees_all_credits_and_cannot_be_captured(table: Table) -> None:
    send(HOLD)
    released = send(RELEASE)
    assert (released.status, released.body["account"]["available"]) == (200, 150)
    assert send(RELEASE, key="release-2").body == released.body
    refused = send(CAPTURE)
    assert (refused.status, refused.body["ended_by"]) == (409, "user:release-1")


def test_an_expired_hold_is_not_listed_and_cannot_be_captured_or_released(
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    send(HOLD)
    later = utc_now() + timedelta(seconds=601)
    monkeypatch.setattr(ledger(), "clock", lambda: later)
    account = send("account/me").body
    assert (account["held"], account["available"]) == (0, 150)
    assert send(HOLDS).body == {"holds": []}
    refused = send(CAPTURE)
    assert (refused.status, refused.body["code"]) == (409, "hold_ended")
    assert refused.body["ended_by"] is None
    assert send("consume/amount", body={"amount": 150}).status == 200
    assert send(RELEASE).body["code"] == "hold_ended"


def test_an_unknown_hold_is_not_found(table: Table) -> None:
    send("account/me")
    send("consume/amount", key="hold-1")
    for name in (CAPTURE, EXTEND, RELEASE):
        answer = send(name)
        assert (answer.status, answer.body["code"]) == (404, "hold_not_found")


def test_a_capture_may_be_partial_and_exceed_the_hold_only_on_request(table: Table) -> None:
    send(HOLD)
    part = send(CAPTURE, body={"amount": 10, "final": False})
    assert (part.body["account"]["held"], part.body["account"]["balance"]) == (50, 140)
    refused = send(CAPTURE, body={"amount": 51}, key="capture-2")
    assert (refused.status, refused.body["code"], refused.body["left"]) == (
        409,
        "hold_exceeded",
        50,
    )
    above = send(CAPTURE, body={"amount": 60, "excess": "available"}, key="capture-2")
    assert (above.body["account"]["held"], above.body["account"]["balance"]) == (0, 80)
    refunded = send("refund/whole", body={"entry_id": "user:capture-2", "reason": "failed"})
    assert (refunded.status, refunded.body["account"]["balance"]) == (201, 140)


LINES = {"lines": [{"feature": "chat", "quantity": 4}, {"amount": 10}], "reference": "run-1"}
USED = {"lines": [{"feature": "chat", "quantity": 3}, {"amount": 2}], "reference": "run-1"}


def test_a_hold_and_its_capture_may_have_several_uses_with_an_entry_each(table: Table) -> None:
    opened = send(HOLD, body=LINES)
    assert opened.status == 201
    assert (opened.body["hold"]["amount"], opened.body["hold"]["features"]) == (30, ["chat"])
    assert [entry["entry_id"] for entry in opened.body["entries"]] == [
        "user:hold-1",
        "user:hold-1~2",
    ]
    assert send(HOLDS).body["holds"] == [opened.body["hold"]]
    captured = send(CAPTURE, body=USED)
    entries = captured.body["entries"]
    assert [(entry["feature"], entry["amount"]) for entry in entries] == [("chat", -15), (None, -2)]
    assert {entry["reference"] for entry in entries} == {"run-1"}
    assert captured.body["account"]["available"] == 133
    for name, body, first in ((HOLD, LINES, opened), (CAPTURE, USED, captured)):
        again = send(name, body=body)
        assert (again.status, again.body, is_replay(again)) == (first.status, first.body, True)
    again = send(CAPTURE, body=USED, key="capture-2")
    assert (again.body, is_replay(again)) == (captured.body, True)


def test_a_batch_is_one_posting_with_an_entry_for_each_use(table: Table) -> None:
    answer = send(BATCH)
    assert answer.status == 200
    entries = answer.body["entries"]
    assert [(entry["entry_id"], entry["amount"]) for entry in entries] == [
        ("user:batch-1", -10),
        ("user:batch-1~2", -7),
    ]
    assert [entry["reference"] for entry in entries] == [None, "job-78"]
    assert answer.body["account"]["balance"] == 133
    body = {"entry_id": "user:batch-1~2", "reason": "failed"}
    assert send("refund/whole", body=body).body["account"]["balance"] == 140


def test_each_entry_of_a_batch_can_be_read_alone(table: Table) -> None:
    answer = send(BATCH)
    sent = event("account/entry")
    sent["rawPath"] = sent["requestContext"]["http"]["path"] = (
        "/v1/accounts/me/entries/user:batch-1~2"
    )
    one = invoke("account", sent)
    assert one["statusCode"] == 200
    assert json.loads(one["body"]) == {**answer.body["entries"][1], "refunded": 0}


def test_a_batch_takes_effect_whole_or_not_at_all(table: Table) -> None:
    send("account/me")
    before = items(table)
    refused = send(BATCH, body={"uses": [{"amount": 100}, {"amount": 51}]})
    assert (refused.status, refused.body["required"], refused.body["shortfall"]) == (402, 151, 1)
    unknown = send(BATCH, body={"uses": [{"amount": 1}, {"feature": "nothing"}]})
    assert (unknown.status, unknown.body["code"]) == (422, "unknown_feature")
    for uses in ([], [{"amount": 1}] * 26, [{"amount": 1, "feature": "chat"}], [{"amount": 0}]):
        assert send(BATCH, body={"uses": uses}).status == 422
    assert items(table) == before


def test_a_key_of_a_batch_belongs_to_no_other_request(table: Table) -> None:
    send(BATCH)
    for name in ("consume/feature", HOLD):
        answer = send(name, key="batch-1")
        assert (answer.status, answer.body["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize(
    ("name", "body"),
    [
        (HOLD, {"amount": 1, "expires_in": 0}),
        (HOLD, {"amount": 1, "expires_in": 86_401}),
        (HOLD, {"amount": 1, "expires_in": "60"}),
        (HOLD, {"amount": 1, "feature": "chat"}),
        (HOLD, {"lines": []}),
        (HOLD, {"lines": [{"amount": 1}] * 26}),
        (HOLD, {"lines": [{"amount": 1}], "amount": 1}),
        (HOLD, {"lines": [{"amount": 1}], "feature": "chat"}),
        (HOLD, {"lines": [{"amount": 1, "feature": "chat"}]}),
        (HOLD, {"lines": [{"quantity": 1}]}),
        (HOLD, {"lines": [{"amount": 1, "reason": "mine"}]}),
        (CAPTURE, {"lines": []}),
        (CAPTURE, {"lines": [{"quantity": 1}]}),
        (CAPTURE, {"lines": [{"amount": 1}], "quantity": 1}),
        (CAPTURE, {"amount": 1, "quantity": 1}),
        (CAPTURE, {"amount": 0}),
        (CAPTURE, {"amount": 1, "excess": "yes"}),
        (CAPTURE, {"amount": 1, "final": "yes"}),
        (EXTEND, {"expires_in": -1}),
        (RELEASE, {"amount": 1}),
    ],
)
def test_invalid_input_is_refused_and_changes_nothing(
    table: Table, name: str, body: dict[str, object]
) -> None:
    send(HOLD)
    before = items(table)
    answer = send(name, body=body, key="bad-1")
    assert (answer.status, answer.body["code"]) == (422, "invalid")
    assert items(table) == before

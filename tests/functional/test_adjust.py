"""Adjustments and freezing over HTTP."""

from typing import Any

import pytest

from scrip.store.client import Table
from tests.functional.conftest import event, invoke, items, send


@pytest.fixture
def opened(table: Table) -> Table:
    send("account/me")
    return table


def audit_records(table: Table) -> list[dict[str, object]]:
    return [item for item in items(table) if item["sk"]["S"].startswith("AUDIT#")]


def test_credits_are_added_deducted_and_set(opened: Table) -> None:
    added = send("adjust/add")
    assert (added.status, added.body["entry"]["type"]) == (201, "promo")
    assert added.body["account"]["balance"] == 175
    assert send("adjust/deduct").body["account"]["balance"] == 165
    assert send("adjust/set").body["account"]["balance"] == 500


def test_every_change_writes_one_audit_record_with_both_values(opened: Table) -> None:
    send("adjust/add")
    send("adjust/add")
    [record] = audit_records(opened)
    assert record["before"] == {"M": {"balance": {"N": "150"}}}
    assert record["after"] == {"M": {"balance": {"N": "175"}}}
    assert record["reason"] == {"S": "sorry for the outage"}
    send("adjust/freeze", key="f1")
    send("adjust/freeze", key="f1")
    assert len(audit_records(opened)) == 2


def test_deducting_below_zero_is_refused(opened: Table) -> None:
    before = items(opened)
    answer = send("adjust/deduct", body={"action": "deduct", "amount": 151, "reason": "x"})
    assert (answer.status, answer.body["code"]) == (409, "insufficient_credits")
    assert items(opened) == before


def test_the_account_shows_whether_it_is_frozen(opened: Table) -> None:
    assert send("adjust/freeze").body["entry"]["type"] == "freeze"
    assert send("account/me").body["status"] == "frozen"
    assert send("adjust/unfreeze").body["entry"]["type"] == "unfreeze"
    assert send("account/me").body["status"] == "active"


def test_a_reason_has_up_to_500_characters(opened: Table) -> None:
    body = {"action": "add", "amount": 5, "reason": "é" * 500}
    assert send("adjust/add", body=body).body["entry"]["reason"] == body["reason"]
    assert send("adjust/quota").body["audit"][0]["reason"] == body["reason"]
    assert send("adjust/add", body={**body, "reason": "é" * 501}).status == 422


@pytest.mark.parametrize("body", ["", "{}", "null", '{"reason": "fraud"}'])
def test_a_reason_for_a_freeze_is_optional(opened: Table, body: str) -> None:
    answer = send("adjust/freeze", body=body)
    assert answer.status == 200, answer.body
    assert send("adjust/freeze", body='{"raeson": "fraud"}').status == 422


def test_a_late_retry_of_a_freeze_does_not_freeze_again(opened: Table) -> None:
    first = send("adjust/freeze", key="f1")
    send("adjust/unfreeze", key="u1")
    again = send("adjust/freeze", key="f1")
    assert (again.body, again.headers["Idempotency-Replayed"]) == (first.body, "true")
    assert send("account/me").body["status"] == "active"


def test_an_admins_first_call_for_me_opens_an_account(table: Table) -> None:
    sent = event("adjust/add")
    sent["rawPath"] = sent["requestContext"]["http"]["path"] = "/v1/accounts/me/adjustments"
    assert invoke("adjust", sent)["statusCode"] == 201


BAD_BODIES: list[dict[str, Any]] = [
    {"action": "add", "amount": 5},
    {"action": "give", "amount": 5, "reason": "x"},
    {"action": "add", "amount": 0, "reason": "x"},
    {"action": "add", "amount": 5, "reason": "x", "kind": "purchase"},
    {"action": "deduct", "amount": 5, "reason": "x", "kind": "promo"},
    {"action": "add", "amount": 5, "reason": "x", "expires_at": "2001-01-01T00:00:00Z"},
    {"action": "add", "amount": 5, "reason": "x", "expires_at": "2099-01-01T00:00:00"},
    {"action": "add", "amount": 5, "reason": "x", "expires_at": "2099-01-01t00:00:00"},
    {"action": "add", "amount": 5, "reason": "x", "expires_at": 4_000_000_000},
    {"action": "add", "amount": 5, "reason": "x", "expires_at": "9999-12-31T23:59:59-10:00"},
]


def test_invalid_adjustments_are_refused_and_change_nothing(
    opened: Table, subtests: pytest.Subtests
) -> None:
    before = items(opened)
    for body in BAD_BODIES:
        with subtests.test(body=body):
            assert send("adjust/add", body=body).status == 422
            assert items(opened) == before


@pytest.mark.parametrize("claims", [{"cognito:groups": "[not-admin other]"}, {"scope": "scrip"}])
def test_only_admins_adjust(aws: Table, claims: dict[str, str]) -> None:
    sent = event("adjust/add")
    sent["requestContext"]["authorizer"]["jwt"]["claims"] = {"sub": "user-1", **claims}
    assert invoke("adjust", sent)["statusCode"] == 403


def test_a_quota_shows_its_current_and_next_values_and_its_audit_records(opened: Table) -> None:
    changed = send("adjust/change_quota", body={"plan_id": "pro", "limits": {"storage_bytes": 5}})
    assert (changed.status, changed.body["monthly_credits"]) == (200, 2_000)
    assert changed.body["limits"] == {"storage_bytes": 5}
    assert send("adjust/change_quota", body={"plan_id": "free"}).body["next"]["plan_id"] == "free"
    send("consume/feature")
    quota = send("adjust/quota").body
    assert (quota["plan_id"], quota["used"], quota["next"]["monthly_credits"]) == ("pro", 5, 100)
    assert [record["action"] for record in quota["audit"]] == ["quota.change", "quota.change"]
    assert quota["audit"][1]["before"]["plan_id"] == "free"
    assert quota["audit"][1]["after"]["plan_id"] == "pro"
    assert send("account/me").body["balance"] == 50 + 2_000 - 5


def test_a_quota_shows_the_last_ten_audit_records_and_the_list_has_all(opened: Table) -> None:
    for number in range(12):
        send("adjust/change_quota", body={"limits": {"storage_bytes": number}})
    shown = send("adjust/quota").body["audit"]
    assert [record["after"]["limits"]["storage_bytes"] for record in shown] == [*range(11, 1, -1)]
    pages: list[list[int]] = []
    cursor: dict[str, str] = {}
    for _ in range(4):
        page = send("adjust/audit", query={"limit": "5", **cursor}).body
        pages.append([record["after"]["limits"]["storage_bytes"] for record in page["audit"]])
        if page["cursor"] is None:
            break
        cursor = {"cursor": page["cursor"]}
    assert pages == [[11, 10, 9, 8, 7], [6, 5, 4, 3, 2], [1, 0]]


def test_a_reset_takes_effect_once_per_key(opened: Table) -> None:
    send("consume/amount", body={"amount": 60})
    first = send("adjust/reset", key="reset-1")
    assert (first.status, first.body["entry"]["amount"]) == (200, 60)
    send("consume/amount", body={"amount": 60}, key="after")
    assert send("adjust/reset", key="reset-1").body == first.body
    assert send("account/me").body["used"] == 60


def test_a_closed_account_is_kept_cannot_spend_and_never_opens_again(opened: Table) -> None:
    first = send("consume/feature")
    closed = send("adjust/close")
    assert closed.body["status"] == "closed"
    assert send("adjust/close").body == closed.body
    assert (send("consume/feature", key="new").body["code"]) == "account_closed"
    assert send("consume/feature").body == first.body  # a replay still gets its answer
    account = send("account/me").body
    assert (account["status"], account["balance"], account["grants"]) == ("closed", 0, [])
    [last] = send("account/entries", query={"limit": "1"}).body["entries"]
    assert (last["type"], last["amount"], last["reason"]) == (
        "admin_deduct",
        -145,
        "asked to be forgotten",
    )
    invoke("signup", event("signup/confirmed"))
    assert send("account/me").body["status"] == "closed"
    assert not any(item["pk"]["S"].startswith("ALIAS#") for item in items(opened))


def test_invalid_quotas_are_refused_and_change_nothing(
    opened: Table, subtests: pytest.Subtests
) -> None:
    before = items(opened)
    for body, code in (
        ({}, "invalid"),
        ({"plan_id": "gold"}, "unknown_plan"),
        ({"plan_id": 5}, "invalid"),
        ({"monthly_credits": -1}, "invalid"),
        ({"monthly_credits": 1.5}, "invalid"),
        ({"monthly_credits": True}, "invalid"),
        ({"monthly_credits": 10**12 + 1}, "invalid"),
        ({"limits": {"storage_bytes": "many"}}, "invalid"),
        ({"limits": {"": 1}}, "invalid"),
        ({"plan": "pro"}, "invalid"),
    ):
        with subtests.test(body=body):
            answer = send("adjust/change_quota", body=body)
            assert (answer.status, answer.body["code"]) == (422, code)
    assert items(opened) == before

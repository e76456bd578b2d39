"""Requests that are refused: each gets its error and leaves the table unchanged."""

import base64
import json
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from scrip_cli.local import demo
from scrip_cli.local.stack import LocalStack
from tests.integration.conftest import Api, items_of


def test_a_request_without_a_token_is_refused(caller: Callable[..., Api]) -> None:
    assert caller(None).get("/me").status_code == 401


@pytest.mark.parametrize("part", [0, 1, 2])
def test_a_tampered_token_is_refused(
    stack: LocalStack,
    caller: Callable[..., Api],
    part: int,
) -> None:
    parts = demo.details(stack).user_token.split(".")
    middle = len(parts[part]) // 2
    replaced = "A" if parts[part][middle] != "A" else "B"
    parts[part] = parts[part][:middle] + replaced + parts[part][middle + 1 :]
    assert caller(".".join(parts)).get("/me").status_code == 401


def test_a_token_without_a_signature_is_refused(
    stack: LocalStack,
    caller: Callable[..., Api],
) -> None:
    _, claims, _ = demo.details(stack).user_token.split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none"}).encode()).decode().rstrip("=")
    assert caller(f"{header}.{claims}.").get("/me").status_code == 401


def test_a_user_can_neither_read_another_account_nor_learn_whether_it_exists(
    user: Api,
    stack: LocalStack,
) -> None:
    other = demo.details(stack).accounts["user"]
    known, unknown = user.get(f"/{other}"), user.get("/nobody-at-all")
    assert known.status_code == unknown.status_code == 403
    assert {**known.json(), "instance": ""} == {**unknown.json(), "instance": ""}


def test_a_service_gets_404_for_an_unknown_account(service: Api, user: Api) -> None:
    assert service.get(f"/{user.account_id}").status_code == 200
    unknown = service.get("/nobody-at-all")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "account_not_found")


def test_a_service_has_no_account_of_its_own(service: Api) -> None:
    assert service.get("/me").status_code == 403


def test_an_admin_by_group_also_has_an_account(admin: Api, stack: LocalStack) -> None:
    assert admin.get("/me").json()["account_id"] == demo.details(stack).accounts["admin"]


def test_an_admin_has_admin_rights_in_the_console_but_not_in_the_app(
    stack: LocalStack,
    caller: Callable[..., Api],
    user: Api,
) -> None:
    in_console = caller(demo.console_token(stack, demo.ADMIN_EMAIL))
    in_app = caller(demo.user_token(stack, demo.ADMIN_EMAIL))
    assert in_app.get("/me").json()["account_id"] == in_console.get("/me").json()["account_id"]
    paths = (f"/v1/accounts/{user.account_id}", "/v1/admin/accounts")
    for path in paths:
        assert in_console.http.get(path, headers=in_console.headers()).status_code == 200
        assert in_app.http.get(path, headers=in_app.headers()).status_code == 403


def test_only_the_admin_group_makes_a_user_of_the_console_an_admin(
    stack: LocalStack,
    caller: Callable[..., Api],
) -> None:
    email, pool = f"{uuid4()}@example.com", demo.details(stack).user_pool_id
    account_id = demo.sign_up(stack, email)
    cognito = stack.client("cognito-idp")
    for group in ("[admin]", "admin,support"):
        cognito.create_group(UserPoolId=pool, GroupName=group)
        cognito.admin_add_user_to_group(UserPoolId=pool, Username=email, GroupName=group)
    member = caller(demo.console_token(stack, email), account_id)
    assert member.get("/me").status_code == 200
    answer = member.http.get("/v1/admin/accounts", headers=member.headers())
    assert answer.status_code == 403
    cognito.delete_group(UserPoolId=pool, GroupName="[admin]")
    cognito.delete_group(UserPoolId=pool, GroupName="admin,support")


def test_a_user_whose_sign_up_trigger_never_ran_gets_an_account_on_the_first_call(
    stack: LocalStack,
    caller: Callable[..., Api],
) -> None:
    cognito, deployed = stack.client("cognito-idp"), demo.details(stack)
    user = {"UserPoolId": deployed.user_pool_id, "Username": "older-than-scrip@example.com"}
    cognito.admin_create_user(**user)
    cognito.admin_set_user_password(**user, Password=demo.PASSWORD, Permanent=True)
    older = caller(demo.user_token(stack, user["Username"]))
    assert older.post("/me/consume", {"feature": "chat"}).json()["account"]["balance"] == 10_095


@pytest.mark.parametrize(
    ("body", "key", "status", "code"),
    [
        ({"amount": 0}, None, 422, "invalid"),
        ({"amount": -1}, None, 422, "invalid"),
        ({"amount": 10**12 + 1}, None, 422, "invalid"),
        ({"amount": 1.5}, None, 422, "invalid"),
        ({"amount": "5"}, None, 422, "invalid"),
        ({"amount": True}, None, 422, "invalid"),
        ({"feature": "unknown"}, None, 422, "unknown_feature"),
        ({"feature": "chat", "amount": 5}, None, 422, "invalid"),
        ({}, None, 422, "invalid"),
        ({"amount": 5, "metadata": {"text": "x" * 4096}}, None, 422, "invalid"),
        ({"amount": 5}, "a key", 422, "invalid"),
        ({"amount": 10**12}, None, 402, "insufficient_credits"),
        ("{", None, 400, "malformed"),
    ],
)
def test_bad_input_gets_an_error_and_changes_nothing(
    stack: LocalStack,
    user: Api,
    body: Any,
    key: str | None,
    status: int,
    code: str,
) -> None:
    before = items_of(stack, user.account_id)
    answer = user.post("/me/consume", body, key=key)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert items_of(stack, user.account_id) == before


def test_a_forbidden_or_impossible_request_changes_nothing(
    stack: LocalStack,
    user: Api,
    service: Api,
    admin: Api,
) -> None:
    assert user.post("/me/consume", {"amount": 5}, key="spent").status_code == 200
    before = items_of(stack, user.account_id)
    own = f"/{user.account_id}"
    refund = {"entry_id": "user:spent", "reason": "x"}
    add = {"action": "add", "amount": 5, "reason": "x"}
    answers = {
        "a user asks for a refund": user.post("/me/refunds", refund),
        "a user adjusts": user.post("/me/adjustments", add),
        "a service adjusts": service.post(f"{own}/adjustments", add),
        "a refund of an unknown entry": service.post(
            f"{own}/refunds", {**refund, "entry_id": "nothing"}
        ),
        "a refund above what is left": service.post(f"{own}/refunds", {**refund, "amount": 6}),
        "the key of another request": user.post("/me/consume", {"amount": 6}, key="spent"),
        "an entry that does not exist": user.get("/me/entries/nothing"),
        "a cursor made by hand": user.get("/me/entries", cursor="e30"),
    }
    assert {
        case: (answer.status_code, answer.json()["code"]) for case, answer in answers.items()
    } == {
        "a user asks for a refund": (403, "forbidden"),
        "a user adjusts": (403, "forbidden"),
        "a service adjusts": (403, "forbidden"),
        "a refund of an unknown entry": (404, "entry_not_found"),
        "a refund above what is left": (409, "refund_too_large"),
        "the key of another request": (422, "idempotency_key_reused"),
        "an entry that does not exist": (404, "entry_not_found"),
        "a cursor made by hand": (400, "invalid_cursor"),
    }
    assert items_of(stack, user.account_id) == before
    assert admin.post(f"{own}/freeze", {"reason": "fraud"}).status_code == 200
    frozen = items_of(stack, user.account_id)
    answer = user.post("/me/consume", {"amount": 5})
    assert (answer.status_code, answer.json()["code"]) == (403, "account_frozen")
    assert items_of(stack, user.account_id) == frozen

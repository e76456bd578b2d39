"""Requests to function URLs, whose callers Lambda has verified under IAM."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from scrip_client.aws import output_of
from tests.functional.conftest import EVENTS, event, invoke, items, resources, send
from tests.functional.test_http import routes

if TYPE_CHECKING:
    from scrip.store.client import Table

ROLE = "arn:aws:sts::123456789012:assumed-role/backend"
ADMINS_ONLY = sorted(
    path.relative_to(EVENTS).with_suffix("").as_posix()
    for folder in ("adjust", "admin", "catalog")
    for path in (EVENTS / folder).glob("*.json")
    if path.stem != "public"
)


def signed(name: str) -> dict[str, Any]:
    """Return a request to the API as a request to a function URL that a role has signed."""
    sent, by_role = event(name), event("consume/by_role")
    by_role["requestContext"]["http"] = sent["requestContext"]["http"]
    same = ("rawQueryString", "queryStringParameters", "headers", "body", "isBase64Encoded")
    return {
        **by_role,
        **{field: sent.get(field) for field in same},
        "rawPath": quote(sent["rawPath"]),
    }


def asked(function: str, sent: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    """Return the status and the body of an answer."""
    answer = invoke(function, sent)
    return answer["statusCode"], json.loads(answer["body"])


def open_account(sub: str) -> None:
    """Open the account of a user with their first call."""
    sent = event("account/me")
    sent["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = sub
    assert invoke("account", sent)["statusCode"] == 200


def test_a_role_charges_any_account_as_a_service(table: Table) -> None:
    open_account("auth0|5f7c8ec7")
    status, body = asked("consume", event("consume/by_role"))
    assert status == 200, body
    assert body["account"]["account_id"] == "auth0|5f7c8ec7"
    assert body["entry"]["entry_id"] == "image-1"
    assert body["entry"]["actor"] == {"type": "service", "id": ROLE}


def test_a_request_that_is_sent_again_through_a_function_url_is_a_replay(table: Table) -> None:
    send("account/me")
    send("consume/feature", key="chat-1")
    for function, name in (("consume", "consume/by_service"), ("refund", "refund/whole")):
        first, again = invoke(function, event(name)), invoke(function, signed(name))
        assert first["statusCode"] < 300, first
        assert "Idempotency-Replayed" not in first["headers"]
        assert again["headers"]["Idempotency-Replayed"] == "true"
        assert (again["statusCode"], again["body"]) == (first["statusCode"], first["body"])


@pytest.mark.parametrize(
    ("name", "status"),
    [("account/entries_by_service", 200), ("refund/whole", 404), ("catalog/public", 200)],
)
def test_a_function_url_answers_as_the_api_does(table: Table, name: str, status: int) -> None:
    send("account/me")
    function = name.partition("/")[0]
    (_, body), (same_status, same_body) = (
        asked(function, event(name)),
        asked(function, signed(name)),
    )
    for answer in (body, same_body):
        answer.pop("instance", None)  # the request's ID
    assert (same_status, same_body) == (status, body)


@pytest.mark.parametrize("name", ADMINS_ONLY)
def test_nobody_is_an_admin_under_iam(table: Table, name: str) -> None:
    send("account/me")
    before = items(table)
    status, body = asked(name.partition("/")[0], signed(name))
    assert (status, body["code"]) == (403, "forbidden")
    assert items(table) == before


def test_me_is_nobody_under_iam(table: Table) -> None:
    for function, name in (("account", "account/me"), ("consume", "consume/feature")):
        status, body = asked(function, signed(name))
        assert (status, body["code"]) == (403, "forbidden")
    assert items(table) == []


def test_a_request_that_nobody_signed_is_refused(table: Table) -> None:
    # A URL that somebody has opened to everyone: Lambda then names no caller.
    sent = event("consume/by_role")
    iam = sent["requestContext"]["authorizer"]["iam"]
    sent["requestContext"]["authorizer"]["iam"] = dict.fromkeys(iam, "")
    assert asked("consume", sent)[0] == 403


def test_the_client_sends_each_path_to_the_function_that_has_its_route() -> None:
    for function, _, path in routes():
        url = f"{function.capitalize()}Url"
        if url in resources() and not path.startswith("/v1/admin/"):
            assert output_of(path.removeprefix("/")) == url

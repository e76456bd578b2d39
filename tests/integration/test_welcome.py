"""One welcome per person, on the local stack: over HTTP, with the pool, the key and the roles."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest

from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

WELCOME, ALLOWANCE = 10_000, 100


@pytest.fixture
def name() -> str:
    """The local part of an unused email address, as Gmail allows it."""
    return f"w{uuid4().hex[:20]}"


def test_a_user_who_deletes_the_account_and_signs_up_again_gets_no_second_welcome(
    stack: LocalStack,
    caller: Callable[..., Api],
    admin: Api,
    name: str,
) -> None:
    pool_id, cognito = demo.details(stack).user_pool_id, stack.client("cognito-idp")
    first = f"{name}@gmail.com"
    balances = []
    for email in (first, first, f"{name}+again@gmail.com", f"{name[:4]}.{name[4:]}@googlemail.com"):
        account_id = demo.sign_up(stack, email)
        token = demo.user_token(stack, email)
        balances.append(caller(token, account_id).get("/me").json()["balance"])
        deleted = admin.http.delete(f"/v1/accounts/{account_id}", headers=admin.headers())
        assert deleted.status_code == 200
        cognito.admin_delete_user(UserPoolId=pool_id, Username=email)
        # The token is still valid, but the account that it leads to stays closed.
        assert caller(token, account_id).get("/me").json()["status"] == "closed"
    assert balances == [WELCOME + ALLOWANCE, ALLOWANCE, ALLOWANCE, ALLOWANCE]


def test_the_first_call_looks_up_the_users_mailbox_in_the_pool(
    stack: LocalStack,
    caller: Callable[..., Api],
    name: str,
) -> None:
    cognito, deployed = stack.client("cognito-idp"), demo.details(stack)
    balances = []
    for email in (f"{name}@example.com", f"{name}+again@example.com"):
        user = {"UserPoolId": deployed.user_pool_id, "Username": email}
        given = {"email": email, "email_verified": "true"}
        attributes = [{"Name": key, "Value": value} for key, value in given.items()]
        cognito.admin_create_user(**user, UserAttributes=attributes)
        cognito.admin_set_user_password(**user, Password=demo.PASSWORD, Permanent=True)
        balances.append(caller(demo.user_token(stack, email)).get("/me").json()["balance"])
    assert balances == [WELCOME + ALLOWANCE, ALLOWANCE]


def test_one_of_several_concurrent_sign_ups_of_one_mailbox_is_welcomed(
    stack: LocalStack,
    admin: Api,
    name: str,
) -> None:
    with ThreadPoolExecutor(8) as threads:
        emails = [f"{name}+{number}@example.com" for number in range(8)]
        account_ids = list(threads.map(lambda email: demo.sign_up(stack, email), emails))
    balances = sorted(admin.get(f"/{account_id}").json()["balance"] for account_id in account_ids)
    assert balances == [*[ALLOWANCE] * 7, WELCOME + ALLOWANCE]


def test_the_key_is_encrypted_in_its_parameter_and_not_in_the_table(
    stack: LocalStack, name: str
) -> None:
    parameter = {"Name": outputs(stack)["MailboxKeyName"]}
    stored = stack.client("ssm").get_parameter(**parameter, WithDecryption=True)["Parameter"]
    assert (stored["Type"], len(stored["Value"])) == ("SecureString", 64)
    demo.sign_up(stack, f"{name}@example.com")
    pages = (
        stack.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=demo.details(stack).table_name)
    )
    welcomes = [
        item for page in pages for item in page["Items"] if item["pk"]["S"].startswith("WELCOME#")
    ]
    assert welcomes
    assert all(item.keys() == {"pk", "sk"} for item in welcomes)
    assert stored["Value"] not in str(welcomes)

"""Admins, tokens and secrets from the command line: `scrip admin`, `token` and `secrets`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from tests.integration.test_operators import operator

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

SECRET = "whsec_c2NyaXAtZXhhbXBsZS1TRUNSRVQ="


@pytest.fixture
def known(stack: LocalStack) -> Iterator[Callable[[], dict[str, Any]]]:
    """Return a function that reads the stack's secrets, which are put back at the end."""
    manager, arn = stack.client("secretsmanager"), outputs(stack)["WebhookSecretsArn"]
    before = manager.get_secret_value(SecretId=arn)["SecretString"]
    yield lambda: json.loads(manager.get_secret_value(SecretId=arn)["SecretString"])
    manager.put_secret_value(SecretId=arn, SecretString=before)


def test_a_new_admin_gets_a_token_that_only_admins_have(
    stack: LocalStack, caller: Callable[..., Api]
) -> None:
    email = f"{uuid4()}@example.com"
    create = ["admin", "create", email]
    weak = operator(stack, *create, typed="too short\n")
    assert (weak.exit_code, "Cognito refused" in weak.stderr) == (ExitCode.REFUSED, True)
    assert operator(stack, *create, typed=demo.PASSWORD).exit_code == ExitCode.DONE
    again = operator(stack, *create, typed="")
    assert again.exit_code == ExitCode.DONE, "they have a password, so none is needed"
    signed_in = operator(stack, "token", "--admin", email, typed=demo.PASSWORD)
    as_admin = caller(signed_in.stdout.strip())
    assert as_admin.http.get("/v1/admin/plans", headers=as_admin.headers()).status_code == 200
    wrong = operator(stack, "token", "--admin", email, typed="wrong")
    assert (wrong.exit_code, wrong.stdout) == (ExitCode.REFUSED, "")


def test_tokens_of_a_user_and_of_a_back_end_are_printed(
    stack: LocalStack, caller: Callable[..., Api]
) -> None:
    of_user = operator(stack, "token", "--user", demo.USER_EMAIL, typed=demo.PASSWORD)
    account = caller(of_user.stdout.strip()).get("/me").json()
    assert account["account_id"] == demo.details(stack).accounts["user"]
    of_service = operator(stack, "token")
    assert caller(of_service.stdout.strip()).get(f"/{account['account_id']}").status_code == 200


def test_a_secret_is_added_to_the_others_and_then_the_only_one(
    stack: LocalStack, known: Callable[[], dict[str, Any]]
) -> None:
    before = known()
    for _ in range(2):
        added = operator(stack, "secrets", "add", "clerk", typed=f" {SECRET}\n")
        assert added.exit_code == ExitCode.DONE, added.stderr
        assert known() == before | {"clerk": [*before["clerk"], SECRET]}
        assert SECRET not in added.output
    rotated = operator(stack, "secrets", "rotate", "clerk", "--yes", typed=SECRET)
    assert known() == before | {"clerk": [SECRET]}
    assert (SECRET not in rotated.output, "valid already" in rotated.stderr) == (True, True)


def test_there_is_one_key_for_stripes_api(
    stack: LocalStack, known: Callable[[], dict[str, Any]]
) -> None:
    operator(stack, "secrets", "add", "stripe_api_key", typed="rk_1")
    second = operator(stack, "secrets", "add", "stripe_api_key", typed="rk_2")
    assert (second.exit_code, "secrets rotate" in second.stderr) == (ExitCode.REFUSED, True)
    operator(stack, "secrets", "rotate", "stripe_api_key", "--yes", typed="rk_2")
    assert known()["stripe_api_key"] == "rk_2"


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("clerk", ""),
        ("clerk", "\n"),
        ("clerk", "whsec_%"),
        ("stripe", "rk_live_1"),
        ("stripe_api_key", "whsec_1"),
    ],
)
def test_what_cannot_be_a_secret_is_refused(
    stack: LocalStack, known: Callable[[], dict[str, Any]], name: str, typed: str
) -> None:
    before = known()
    refused = operator(stack, "secrets", "add", name, typed=typed)
    assert (refused.exit_code, known()) == (ExitCode.USAGE, before)

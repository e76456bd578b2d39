"""The inbox and what never came to it, from the command line: `scrip webhooks` and `sync`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, get_args
from uuid import uuid4

from scrip.store.inbox import DONE, InboxStatus
from scrip.webhooks.providers import Provider
from scrip_cli.exit_codes import ExitCode
from scrip_cli.local.deploy import outputs
from scrip_cli.webhooks import commands, names
from tests.integration.test_operators import operator

if TYPE_CHECKING:
    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api


def test_the_options_have_the_names_that_the_inbox_has() -> None:
    assert set(get_args(names.ProviderName)) == set(Provider)
    assert set(get_args(names.MessageStatus)) == set(InboxStatus)
    assert set(commands.DONE) == DONE


def test_a_message_is_found_shown_and_applied_once_its_cause_is_gone(
    stack: LocalStack, admin: Api
) -> None:
    run = uuid4().hex
    account_id, webhook_id = f"late-{run}", f"stripe:evt_{run}"
    sent = operator(
        *(stack, "webhooks", "send", "stripe/checkout_payment", "--set", f"id=evt_{run}"),
        *("--set", f"data.object.payment_intent=pi_{run}"),
        *("--set", f"data.object.client_reference_id={account_id}"),
    )
    assert json.loads(sent.stdout.splitlines()[1])["status"] == "unmatched"
    listed = operator(stack, "webhooks", "list", "--status", "unmatched", "--all", "--json")
    assert webhook_id in {json.loads(line)["webhook_id"] for line in listed.stdout.splitlines()}
    applied = operator(stack, "webhooks", "list", "--status", "applied", "--all")
    assert webhook_id not in applied.stdout
    shown = operator(stack, "webhooks", "show", webhook_id, "--json")
    assert json.loads(shown.stdout)["payload"]["id"] == f"evt_{run}"

    replay = ["webhooks", "replay", webhook_id, "--yes"]
    assert operator(stack, *replay).exit_code == ExitCode.FOUND
    operator(stack, "accounts", "open", account_id, "--yes")
    for _ in range(2):
        assert operator(stack, *replay).exit_code == ExitCode.DONE
    assert admin.get(f"/{account_id}").json()["balance"] == 10_600


def test_a_message_that_does_not_exist_is_not_found(stack: LocalStack) -> None:
    for words in (["show", "stripe:evt_none"], ["replay", "stripe:evt_none", "--yes"]):
        missing = operator(stack, "webhooks", *words)
        assert (missing.exit_code, missing.stdout) == (ExitCode.NOT_FOUND, "")
        assert "webhook_not_found" in missing.stderr


def test_a_sync_opens_the_accounts_that_sign_ups_missed(stack: LocalStack, admin: Api) -> None:
    email = f"{uuid4()}@example.com"
    made = stack.client("cognito-idp").admin_create_user(
        UserPoolId=outputs(stack)["UserPoolId"],
        Username=email,
        UserAttributes=[
            {"Name": "email", "Value": email},
            {"Name": "email_verified", "Value": "true"},
        ],
    )["User"]["Attributes"]
    [account_id] = [item["Value"] for item in made if item["Name"] == "sub"]
    rehearsed = operator(stack, "sync", "users", "--dry-run", "--json")
    differences = json.loads(rehearsed.stdout)["differences"]
    about = [one for one in differences if one["account_id"] == account_id]
    assert {one["field"]: one["after"] for one in about} == {"status": "active", "emails": [email]}
    assert admin.get(f"/{account_id}").status_code == 404
    assert operator(stack, "sync", "users", "--yes").exit_code == ExitCode.DONE
    assert admin.get(f"/{account_id}").json()["balance"] == 10_100


def test_a_sync_of_subscriptions_needs_a_key_of_stripes(stack: LocalStack) -> None:
    refused = operator(stack, "sync", "plans", "--dry-run")
    assert (refused.exit_code, "stripe_api_key" in refused.stderr) == (ExitCode.REFUSED, True)

"""Finds in a stack's logs what must never be logged."""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scrip.store.mailbox_key import read_mailbox_key
from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from scrip_cli.local.webhook_secrets import webhook_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from scrip_cli.local.stack import LocalStack

CANARY = "sings-in-no-log"
"""Tests put it into everything that callers send: text, metadata, invalid bodies."""

EVENTS_MAX = 10_000
"""How many lines CloudWatch returns at once."""

TRIES_MAX = 10

FORBIDDEN = {
    "a token": re.compile(r"eyJ[\w-]{8,}|\bBearer\b"),
    "a webhook's secret": re.compile(r"whsec_|polar_whs_"),
    "a provider's API key": re.compile(r"\b[rs]k_(test|live)_"),
    "a signature": re.compile(r"\bv1[=,][\w+/=]{16,}"),
    "an e-mail address": re.compile(r"[\w.+-]+@[\w-]+\.\w"),
    "a caller's text": re.compile(re.escape(CANARY)),
}


def leaks(lines: Iterable[tuple[str, str]], secrets: Mapping[str, str]) -> Iterator[str]:
    """Yield each leak in lines, which come as (log group, line); secrets are by name."""
    known = {name: re.compile(re.escape(value)) for name, value in secrets.items()}
    for group, line in lines:
        for name, pattern in (FORBIDDEN | known).items():
            if pattern.search(line):
                yield f"{group} has {name}: {line}"


def log_lines(stack: LocalStack, since: float = 0) -> Iterator[tuple[str, str]]:
    """Yield (log group, line) for every line of a stack's logs, some twice.

    `since` is an epoch time in seconds.
    """
    client = stack.client("logs")
    for group in _log_groups(client):
        request = {"logGroupName": group["logGroupName"], "startTime": int(since * 1000)}
        # ministack returns no token after the first 10 000.
        while events := client.filter_log_events(**request, limit=EVENTS_MAX)["events"]:
            yield from ((group["logGroupName"], event["message"]) for event in events)
            if len(events) < EVENTS_MAX:
                break
            assert events[-1]["timestamp"] > request["startTime"], "more lines at once than a page"
            request["startTime"] = events[-1]["timestamp"]


def secrets_of(stack: LocalStack) -> dict[str, str]:
    """Return what only this stack and its callers know, by name."""
    deployed = outputs(stack)
    client = stack.client("cognito-idp").describe_user_pool_client(
        UserPoolId=deployed["UserPoolId"], ClientId=deployed["ServiceClientId"]
    )["UserPoolClient"]
    return {
        "the password of a user": demo.PASSWORD,
        "the secret of the service's client": client["ClientSecret"],
        "the key for mailboxes": read_mailbox_key(
            stack.client("ssm"), deployed["MailboxKeyName"]
        ).decode(),
        **{f"the secret of {name}": secret for name, secret in webhook_secrets(stack).items()},
    }


def _log_groups(client: Any) -> list[Any]:
    """Return all log groups. ministack fails if a function creates one at the same moment."""
    pages = client.get_paginator("describe_log_groups")
    for _ in range(TRIES_MAX):
        with suppress(ClientError):
            return [group for page in pages.paginate() for group in page["logGroups"]]
    raise TimeoutError

"""Webhooks over HTTP: what is refused, what is kept, and what it does to accounts."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from scrip.domain.catalog import Catalog, Plan
from scrip.ledger import ledger
from scrip.store.client import Table
from scrip.store.items import plan_item, to_wire
from scrip.webhooks.messages import Provider
from scrip_cli.webhook_signing import sign
from tests.functional.conftest import Answer, documented, event, invoke, items, send
from tests.unit.webhooks.examples import ALICE, SECRETS, body

NOVEMBER = datetime(2026, 11, 1, 12, tzinfo=UTC)


class Clock:
    """A clock that stands where it is put."""

    now = NOVEMBER

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("scrip.ledger.utc_now", clock)
    return clock


@pytest.fixture
def secrets(aws: Table, monkeypatch: pytest.MonkeyPatch) -> Any:
    client = boto3.client("secretsmanager")
    made = client.create_secret(Name="webhooks", SecretString=json.dumps(SECRETS))
    handler = "functions.webhook.handler"
    monkeypatch.setattr("scrip.settings.Settings.webhook_secrets", made["ARN"], raising=False)
    yield client
    client.delete_secret(SecretId="webhooks", ForceDeleteWithoutRecovery=True)

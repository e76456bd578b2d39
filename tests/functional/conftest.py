"""Event file -> handler -> DynamoDB, with the table that template.yaml describes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode

import boto3
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from moto import mock_aws
from samcli.yamlhelper import yaml_parse

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.audit_queue import audit_queue
from scrip.ledger import ledger
from scrip.observability import logger
from scrip.renew_queue import renew_queue
from scrip.store.client import open_table
from scrip.store.items import feature_item, plan_item, to_wire
from scrip.store.mailbox_key import make_mailbox_key
from scrip.work_queue import Queue, open_queue
from tests.functional.dynamodb import Service
from tests.functional.outside import Outside, make_outside
from tests.functional.renewals import NOW, OneAfterTheOther, Renewals
from tests.functional.rounds import Rounds

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"
POOL_ISSUER = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_EXAMPLE01"
USER = "5d1f0c7e-9d4e-4c7e-8a55-0a6d3f1b2c3d"


@dataclass
class Answer:
    """A handler's response, with its body parsed."""

    status: int
    headers: dict[str, str]
    body: dict[str, Any]


class Context:
    """The parts of Lambda's context that the logger reads."""

    function_name = "function"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:eu-central-1:123456789012:function:function"
    aws_request_id = "b2f7c1de-1111-4c5e-9f0a-6d5e4c3b2a19"

    def get_remaining_time_in_millis(self) -> int:
        """Return a minute, which is always enough."""
        return 60_000


@cache
def template() -> dict[str, Any]:
    """Return template.yaml, which takes half a second to parse; tests leave it as it is."""
    return yaml_parse((ROOT / "template.yaml").read_text())  # type: ignore[no-any-return]


def resources() -> dict[str, Any]:
    """Return the resources of template.yaml."""
    return template()["Resources"]  # type: ignore[no-any-return]


def event(name: str) -> dict[str, Any]:
    """Read `events/<name>.json`."""
    return json.loads((EVENTS / f"{name}.json").read_text())  # type: ignore[no-any-return]


def invoke(function: str, sent: dict[str, Any]) -> Any:
    """Call a function's handler with an event."""
    return import_module(f"functions.{function}.handler").lambda_handler(sent, Context())


def query_fields(query: str) -> dict[str, Any]:
    """Return an event's fields for a query; API Gateway joins repeated parameters with commas."""
    joined: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        joined[name] = f"{joined[name]},{value}" if name in joined else value
    return {"rawQueryString": query, **({"queryStringParameters": joined} if joined else {})}


def send(
    name: str,
    *,
    body: dict[str, Any] | str | None = None,
    query: dict[str, str] | None = None,
    key: str | None = None,
    version: str | None = None,
) -> Answer:
    """Send the HTTP event of a file, with another body, query, key or `If-Match` if given.

    The answer must match the OpenAPI document.
    """
    sent = event(name)
    if body is not None:
        sent["body"] = body if isinstance(body, str) else json.dumps(body)
    if query is not None:
        sent |= query_fields(urlencode(query))
    if key is not None:
        sent["headers"]["idempotency-key"] = key
    if version is not None:
        sent["headers"]["if-match"] = version
    answer = invoke(name.split("/", maxsplit=1)[0], sent)
    content_type, content = answer["headers"]["Content-Type"], json.loads(answer["body"])
    documented(sent["routeKey"], answer["statusCode"], content_type).validate(content)
    return Answer(answer["statusCode"], answer["headers"], content)


@cache
def documented(route_key: str, status: int, content_type: str) -> Draft202012Validator:
    """Return the OpenAPI document's validator for an answer; KeyError if it lists none."""
    method, path = route_key.split()
    assert path in openapi()["paths"], f"no {path} in the OpenAPI document: run `make reference`"
    responses = openapi()["paths"][path][method.lower()]["responses"]
    schema = responses[str(status)]["content"][content_type]["schema"]
    return Draft202012Validator(
        {**schema, "components": openapi()["components"]},
        format_checker=formats,
    )


def _is_instant(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


def _is_day(value: object) -> bool:
    return not isinstance(value, str) or bool(date.fromisoformat(value))


formats = FormatChecker()
formats.checks("date-time", raises=ValueError)(_is_instant)
formats.checks("date", raises=ValueError)(_is_day)


@cache
def openapi() -> dict[str, Any]:
    """Return the OpenAPI document that is served."""
    return json.loads((ROOT / "functions/docs/openapi.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="session")
def aws() -> Iterator[Table]:
    """One simulated AWS and one client for all tests: making a client is slow."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name, value in {
            "AWS_ACCESS_KEY_ID": "testing",
            "AWS_SECRET_ACCESS_KEY": "testing",
            "AWS_DEFAULT_REGION": "eu-central-1",
            "TABLE_NAME": "scrip",
            "SIGNUP_CREDITS": "50",
            "POOL_ISSUER": POOL_ISSUER,
            "CONSOLE_CLIENT_ID": "7c2console0id2",
            "MAILBOX_KEY": "/scrip/scrip/mailbox-key",
            "POWERTOOLS_SERVICE_NAME": "scrip",
            "RENEW_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/renew",
            "AUDIT_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/audit",
        }.items():
            monkeypatch.setenv(name, value)
        with mock_aws():
            make_mailbox_key(boto3.client("ssm"), "/scrip/scrip/mailbox-key")
            yield open_table("scrip")


@pytest.fixture(scope="session")
def dynamodb(aws: Table) -> Service:
    """What answers the requests to DynamoDB, for all tests."""
    return Service(aws)


@pytest.fixture
def empty_table(
    aws: Table, dynamodb: Service, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Iterator[Table]:
    """The table without a catalog, and a ledger that has cached nothing."""
    by_moto = request.node.get_closest_marker("moto")
    if by_moto:
        dynamodb.leave_to_moto()
        properties = resources()["Table"]["Properties"]
        names = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
        aws.client.create_table(TableName=aws.name, **{name: properties[name] for name in names})
    else:
        dynamodb.empty()
    monkeypatch.setattr("scrip.ledger.open_table", lambda *_: aws)
    ledger.cache_clear()
    yield aws
    if by_moto and aws.client.list_tables()["TableNames"]:
        aws.client.delete_table(TableName=aws.name)


@pytest.fixture
def table(empty_table: Table) -> Table:
    """The table with the default catalog."""
    plans, features = DEFAULT_CATALOG.plans.values(), DEFAULT_CATALOG.features.values()
    loaded = [*map(plan_item, plans), *map(feature_item, features)]
    empty_table.client.batch_write_item(
        RequestItems={
            empty_table.name: [{"PutRequest": {"Item": to_wire(item)}} for item in loaded]
        },
    )
    return empty_table


@pytest.fixture(scope="session")
def all_outside(aws: Table) -> Outside:
    """The archive and the bus, for all tests."""
    return make_outside()


@pytest.fixture
def outside(all_outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Outside:
    """The archive and the bus, both empty."""
    all_outside.install(monkeypatch)
    return all_outside


@pytest.fixture(scope="session")
def queue(aws: Table) -> Queue:
    """One client for the sweep's queue, for all tests."""
    return open_queue("https://sqs.eu-central-1.amazonaws.com/123456789012/renew")


@pytest.fixture
def renewals(
    table: Table,
    queue: Queue,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Renewals]:
    """The sweep at noon, with two shards: all of them would only be slower."""
    for module in ("functions.reset.sweep", "scrip.store.directory", "scrip.store.keys"):
        monkeypatch.setattr(f"{module}.DIRECTORY_SHARDS", 2)
    monkeypatch.setattr("functions.renew.renewals.POOL", OneAfterTheOther())
    monkeypatch.setattr("scrip.ledger.utc_now", lambda: NOW)
    monkeypatch.setattr("scrip.ledger.PAUSE_SECONDS_MAX", 0.0001)
    monkeypatch.setattr("scrip.renew_queue.open_queue", lambda _: queue)
    renew_queue.cache_clear()
    dead_letters = queue.client.create_queue(QueueName="dead")["QueueUrl"]
    redrive = {
        "deadLetterTargetArn": "arn:aws:sqs:eu-central-1:123456789012:dead",
        "maxReceiveCount": 5,
    }
    queue.client.create_queue(
        QueueName="renew",
        Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(redrive)},
    )
    yield Renewals(table, queue, dead_letters, Context())
    for url in (queue.url, dead_letters):
        queue.client.delete_queue(QueueUrl=url)


@pytest.fixture
def rounds(renewals: Renewals, monkeypatch: pytest.MonkeyPatch) -> Iterator[Rounds]:
    """The audit's queue on a table of few segments; a worker has time for one page.

    The third share is empty, so a round of it audits only what is new.
    """
    for name in ("SEGMENTS", "SEGMENTS_SHARED"):
        monkeypatch.setattr(f"scrip.audit_queue.{name}", 2)
    for module in ("scrip.audit_queue", "scrip.domain.audit.rounds"):
        monkeypatch.setattr(f"{module}.SHARES", 3)
    monkeypatch.setattr("scrip.audit_queue.DIRECTORY_SHARDS", 2)
    monkeypatch.setattr("functions.audit.parts.POOL", OneAfterTheOther())
    monkeypatch.setattr("scrip.audit.accounts.PAUSES_SECONDS", ())
    monkeypatch.setattr("scrip.store.audit.books.BACKOFF_SECONDS", 0.0001)
    queue = Queue(renewals.queue.client, renewals.queue.url.replace("renew", "audit"))
    monkeypatch.setattr("scrip.audit_queue.open_queue", lambda _: queue)
    audit_queue.cache_clear()
    queue.client.create_queue(QueueName="audit", Attributes={"VisibilityTimeout": "0"})
    yield Rounds(queue, Context())
    queue.client.delete_queue(QueueUrl=queue.url)


@pytest.fixture
def logged(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """The log from now on."""
    written = io.StringIO()
    monkeypatch.setattr(logger.handlers[0], "stream", written)
    return written


def items(table: Table) -> list[dict[str, Any]]:
    """Return all items but those of the catalog, which are slow to list."""
    return table.client.scan(
        TableName=table.name,
        FilterExpression="pk <> :catalog",
        ExpressionAttributeValues={":catalog": {"S": "CATALOG"}},
    )["Items"]

"""The simulated DynamoDB responds as that of the local AWS does over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings

from simulation.dynamodb import SimulatedDynamoDB
from tests.simulation.comparison import CALLS, NAME, Call, accepted, create_table, outcome

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip_cli.local.stack import LocalStack

ACCEPTED_BY_MINISTACK = {
    "a query that filters by its key",
    "an unknown type",
    "an order of booleans",
    "arithmetic with a value that is text",
    "arithmetic with text",
    "one attribute set and removed",
    "one attribute set twice",
}
"""Requests that ministack accepts, although DynamoDB refuses them."""


@pytest.fixture(scope="module")
def local(stack: LocalStack) -> Iterator[Any]:
    """The local DynamoDB, with a table of the simulation's name beside Scrip's own."""
    client = stack.client("dynamodb")
    create_table(client)
    yield client
    client.delete_table(TableName=NAME)


@given(calls=CALLS)
@settings(
    max_examples=10,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_scrips_requests_get_the_same_responses_as_from_the_local_aws(
    local: Any,
    calls: list[Call],
) -> None:
    simulated = SimulatedDynamoDB(NAME)
    empty(local)
    for call in calls:
        assert outcome(simulated, call) == outcome(local, call), call


def test_the_local_aws_refuses_most_requests_that_dynamodb_refuses(local: Any) -> None:
    empty(local)
    assert accepted(local) == ACCEPTED_BY_MINISTACK


def empty(client: Any) -> None:
    """Delete every item."""
    for item in client.scan(TableName=NAME)["Items"]:
        client.delete_item(TableName=NAME, Key={name: item[name] for name in ("pk", "sk")})

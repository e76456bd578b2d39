"""The simulated DynamoDB responds as moto does, or as AWS does where moto is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from moto import mock_aws

from functions.events.stream import read_batch
from simulation.dynamodb import INDEX_KEYS, KEY_TYPES, KEYS, KEYS_ONLY, SimulatedDynamoDB
from tests.functional.conftest import event, resources
from tests.simulation.comparison import (
    CALLS,
    HELD,
    KEY,
    NAME,
    PUT,
    UPDATE,
    Call,
    Refused,
    accepted,
    all_pages,
    create_table,
    outcome,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

ACCEPTED_BY_MOTO = {
    "a batch of 26",
    "a key of an index of another type",
    "a missing name",
    "a number of 39 digits",
    "a number over 10^126",
    "a page that begins at an incomplete key",
    "a page that begins in another partition",
    "a query between reversed bounds",
    "a query by a key of another type",
    "a query of an unknown index",
    "a query that filters by its key",
    "a set with a duplicate",
    "an unknown type",
    "an order of booleans",
    "one item twice in a batch",
    "one item twice in a reading transaction",
    "values without an expression",
}
"""Requests that moto accepts or fails on, although DynamoDB refuses them."""

LEDGER: dict[str, Any] = {
    "TableName": NAME,
    "IndexName": "history",
    "KeyConditionExpression": "pk = :pk",
    "ExpressionAttributeValues": {":pk": KEY["pk"]},
}


@pytest.fixture(scope="module")
def moto() -> Iterator[Any]:
    """moto, without botocore's validation, so that it sees every request."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(name, "testing")
        with mock_aws():
            config = Config(parameter_validation=False)
            yield boto3.client("dynamodb", region_name="eu-central-1", config=config)


@pytest.fixture
def client() -> SimulatedDynamoDB:
    """A table with one item."""
    client = SimulatedDynamoDB(NAME)
    client.put_item(**PUT)
    return client


def put(client: SimulatedDynamoDB, number: int, **more: Any) -> None:
    keys = {"sk": {"S": f"ENTRY#{number}"}, "seq": {"N": str(number)}}
    client.put_item(TableName=NAME, Item={**HELD, **keys, **more})


def seqs(answer: dict[str, Any]) -> list[int]:
    return [int(item["seq"]["N"]) for item in answer["Items"]]


def known_to_moto(result: Any) -> Any:
    """Return moto's outcome of an update that fails in a transaction: it refuses the request."""
    if isinstance(result, Refused) and "ValidationError" in dict(result.reasons):
        return Refused("ValidationException", None, [])
    return result


# Always the same calls: differences are usually bugs of moto, and must not stop later work.
@given(calls=CALLS)
@settings(
    max_examples=15,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_scrips_requests_get_the_same_responses_as_from_moto(moto: Any, calls: list[Call]) -> None:
    simulated = SimulatedDynamoDB(NAME)
    create_table(moto)
    try:
        for call in calls:
            result = known_to_moto(outcome(simulated, call))
            try:
                expected = outcome(moto, call)
            except TypeError:
                return  # moto fails when it compares a number with text
            assert result == expected, call
    finally:
        moto.delete_table(TableName=NAME)


def test_requests_that_dynamodb_refuses_are_refused(moto: Any) -> None:
    assert accepted(SimulatedDynamoDB(NAME)) == set()
    create_table(moto)
    try:
        assert accepted(moto) == ACCEPTED_BY_MOTO
    finally:
        moto.delete_table(TableName=NAME)


def test_the_schema_matches_the_template() -> None:
    properties = resources()["Table"]["Properties"]
    types = {
        one["AttributeName"]: one["AttributeType"] for one in properties["AttributeDefinitions"]
    }
    assert types == KEY_TYPES
    assert [one["AttributeName"] for one in properties["KeySchema"]] == list(KEYS)
    indexes = properties["GlobalSecondaryIndexes"]
    assert {
        index["IndexName"]: [one["AttributeName"] for one in index["KeySchema"]]
        for index in indexes
    } == {name: list(keys) for name, keys in INDEX_KEYS.items()}
    projections = {index["IndexName"]: index["Projection"]["ProjectionType"] for index in indexes}
    assert {name for name, kind in projections.items() if kind == "KEYS_ONLY"} == KEYS_ONLY
    assert set(projections.values()) == {"ALL", "KEYS_ONLY"}


def test_unknown_requests_get_no_response(client: SimulatedDynamoDB) -> None:
    with pytest.raises(TypeError):
        client.get_item(**UPDATE, AttributesToGet=["sk"])
    for expression in (
        "SET balance = if_not_exists(balance, pk)",
        "ADD balance balance",
        "SET a.b = pk",
    ):
        with pytest.raises(AssertionError):
            client.update_item(**UPDATE, UpdateExpression=expression)
    for condition in (
        "size(balance) = pk",
        "contains(balance, pk)",
        "pk = sk AND",
        "(pk = sk",
        "pk ? sk",
    ):
        with pytest.raises(AssertionError):
            client.put_item(**PUT, ConditionExpression=condition)
    with pytest.raises(AssertionError):
        client.scan(TableName=NAME, IndexName="directory", ProjectionExpression="balance")
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client.get_item(TableName="other", Key=KEY)


def test_a_number_is_stored_in_its_normal_form(client: SimulatedDynamoDB) -> None:
    for given_, kept in {
        "007": "7",
        "-0": "0",
        "+2.50": "2.5",
        "1E3": "1000",
        "1.5e-3": "0.0015",
        "100": "100",
        "-12": "-12",
    }.items():
        put(client, 1, balance={"N": given_})
        assert client.get_item(**UPDATE)["Item"]["balance"] == {"N": kept}


def test_changing_a_response_or_an_argument_later_changes_no_stored_item(
    client: SimulatedDynamoDB,
) -> None:
    item: Any = {**HELD, "grants": {"L": [{"M": {"amount": {"N": "1"}}}]}}
    client.put_item(TableName=NAME, Item=item)
    for seen in (
        item,
        client.get_item(**UPDATE)["Item"],
        client.query(**LEDGER)["Items"][0],
        client.scan(TableName=NAME)["Items"][0],
        client.stream[-1].record()["dynamodb"]["NewImage"],
        client.put_item(TableName=NAME, Item=item, ReturnValues="ALL_OLD")["Attributes"],
    ):
        seen["grants"]["L"][0]["M"]["amount"]["N"] = "2"
        seen["pk"] = {"S": "LEDGER#bert"}
        item = {**HELD, "grants": {"L": [{"M": {"amount": {"N": "1"}}}]}}
        assert client.get_item(**UPDATE)["Item"] == item


def test_a_transaction_is_executed_as_a_whole_or_not_at_all(client: SimulatedDynamoDB) -> None:
    before = client.scan(TableName=NAME)
    other = {**HELD, "sk": {"S": "ENTRY#2"}}
    condition = {
        "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }
    actions = [{"Put": {**PUT, "Item": other}}, {"Put": {**PUT, **condition}}]
    with pytest.raises(client.exceptions.TransactionCanceledException) as caught:
        client.transact_write_items(TransactItems=actions)
    assert caught.value.response["CancellationReasons"] == [
        {"Code": "None"},
        {
            "Code": "ConditionalCheckFailed",
            "Message": "The conditional request failed",
            "Item": HELD,
        },
    ]
    assert client.scan(TableName=NAME) == before
    assert len(client.stream) == 1


def test_a_page_ends_at_its_limit_or_at_a_megabyte(client: SimulatedDynamoDB) -> None:
    for number in range(2, 7):
        put(client, number)
    page = client.query(**LEDGER, Limit=2, ScanIndexForward=False)
    assert seqs(page) == [6, 5]
    assert page["LastEvaluatedKey"] == {
        "pk": KEY["pk"],
        "sk": {"S": "ENTRY#5"},
        "seq": {"N": "5"},
    }
    # DynamoDB does not check whether there is more.
    assert "LastEvaluatedKey" in client.query(**LEDGER, Limit=6)
    assert "LastEvaluatedKey" not in client.query(**LEDGER, Limit=7)
    pages = [seqs(page) for page in all_pages(client.query, {**LEDGER, "Limit": 4})]
    assert pages == [[1, 2, 3, 4], [5, 6]]
    for number in range(2, 7):
        put(client, number, payload={"B": b"x" * 300_000})
    assert [seqs(page) for page in all_pages(client.query, LEDGER)] == [[1, 2, 3, 4, 5], [6]]


def test_the_stream_has_every_change_and_nothing_else(client: SimulatedDynamoDB) -> None:
    client.put_item(**PUT)
    client.update_item(
        **UPDATE, UpdateExpression="SET hash = :x", ExpressionAttributeValues={":x": {"B": b"\xff"}}
    )
    client.update_item(**UPDATE, UpdateExpression="REMOVE debt")
    client.delete_item(**UPDATE)
    client.delete_item(**UPDATE)
    records = [change.record() for change in client.stream]
    changed = {**HELD, "hash": {"B": "/w=="}}
    assert [
        (
            record["eventName"],
            record["dynamodb"].get("OldImage"),
            record["dynamodb"].get("NewImage"),
        )
        for record in records
    ] == [("INSERT", None, HELD), ("MODIFY", HELD, changed), ("REMOVE", changed, None)]
    numbers = [int(record["dynamodb"]["SequenceNumber"]) for record in records]
    assert numbers == sorted(set(numbers))
    for record in records:
        assert record["dynamodb"]["Keys"] == KEY


def test_the_stream_has_records_as_lambda_receives_them(client: SimulatedDynamoDB) -> None:
    [example, *_] = event("events/day")["Records"]
    [kept] = read_batch([example]).added
    image = {**example["dynamodb"]["NewImage"]}
    for name in ("request_hash", "previous_hash", "hash"):
        image[name] = {"B": getattr(kept.entry, name)}
    client.put_item(TableName=NAME, Item=image)
    record = client.stream[-1].record()
    assert record.keys() == example.keys()
    assert record["dynamodb"]["NewImage"] == example["dynamodb"]["NewImage"]
    assert record["dynamodb"].keys() == example["dynamodb"].keys()
    assert read_batch([record]).added[0].entry == kept.entry


def test_an_index_may_lag_behind(client: SimulatedDynamoDB) -> None:
    client.index_lag = 2
    for number in (2, 3, 4):
        put(client, number)
    assert seqs(client.query(**LEDGER)) == [1, 2]
    assert seqs(client.scan(TableName=NAME, IndexName="history")) == [1, 2]
    table = {name: part for name, part in LEDGER.items() if name != "IndexName"}
    assert seqs(client.query(**table)) == [1, 2, 3, 4]
    # An item without the index's keys does not change the index.
    client.put_item(TableName=NAME, Item={"pk": {"S": "SWEEP"}, "sk": {"S": "WATERMARK"}})
    assert seqs(client.query(**LEDGER)) == [1, 2]
    client.index_lag = 0
    assert seqs(client.query(**LEDGER)) == [1, 2, 3, 4]


def test_calls_are_counted(client: SimulatedDynamoDB) -> None:
    client.get_item(**UPDATE)
    client.get_item(**UPDATE)
    assert client.calls == {"PutItem": 1, "GetItem": 2}

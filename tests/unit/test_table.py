"""The table's methods: how they translate DynamoDB's answers and errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from scrip.domain.errors import BusyError
from scrip.store.client import ConditionFailedError, Table, putting

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

KEYS = [{"pk": f"ACCOUNT#{name}", "sk": "ACCOUNT"} for name in ("anna", "bert", "carl")]
OLD = {"pk": {"S": "ACCOUNT#anna"}}


class OneAtATime:
    """A DynamoDB that returns one item of each batch."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def batch_get_item(self, **request: Any) -> dict[str, Any]:
        [batch] = request["RequestItems"].values()
        self.requests.append(batch)
        first, *others = batch["Keys"]
        left = {"scrip": {**batch, "Keys": others}} if others else {}
        return {"Responses": {"scrip": [first]}, "UnprocessedKeys": left}


class Refusing:
    """A DynamoDB that refuses writes."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def put_item(self, **_: Any) -> None:
        raise self.error

    def transact_write_items(self, **_: Any) -> None:
        raise self.error


def table(client: object) -> Table:
    return Table(cast("DynamoDBClient", client), "scrip")


def error(code: str, **details: Any) -> ClientError:
    answer: Any = {"Error": {"Code": code, "Message": ""}, **details}
    return ClientError(answer, "PutItem")


def canceled(*codes: str) -> ClientError:
    reasons = [{"Code": code, **({"Item": OLD} if code != "None" else {})} for code in codes]
    return error("TransactionCanceledException", CancellationReasons=reasons)


def test_a_batch_is_read_completely_with_the_same_projection() -> None:
    client = OneAtATime()
    found = table(client).get_batch(KEYS, "pk", "sk")
    assert [item["pk"]["S"] for item in found] == [key["pk"] for key in KEYS]
    assert {request["ProjectionExpression"] for request in client.requests} == {"#pk, #sk"}
    assert len(client.requests) == len(KEYS)


def test_a_batch_without_keys_sends_no_request() -> None:
    client = OneAtATime()
    assert (table(client).get_batch([]), client.requests) == ([], [])


@pytest.mark.parametrize(
    "refusal",
    [
        error("ThrottlingException"),
        error("TransactionConflictException"),
        canceled("ConditionalCheckFailed", "TransactionConflict"),
        canceled("None", "ThrottlingError"),
        ReadTimeoutError(endpoint_url="http://dynamodb"),
    ],
)
def test_an_error_that_a_retry_may_avoid_is_busy(refusal: Exception) -> None:
    with pytest.raises(BusyError):
        table(Refusing(refusal)).put(KEYS[0])


def test_a_failed_condition_has_the_old_items() -> None:
    single = error("ConditionalCheckFailedException", Item=OLD)
    with pytest.raises(ConditionFailedError) as failed:
        table(Refusing(single)).put(KEYS[0], return_old=True)
    assert failed.value.items == [OLD]
    with pytest.raises(ConditionFailedError) as failed:
        table(Refusing(canceled("None", "ConditionalCheckFailed"))).transact(*map(putting, KEYS))
    assert failed.value.items == [None, OLD]


@pytest.mark.parametrize("code", ["ValidationException", "AccessDeniedException"])
def test_other_errors_are_not_translated(code: str) -> None:
    with pytest.raises(ClientError, match=code):
        table(Refusing(error(code))).put(KEYS[0])

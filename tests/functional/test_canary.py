"""Whether a role of the functions' form would work, for each way in which IAM might evaluate it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders

from scrip.store.canary import CanaryError, prove_partitions
from tests.functional.conftest import resources
from tests.functional.test_roles import IN_TRANSACTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from scrip.store.client import Table

    type Request = list[tuple[str, str]]
    """The actions of a request, each with its partition."""

LEADING = "dynamodb:LeadingKeys"
POLICY = resources()["CanaryPolicy"]["Properties"]["PolicyDocument"]
ROLE = {
    one["Action"].removeprefix("dynamodb:"): one["Condition"]["ForAllValues:StringLike"][LEADING]
    for one in POLICY["Statement"]
}
"""The partitions of each action, in the form that the functions' roles have."""


def own_keys(action: str, request: Request) -> set[str]:
    """As Scrip assumes: an action is evaluated with the partitions of its own items."""
    return {partition for one, partition in request if one == action}


def all_keys(action: str, request: Request) -> set[str]:
    return {partition for _, partition in request}


def no_keys(action: str, request: Request) -> set[str]:
    return set()


@contextmanager
def iam(
    table: Table,
    keys_of: Callable[[str, Request], set[str]],
    role: dict[str, list[str]] | None = None,
) -> Iterator[None]:
    """Let IAM refuse what a role does not allow or the boundary of template.yaml denies."""
    boundary = resources()["FunctionBoundary"]["Properties"]["PolicyDocument"]["Statement"]
    [(_, denied, _)] = [statement["Fn::If"] for statement in boundary if "Fn::If" in statement]
    [protected] = denied["Condition"]["ForAnyValue:StringLike"][LEADING]
    allowed_to = ROLE if role is None else role

    def may(action: str, keys: set[str]) -> bool:
        is_denied = f"dynamodb:{action}" in denied["Action"] and matches_any(keys, [protected])
        patterns = allowed_to.get(action, [])
        # ForAllValues holds for no keys at all.
        return (
            not is_denied and bool(patterns) and all(matches_any({key}, patterns) for key in keys)
        )

    def decide(params: dict[str, Any], model: Any, **_: Any) -> Any:
        request = asked(json.loads(params["body"]), model.name)
        if all(may(action, keys_of(action, request)) for action, _ in request):
            return None
        error = {"Error": {"Code": "AccessDeniedException", "Message": "not authorized"}}
        return AWSResponse("http://dynamodb", 400, HTTPHeaders(), None), error

    table.client.meta.events.register("before-call.dynamodb.*", decide)
    try:
        yield
    finally:
        table.client.meta.events.unregister("before-call.dynamodb.*", decide)


def matches_any(keys: Iterable[str], patterns: list[str]) -> bool:
    return any(fnmatchcase(key, pattern) for key in keys for pattern in patterns)


def asked(body: dict[str, Any], operation: str) -> Request:
    """Return the actions of a request as IAM sees them."""
    items = body.get("TransactItems", [{operation.removesuffix("Item"): body}])
    return [
        (IN_TRANSACTIONS[kind], (request["Item"] if kind == "Put" else request["Key"])["pk"]["S"])
        for item in items
        for kind, request in item.items()
    ]


def test_a_role_that_works_as_assumed_passes_and_nothing_is_written(table: Table) -> None:
    before = table.client.scan(TableName=table.name)["Items"]
    with iam(table, own_keys):
        prove_partitions(table)
    assert table.client.scan(TableName=table.name)["Items"] == before


@pytest.mark.parametrize(
    ("keys_of", "found"),
    [
        (all_keys, "Refused: a transaction over three partitions. Not refused: nothing."),
        (
            no_keys,
            (
                "Refused: nothing. Not refused: a change of an entry, "
                "a change of an entry in a transaction, an item in another partition."
            ),
        ),
    ],
)
def test_another_evaluation_is_said_with_what_it_refuses_and_what_it_lets_through(
    table: Table, keys_of: Callable[[str, Request], set[str]], found: str
) -> None:
    with iam(table, keys_of), pytest.raises(CanaryError) as raised:
        prove_partitions(table)
    assert str(raised.value).endswith(found)


@pytest.mark.parametrize("action", ROLE)
def test_every_action_of_the_role_is_used(table: Table, action: str) -> None:
    rest = {name: patterns for name, patterns in ROLE.items() if name != action}
    with iam(table, own_keys, rest), pytest.raises(CanaryError, match="Refused: a "):
        prove_partitions(table)


def test_a_role_that_may_change_entries_is_stopped_by_the_boundary(table: Table) -> None:
    wide = ROLE | {"UpdateItem": ["*"], "DeleteItem": ["*"]}
    with iam(table, own_keys, wide):
        prove_partitions(table)


def test_a_table_without_any_iam_lets_everything_through(table: Table) -> None:
    with pytest.raises(CanaryError, match=r"Not refused: .+ the deletion of an entry"):
        prove_partitions(table)

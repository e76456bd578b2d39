"""Whether a role of the functions' form would work, for each way in which IAM might evaluate it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse, HTTPHeaders

from scrip.store.canary import CanaryError, EntryProtection, prove_partitions
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
BOUNDARY = [
    statement["Fn::If"][1]
    for statement in resources()["FunctionBoundary"]["Properties"]["PolicyDocument"]["Statement"]
    if "Fn::If" in statement
]
"""What the boundary of all functions denies about entries."""


def own_keys(action: str, request: Request) -> set[str]:
    """As Scrip assumes: an action is evaluated with the partitions of its own items."""
    return {partition for one, partition in request if one == action}


def all_keys(action: str, request: Request) -> set[str]:
    return {partition for _, partition in request}


def no_keys_together(action: str, request: Request) -> set[str]:
    return own_keys(action, request) if len(request) == 1 else set()


def no_keys(action: str, request: Request) -> set[str]:
    return set()


@contextmanager
def iam(
    table: Table,
    keys_of: Callable[[str, Request], set[str]],
    role: dict[str, list[str]] = ROLE,
    boundary: list[dict[str, Any]] = BOUNDARY,
) -> Iterator[None]:
    """Let IAM refuse what a role does not allow or the boundary of template.yaml denies."""

    def may(action: str, keys: set[str]) -> bool:
        is_denied = any(
            f"dynamodb:{action}" in one["Action"]
            and matches_any(keys, one["Condition"]["ForAnyValue:StringLike"][LEADING])
            for one in boundary
        )
        patterns = role.get(action, [])
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
        assert prove_partitions(table) is EntryProtection.ALL
    assert table.client.scan(TableName=table.name)["Items"] == before


def test_transactions_without_partitions_work_and_are_said_to_protect_no_entry(
    table: Table,
) -> None:
    with iam(table, no_keys_together):
        assert prove_partitions(table) is EntryProtection.SINGLE


@pytest.mark.parametrize(
    ("keys_of", "found"),
    [
        (all_keys, "Refused: a transaction over three partitions. Not refused: nothing."),
        (
            no_keys,
            (
                "Refused: nothing. Not refused: a change of an entry, "
                "the deletion of an entry, an item in another partition."
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


@pytest.mark.parametrize("action", sorted(ROLE.keys() - {"DeleteItem"}))
def test_every_action_that_functions_need_is_proven(table: Table, action: str) -> None:
    rest = {name: patterns for name, patterns in ROLE.items() if name != action}
    with iam(table, own_keys, rest), pytest.raises(CanaryError, match="Refused: a "):
        prove_partitions(table)


def test_only_the_boundary_keeps_the_role_from_changing_entries(table: Table) -> None:
    with iam(table, own_keys, boundary=[]), pytest.raises(CanaryError) as raised:
        prove_partitions(table)
    assert str(raised.value).endswith(
        "Refused: nothing. Not refused: a change of an entry, the deletion of an entry."
    )

"""Schemathesis hooks: a check of our own, and what the requests must not change."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, HookContext, Response

NOT_IN_A_SCHEMA = (
    "Input should be a valid integer",  # 5.0 is an integer in JSON Schema, but not an amount
    "counts nothing",  # usage of which every count is 0
    "metadata ",  # its size, its depth, NUL characters in it
    "email or account_id, not both",
    "query.to: after `from`",
    "query.to: too far away",
    "within the years 1 to 9999",
    "only an admin can leave one",  # a note with a service's refund
)
"""Why data that the document allows may still be `invalid`."""

TOO_LONG = 431
"""The local server's status for a URL over its limit; API Gateway has a limit, too."""

KEPT = frozenset(os.environ["FUZZ_KEPT"].split())
"""Plans, features and accounts that other tests use."""


@schemathesis.check
def valid_data_is_not_invalid(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """Check that data that the document allows is never refused as invalid."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code != 422 or response.json()["code"] != "invalid":
        return
    wrong = [
        error
        for error in response.json()["errors"]
        if not any(known in error for known in NOT_IN_A_SCHEMA)
    ]
    assert not wrong, f"the document allows what was refused: {wrong}"


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Case[Any], response: Response) -> bool:
    """Ignore failures of URLs that are too long for the server, which never calls Scrip then."""
    return response.status_code != TOO_LONG


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Redirect requests that would close an account, set its clock, or edit a plan or feature."""
    names = ["plan_id", "feature_id"]
    if case.method == "DELETE" or case.operation.path.endswith("/clock"):
        names.append("account_id")
    for name in names:
        if case.path_parameters.get(name) in KEPT:
            case.path_parameters[name] = "another"

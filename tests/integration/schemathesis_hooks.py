"""What Schemathesis is told beside its settings: a check of ours, and what to leave alone."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import schemathesis

if TYPE_CHECKING:
    from schemathesis import Case, CheckContext, HookContext, Response

NOT_IN_A_SCHEMA = (
    "Input should be a valid integer",  # 5.0 is an integer to JSON Schema, and no amount of ours
    "metadata ",  # its size, its depth, NUL characters in it
    "email or account_id, not both",
    "query.to: after `from`",
    "query.to: too far away",
    "within the years 1 to 9999",
    "only an admin can leave one",  # a note with a service's refund
)
"""Why data that the document allows may still be `invalid`."""

TOO_LONG = 431
"""What the local server answers to addresses beyond its bound; API Gateway has one, too."""

KEPT = frozenset(os.environ["FUZZ_KEPT"].split())
"""Plans and features that other tests use, and accounts that are not to be closed."""


@schemathesis.check
def valid_data_is_not_invalid(ctx: CheckContext, response: Response, case: Case[Any]) -> None:
    """What the document allows is refused by what there is, and never by its form."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if response.status_code != 422 or response.json()["code"] != "invalid":
        return
    wrong = [
        error
        for error in response.json()["errors"]
        if not any(known in error for known in NOT_IN_A_SCHEMA)
    ]
    assert not wrong, f"the document allows what was sent, but: {wrong}"


@schemathesis.hook
def filter_failure(context: Any, failure: Any, case: Case[Any], response: Response) -> bool:
    """Let pass that an address was too long for the server in front, which asks nothing of ours."""
    return response.status_code != TOO_LONG


@schemathesis.hook
def before_call(context: HookContext, case: Case[Any], kwargs: dict[str, Any]) -> None:
    """Turn away what would close an account, or edit a plan or feature, that is to be kept."""
    names = ["plan_id", "feature_id"]
    if case.method == "DELETE":
        names.append("account_id")
    for name in names:
        if case.path_parameters.get(name) in KEPT:
            case.path_parameters[name] = "another"

"""What IAM's simulation answers, as the service documents it."""

from typing import Any

import pytest

from scrip_cli.smoke.parts import allowed


def result(action: str, decision: str) -> dict[str, Any]:
    return {
        "EvalActionName": action,
        "EvalResourceName": "arn:aws:dynamodb:eu-central-1:123456789012:table/scrip-Table-1ABC",
        "EvalDecision": decision,
        "MatchedStatements": [
            {
                "SourcePolicyId": "FunctionBoundary",
                "SourcePolicyType": "IAM Policy",
                "StartPosition": {"Line": 1, "Column": 118},
                "EndPosition": {"Line": 1, "Column": 466},
            }
        ],
        "MissingContextValues": [],
        "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": False},
    }


@pytest.mark.parametrize(
    ("decision", "found"),
    [("allowed", ["dynamodb:UpdateItem"]), ("explicitDeny", []), ("implicitDeny", [])],
)
def test_only_what_iam_would_allow_is_named(decision: str, found: list[str]) -> None:
    assert allowed([result("dynamodb:UpdateItem", decision)]) == found

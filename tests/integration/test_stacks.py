"""Several stacks in one account and region, and parameters that change while a stack runs."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError
from samcli.yamlhelper import yaml_parse

from scrip_cli.errors import CommandError
from scrip_cli.local.build import run_sam
from scrip_cli.local.stack import STACK_NAME, host_architecture
from tests.functional.conftest import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

SECOND = "second"

UPDATE_SECONDS = 120

WITHIN_ITS_OWN = {
    "AWS::ApiGatewayV2::Stage",
    "AWS::Cognito::UserPoolGroup",
    "AWS::Cognito::UserPoolResourceServer",
}
"""Resources whose names are unique within one that is the stack's own."""

CHANGES: list[dict[str, str]] = [
    {"Stage": "prod"},
    {"SignupCredits": "100"},
    {"DefaultPlan": "pro"},
    {"ResetAnchor": "month"},
    {"TimeZone": "Europe/Berlin"},
    {"MatchTypedNames": "yes"},
    {"TopUpUrl": f"https://app.example/{'top-up/' * 60}"},
    {"ServiceTokens": "no"},
    {"RequireMfa": "yes"},
    {"UserPoolTier": "ESSENTIALS"},
    {"EmailFrom": "no-reply@app.example", "EmailIdentity": "app.example"},
    {
        "DomainName": "credits.app.example",
        "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/00000000",
    },
    {"IamCallers": "On"},
    {"AllowedOrigins": "https://app.example"},
    {"PartitionConditions": "no"},
    {"LowCredits": "5"},
    {"StripeApiUrl": "https://stripe.example"},
    {"StripeConnectedAccounts": "acct_1"},
    {"SnapStart": "On"},
    {"Tracing": "On"},
    {"ConsumeConcurrency": "5"},
    {"GradualDeployment": "true"},
    {"AlarmEmail": "operator@example.com"},
    {"LogRetentionDays": "7"},
]

NOT_HERE = {
    "Architecture": "the functions of another one do not run on this machine",
    "ConsoleClientId": "for an issuer of your own",
    "ExistingTableStream": "needs a restored table",
    "Faults": "test_faults.py changes it",
    "HostedZoneId": "needs a zone",
    "JwtAudience": "for an issuer of your own",
    "JwtIssuer": "needs one that answers",
}


def deploy(stack: LocalStack, name: str, *parameters: str) -> None:
    """Deploy the build of a local stack once more, under another name."""
    run_sam(
        stack,
        "deploy",
        *("--template-file", str(stack.build_dir / "template.yaml")),
        *("--stack-name", name, "--s3-bucket", f"{STACK_NAME}-artifacts"),
        *("--capabilities", "CAPABILITY_IAM", "--no-confirm-changeset", "--on-failure", "DELETE"),
        *("--parameter-overrides", f"Architecture={host_architecture()}", *parameters),
    )


def described(stack: LocalStack, name: str) -> dict[str, Any]:
    """Describe a stack that has come to rest."""
    cloudformation = stack.client("cloudformation")
    for _ in range(UPDATE_SECONDS):
        [found] = cloudformation.describe_stacks(StackName=name)["Stacks"]
        if not found["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.5)
    return found  # type: ignore[no-any-return]


def update(stack: LocalStack, changes: dict[str, str]) -> str:
    """Change parameters of the second stack; return its state."""
    stack.client("cloudformation").update_stack(
        StackName=SECOND,
        UsePreviousTemplate=True,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
        Parameters=[
            {"ParameterKey": name, "ParameterValue": changes[name]}
            if name in changes
            else {"ParameterKey": name, "UsePreviousValue": True}
            for name in parameters()
        ],
    )
    return str(described(stack, SECOND)["StackStatus"])


def parameters() -> list[str]:
    return [*yaml_parse((ROOT / "template.yaml").read_text())["Parameters"]]


def resources(stack: LocalStack, name: str) -> dict[tuple[str, str], str]:
    """Return the physical IDs of a stack's resources by type and logical ID."""
    found = stack.client("cloudformation").describe_stack_resources(StackName=name)
    return {
        (one["ResourceType"], one["LogicalResourceId"]): one["PhysicalResourceId"]
        for one in found["StackResources"]
    }


def delete(stack: LocalStack, name: str) -> None:
    """Delete a stack, and wait until it is gone."""
    stack.client("cloudformation").delete_stack(StackName=name)
    with pytest.raises(ClientError, match="does not exist"):
        described(stack, name)


def data(stack: LocalStack) -> dict[str, set[str]]:
    """Return what outlives stacks: tables, pools and buckets, of all of them."""
    pools = stack.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
    return {
        "tables": {*stack.client("dynamodb").list_tables()["TableNames"]},
        "pools": {pool["Id"] for pool in pools},
        "buckets": {one["Name"] for one in stack.client("s3").list_buckets()["Buckets"]},
    }


@pytest.fixture
def second(stack: LocalStack) -> Iterator[dict[tuple[str, str], str]]:
    """The resources of another stack, of stage staging, beside the local one."""
    deploy(stack, SECOND, "Stage=staging")
    yield resources(stack, SECOND)
    stack.client("cloudformation").delete_stack(StackName=SECOND)


def test_two_stacks_of_different_stages_share_nothing_and_one_is_deleted_alone(
    stack: LocalStack, second: dict[tuple[str, str], str], user: Api
) -> None:
    first = resources(stack, STACK_NAME)
    shared = {type_ for (type_, _), name in second.items() if name in first.values()}
    assert {one for one in shared if not one.startswith("Custom::")} <= WITHIN_ITS_OWN

    delete(stack, SECOND)
    assert resources(stack, STACK_NAME) == first
    assert user.post("/me/consume", {"feature": "chat"}).status_code == 200
    # What people own is still there.
    assert second["AWS::DynamoDB::Table", "Table"] in data(stack)["tables"]
    assert second["AWS::Cognito::UserPool", "UserPool"] in data(stack)["pools"]
    assert second["AWS::S3::Bucket", "Bucket"] in data(stack)["buckets"]


def test_each_parameter_changes_on_a_running_stack_and_a_wrong_one_changes_nothing(
    stack: LocalStack, second: dict[tuple[str, str], str], subtests: pytest.Subtests
) -> None:
    assert sorted([*NOT_HERE, *(name for change in CHANGES for name in change)]) == sorted(
        parameters()
    )
    functions = stack.client("lambda")
    consume = second["AWS::Lambda::Function", "ConsumeFunction"]

    def live() -> dict[str, str]:
        version = functions.get_function_configuration(FunctionName=consume, Qualifier="live")
        return version["Environment"]["Variables"]  # type: ignore[no-any-return]

    for change in CHANGES:
        with subtests.test(json.dumps(change)):
            assert update(stack, change) == "UPDATE_COMPLETE"
    before = live()
    assert (before["STAGE"], before["TIME_ZONE"]) == ("prod", "Europe/Berlin")
    for wrong in ({"TimeZone": "Europe/Atlantis"}, {"DefaultPlan": "basic"}):
        assert update(stack, wrong) == "UPDATE_ROLLBACK_COMPLETE"
        assert live() == before


def test_a_creation_that_fails_says_why_and_leaves_no_data_behind(stack: LocalStack) -> None:
    before = data(stack)
    with pytest.raises(CommandError):
        deploy(stack, "third", "TimeZone=Europe/Atlantis")
    assert "TimeZone is Europe/Atlantis" in (stack.state_dir / "sam-deploy.log").read_text()
    assert data(stack) == before

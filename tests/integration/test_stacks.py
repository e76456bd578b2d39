"""Several stacks in one account and region, and parameters that change while a stack runs."""

from __future__ import annotations

import json
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import HTTPServer, SimpleHTTPRequestHandler
from ipaddress import IPv4Address
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from samcli.yamlhelper import yaml_parse

from scrip_cli.errors import CommandError
from scrip_cli.local.build import run_sam
from scrip_cli.local.ministack_gaps import allow_http
from scrip_cli.local.stack import STACK_NAME, host_architecture
from scrip_client import Scrip
from tests.documentation import GUIDES, ROOT, session
from tests.integration.test_client import PATIENT
from tests.integration.test_events import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    {
        "SignupCredits": "100",
        "DefaultPlan": "pro",
        "ResetAnchor": "month",
        "TimeZone": "Europe/Berlin",
        "MatchTypedNames": "yes",
    },
    {"TopUpUrl": f"https://app.example/{'top-up/' * 60}"},
    {"ServiceTokens": "no", "RequireMfa": "yes", "UserPoolTier": "ESSENTIALS"},
    {"EmailFrom": "no-reply@app.example", "EmailIdentity": "app.example"},
    {
        "DomainName": "credits.app.example",
        "CertificateArn": "arn:aws:acm:us-east-1:000000000000:certificate/00000000",
    },
    {"IamCallers": "On"},
    {"AllowedOrigins": "https://app.example"},
    {"PartitionConditions": "no"},
    {
        "LowCredits": "5",
        "StripeApiUrl": "https://stripe.example",
        "StripeConnectedAccounts": "acct_1",
        "RequiredFeatures": ",".join(f"feature-{number:03}" for number in range(80)),
    },
    {"SnapStart": "On"},
    {"Tracing": "On", "AmazonRoots": "Off"},
    {"ConsumeConcurrency": "5"},
    {"GradualDeployment": "true"},
    {"AlarmEmail": "operator@example.com", "LogRetentionDays": "7"},
]

NOT_HERE = {
    "Architecture": "needs another build, whose functions do not run on this machine",
    "ExistingTableStream": "a test of its own below changes it",
    "Faults": "test_faults.py changes it",
}

OWN_ISSUER = {"JwtAudience": "https://scrip.example", "ConsoleClientId": "console"}

RESTORE = ROOT / "docs/how-to/restore-from-backup.md"
ADOPTION = ("Restore to a new table", "Let the stack use a restored table")
"""The sections of the guide whose commands restore a table that a stack can go on with."""


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


def reasons(stack: LocalStack) -> str:
    """Return what the second stack's events give as reasons."""
    found = stack.client("cloudformation").describe_stack_events(StackName=SECOND)["StackEvents"]
    return "\n".join(one.get("ResourceStatusReason", "") for one in found)


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
    """Return what outlives stacks: tables, pools, keys and buckets, of all of them."""
    pools = stack.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]
    return {
        "tables": {*stack.client("dynamodb").list_tables()["TableNames"]},
        "pools": {pool["Id"] for pool in pools},
        "parameters": {
            one["Name"] for one in stack.client("ssm").describe_parameters()["Parameters"]
        },
        "buckets": {one["Name"] for one in stack.client("s3").list_buckets()["Buckets"]},
    }


def restored(stack: LocalStack) -> str:
    """Restore the local stack's table as the guide does; return the ARN of the new one's stream."""
    commands = [
        block.text
        for block in (*session(GUIDES), *session(RESTORE))
        if "output() {" in block.text or (block.heading in ADOPTION and block.language == "sh")
    ]
    ran = subprocess.run(
        ["bash", "-e", "-c", "".join([*commands, "echo $stream"])],
        env={**stack.aws_environment(), "SCRIP_STACK_NAME": STACK_NAME},
        capture_output=True,
        text=True,
        check=True,
    )
    return ran.stdout.split()[-1]


def make_zone(stack: LocalStack, domain: str) -> str:
    """Make a hosted zone; return its ID."""
    made = stack.client("route53").create_hosted_zone(Name=domain, CallerReference=domain)
    return str(made["HostedZone"]["Id"]).removeprefix("/hostedzone/")


def certify(path: Path) -> None:
    """Write a key and a certificate for this machine, which vouches for itself."""
    key = generate_private_key(SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer")])
    host = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(host, critical=False)
        .sign(key, SHA256())
    )
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """The address of an OIDC issuer, and the certificate to trust it by."""
    certificate, served = tmp_path / "issuer.pem", tmp_path / "served"
    certify(certificate)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    handler = partial(SimpleHTTPRequestHandler, directory=served)
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        url = f"https://127.0.0.1:{server.server_port}"
        (served / ".well-known").mkdir(parents=True)
        (served / ".well-known/openid-configuration").write_text(json.dumps({"issuer": url}))
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        yield url, certificate
        server.shutdown()


@pytest.fixture(scope="module")
def second(stack: LocalStack) -> Iterator[dict[tuple[str, str], str]]:
    """The resources of another stack, of stage staging, beside the local one.

    Deploying takes long, so the tests use the same one; the last of them deletes it.
    """
    deploy(stack, SECOND, "Stage=staging")
    yield resources(stack, SECOND)
    stack.client("cloudformation").delete_stack(StackName=SECOND)


def test_two_stacks_of_different_stages_share_nothing(
    stack: LocalStack, second: dict[tuple[str, str], str]
) -> None:
    first = resources(stack, STACK_NAME)
    shared = {type_ for (type_, _), name in second.items() if name in first.values()}
    assert {one for one in shared if not one.startswith("Custom::")} <= WITHIN_ITS_OWN


def test_each_parameter_changes_on_a_running_stack_and_a_wrong_one_changes_nothing(
    stack: LocalStack,
    second: dict[tuple[str, str], str],
    issuer: tuple[str, Path],
    subtests: pytest.Subtests,
) -> None:
    url, certificate = issuer
    zone = make_zone(stack, "app.example")
    changes = [*CHANGES, {"HostedZoneId": zone}]
    own = {"JwtIssuer": url, **OWN_ISSUER}
    assert sorted([*NOT_HERE, *(name for change in (*changes, own) for name in change)]) == sorted(
        parameters()
    )
    functions = stack.client("lambda")

    def live(function: str, **qualifier: str) -> dict[str, str]:
        found = functions.get_function_configuration(
            FunctionName=second["AWS::Lambda::Function", function], **qualifier
        )
        return found["Environment"]["Variables"]  # type: ignore[no-any-return]

    for change in changes:
        with subtests.test(json.dumps(change)):
            assert update(stack, change) == "UPDATE_COMPLETE"
    records = stack.client("route53").list_resource_record_sets(HostedZoneId=zone)
    assert "credits.app.example." in {one["Name"] for one in records["ResourceRecordSets"]}

    trusting = live("BootstrapFunction") | {"SSL_CERT_FILE": str(certificate)}
    functions.update_function_configuration(
        FunctionName=second["AWS::Lambda::Function", "BootstrapFunction"],
        Environment={"Variables": trusting},
    )
    assert update(stack, own) == "UPDATE_COMPLETE"
    console = live("ConsoleFunction")
    assert (
        console["SIGN_IN_AUTHORITY"],
        console["SIGN_IN_AUDIENCE"],
        console["SIGN_IN_CLIENT_ID"],
    ) == (url, *OWN_ISSUER.values())

    before = live("ConsumeFunction", Qualifier="live")
    assert (before["STAGE"], before["TIME_ZONE"]) == ("prod", "Europe/Berlin")
    for wrong, reason in (
        ({"JwtIssuer": f"{url}/none"}, "is not the configuration of an OIDC issuer."),
        ({"TimeZone": "Europe/Atlantis"}, "which is not an IANA time zone"),
        # It changes the environment of the function that checks, which then trusts no such issuer.
        ({"DefaultPlan": "basic"}, "which is not an active plan in the catalog."),
    ):
        assert update(stack, wrong) == "UPDATE_ROLLBACK_COMPLETE"
        assert reason in reasons(stack)
        assert live("ConsumeFunction", Qualifier="live") == before
    # The issuer goes with this test, and the stack goes on.
    assert update(stack, dict.fromkeys(own, "")) == "UPDATE_COMPLETE"


def test_a_stack_goes_on_with_a_restored_table_and_is_deleted_alone(
    stack: LocalStack,
    second: dict[tuple[str, str], str],
    user: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first = resources(stack, STACK_NAME)
    bucket = second["AWS::S3::Bucket", "Bucket"]
    allow_http(stack, bucket)
    user.post("/me/consume", {"feature": "chat"})
    stream = restored(stack)

    deploy(stack, SECOND, "IamCallers=On", f"ExistingTableStream={stream}")
    for name, value in stack.aws_environment().items():
        monkeypatch.setenv(name, value)
    http = httpx.Client(trust_env=False)
    with Scrip.on_aws(stack=SECOND, retries=PATIENT, http=http) as scrip:
        assert scrip.balance(user.account_id).available == 10_095
        assert scrip.consume(user.account_id, "chat").account.available == 10_090
    # Its stream has what is new, and nothing of what was restored.
    archived = until(lambda: stack.client("s3").list_objects_v2(Bucket=bucket)["KeyCount"], bool)
    assert archived == 1

    delete(stack, SECOND)
    assert resources(stack, STACK_NAME) == first
    assert user.post("/me/consume", {"feature": "chat"}).json()["account"]["available"] == 10_090
    # What people own is still there.
    table = stream.split("/")[1]
    left = data(stack)
    assert {table, second["AWS::DynamoDB::Table", "Table"]} <= left["tables"]
    assert second["AWS::Cognito::UserPool", "UserPool"] in left["pools"]
    assert bucket in left["buckets"]
    key = {"pk": {"S": f"ACCOUNT#{user.account_id}"}, "sk": {"S": "ACCOUNT"}}
    item = stack.client("dynamodb").get_item(TableName=table, Key=key)["Item"]
    assert item["balance"] == {"N": "10090"}


def test_a_creation_that_fails_says_why_and_leaves_no_data_behind(stack: LocalStack) -> None:
    before = data(stack)
    with pytest.raises(CommandError):
        deploy(stack, "third", "TimeZone=Europe/Atlantis")
    assert "TimeZone is Europe/Atlantis" in (stack.state_dir / "sam-deploy.log").read_text()
    assert data(stack) == before

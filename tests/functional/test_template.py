"""What template.yaml promises about roles and data."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from samcli.yamlhelper import yaml_parse

from functions.audit.handler import MARGIN_MILLISECONDS
from functions.audit.rounds import ACCOUNT_SECONDS_MAX
from scrip_cli.local.intrinsics import Intrinsics
from tests.functional.conftest import ROOT, openapi, resources

PART = r"\$\{([A-Za-z]+)\.(Arn)\}/(?:index/[a-z]+|entries/\*)"
"""How a policy names a part of a resource."""

MAILBOX_KEY = {
    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter"
    "/scrip/${AWS::StackName}/mailbox-key"
}
"""What the stack makes by a function of its own."""

READ = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
SCAN = "dynamodb:Scan"


def functions() -> list[str]:
    return [
        name
        for name, resource in resources().items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]


def grants(function: str) -> Iterator[tuple[str, str]]:
    """Every action that a function may do, with each partition it may do it to."""
    for policy in resources()[function]["Properties"].get("Policies", []):
        for statement in policy["Statement"]:
            if statement["Action"] == SCAN or not statement["Action"].startswith("dynamodb:"):
                continue
            [[key, partitions]] = statement["Condition"]["ForAllValues:StringLike"].items()
            assert key == "dynamodb:LeadingKeys"
            for partition in partitions:
                yield statement["Action"], partition


@pytest.mark.parametrize("function", functions())
def test_no_function_changes_an_entry_or_deletes_anything_but_names(function: str) -> None:
    allowed = set(grants(function))
    assert {action for action, partition in allowed if partition == "LEDGER#*"} <= READ | {
        "dynamodb:PutItem",
    }
    kept = {partition for action, partition in allowed if action == "dynamodb:DeleteItem"}
    assert kept <= {"ALIAS#*", "NAMES#*"}


def test_only_the_audit_scans_and_sees_nothing_but_keys_and_whose_they_are() -> None:
    scans = {
        name: statement["Condition"]
        for name in functions()
        for policy in resources()[name]["Properties"].get("Policies", [])
        for statement in policy["Statement"]
        if statement["Action"] == SCAN
    }
    assert scans == {
        "AuditFunction": {
            "ForAllValues:StringEquals": {"dynamodb:Attributes": ["pk", "sk", "account_id"]},
            # All attributes are not a list of attributes.
            "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
        },
    }
    changed = {(what, where) for what, where in grants("AuditFunction") if what not in READ}
    assert changed == {("dynamodb:PutItem", "AUDIT")}


def test_runs_of_the_audit_follow_each_other_and_a_last_page_has_time() -> None:
    audit = resources()["AuditFunction"]["Properties"]
    [schedule] = audit["Events"].values()
    minutes = int(schedule["Properties"]["ScheduleExpression"].split("(")[1].split()[0])
    begins_pages_for = audit["Timeout"] - MARGIN_MILLISECONDS / 1000
    assert 0.9 < begins_pages_for / (minutes * 60) <= 1
    assert MARGIN_MILLISECONDS / 1000 > ACCOUNT_SECONDS_MAX


@pytest.mark.parametrize(
    "function", sorted({*functions()} - {"BootstrapFunction", "CatalogFunction"})
)
def test_only_the_bootstrap_and_the_catalogs_own_function_write_the_catalog(function: str) -> None:
    assert {action for action, partition in grants(function) if partition == "CATALOG"} <= READ


def test_consume_cannot_delete_scan_or_touch_the_catalog() -> None:
    # It reads prices. All else is accounts, and entries that it may add.
    assert set(grants("ConsumeFunction")) == {
        ("dynamodb:GetItem", "ACCOUNT#*"),
        ("dynamodb:GetItem", "LEDGER#*"),
        ("dynamodb:Query", "CATALOG"),
        ("dynamodb:UpdateItem", "ACCOUNT#*"),
        ("dynamodb:PutItem", "LEDGER#*"),
        ("dynamodb:PutItem", "WELCOME#*"),
    }


@pytest.mark.parametrize("function", functions())
def test_a_role_names_what_it_allows_on_resources_of_the_stack(function: str) -> None:
    for policy in resources()[function]["Properties"].get("Policies", []):
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            assert re.fullmatch("[a-z0-9-]+:[A-Za-z]+", statement["Action"])
            listed = statement["Resource"]
            for resource in listed if isinstance(listed, list) else [listed]:
                if resource == MAILBOX_KEY:
                    assert statement["Action"] in {"ssm:GetParameter", "ssm:PutParameter"}
                    continue
                part = re.fullmatch(PART, resource.get("Fn::Sub", ""))
                owner, attribute = part.groups() if part else resource["Fn::GetAtt"]
                assert owner in resources()
                assert attribute in {"Arn", "Id"}
    # A pattern of partitions is one kind of item.
    for _, partition in grants(function):
        assert re.fullmatch(r"[A-Z]+(#\*)?", partition)


def test_no_role_can_be_widened_to_change_entries_or_to_read_what_others_own() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    boundary = {"Ref": "FunctionBoundary"}
    assert template["Globals"]["Function"]["PermissionsBoundary"] == boundary
    assert all("PermissionsBoundary" not in resources()[name]["Properties"] for name in functions())
    policy = resources()["FunctionBoundary"]["Properties"]["PolicyDocument"]
    _, entries, streams, queues = policy["Statement"]
    assert {entries["Effect"], streams["Effect"], queues["Effect"]} == {"Deny"}
    assert entries["Condition"] == {
        "ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["LEDGER#*"]},
    }
    assert entries["Resource"] == {"Fn::GetAtt": ["Table", "Arn"]}
    # Each way to change or remove an item that DynamoDB has, but for PutItem, which entries need.
    changes = {"UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLDelete"}
    assert set(entries["Action"]) == {f"dynamodb:{change}" for change in changes}
    assert streams["NotResource"] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    queue_names = {
        name for name, found in resources().items() if found["Type"] == "AWS::SQS::Queue"
    }
    assert {queue["Fn::GetAtt"][0] for queue in queues["NotResource"]} == queue_names


WAITED_FOR = (
    "AccountFunction",
    "AdjustFunction",
    "CatalogFunction",
    "ConsumeFunction",
    "RefundFunction",
    "SignupFunction",
)


@pytest.mark.parametrize(("wanted", "applied"), [("On", "PublishedVersions"), ("Off", "None")])
def test_what_people_wait_for_starts_from_a_snapshot_if_it_is_to(wanted: str, applied: str) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Parameters"]["SnapStart"]["Default"] == "Off"
    told = Intrinsics({"SnapStart": wanted}, template["Conditions"])
    for name in functions():
        properties = resources()[name]["Properties"]
        assert ("SnapStart" in properties) == (name in WAITED_FOR)
        if name in WAITED_FOR:
            assert properties["AutoPublishAlias"] == "live"
            assert told.resolve(properties["SnapStart"]) == {"ApplyOn": applied}


@pytest.mark.parametrize("function", WAITED_FOR)
def test_a_version_is_replaced_when_code_layer_properties_or_parameters_change(
    function: str,
) -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    properties = resources()[function]["Properties"]
    assert properties["AutoPublishAliasAllProperties"]
    assert resources()["Layer"]["Properties"]["PublishLambdaVersion"]
    # SAM sees no difference in `!Ref Parameter`, CloudFormation does in a description.
    common = json.dumps([template["Globals"]["Function"]["Environment"], properties])
    named = set(re.findall(r'"Ref": "([A-Za-z]+)"', common)) & set(template["Parameters"])
    described = properties["VersionDescription"]["Fn::Sub"]
    assert {*named, "Stage", "SnapStart"} == set(re.findall(r"\$\{([A-Za-z]+)\}", described))


def test_the_table_is_kept_protected_and_restorable() -> None:
    table: dict[str, Any] = resources()["Table"]
    properties = table["Properties"]
    assert table["UpdateReplacePolicy"] == "Retain"
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert properties["SSESpecification"]["SSEEnabled"]
    assert properties["TimeToLiveSpecification"]["AttributeName"] == "purge_at"
    assert properties["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_the_bucket_is_private_encrypted_and_only_over_tls() -> None:
    bucket, policy = (resources()[name]["Properties"] for name in ("Bucket", "BucketPolicy"))
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_only_who_opens_accounts_reads_the_mailboxes_key_and_none_changes_it() -> None:
    may: dict[str, set[str]] = {}
    for name in functions():
        for policy in resources()[name]["Properties"].get("Policies", []):
            for statement in policy["Statement"]:
                if statement["Action"].startswith("ssm:"):
                    may.setdefault(statement["Action"], set()).add(name.removesuffix("Function"))
    openers = {"Account", "Adjust", "Admin", "Consume", "Refund", "Signup", "Webhook"}
    assert may == {"ssm:GetParameter": openers, "ssm:PutParameter": {"Bootstrap"}}
    name = resources()["MailboxKey"]["Properties"]["Name"]
    assert MAILBOX_KEY["Fn::Sub"].endswith(f":parameter{name['Fn::Sub']}")


@pytest.mark.parametrize("name", ["Table", "Bucket", "UserPool"])
def test_what_people_own_outlives_the_stack(name: str) -> None:
    assert resources()[name]["DeletionPolicy"] == "Retain"


def test_an_update_replaces_nothing_that_has_state_or_is_known_by_its_name() -> None:
    # CloudFormation would make it new under another logical ID, and delete or abandon the old one.
    # Under another ID, what reads the stream would also begin again a day ago.
    assert resources().keys() >= {
        *("Table", "Bucket", "MailboxKey", "WebhookSecrets", "Api", "EventBus", "Alarms"),
        *("UserPool", "UserPoolDomain", "ResourceServer"),
        *("AppClient", "ConsoleClient", "ServiceClient"),
        *("EventsDeadLetters", "RenewQueue", "RenewDeadLetters"),
        *("EventsFunction", "MatchFunction"),
    }


def test_all_functions_log_to_one_group() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Globals"]["Function"]["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionLogs"}}
    assert all("LoggingConfig" not in resources()[name]["Properties"] for name in functions())
    kept = {"RetentionInDays": {"Ref": "LogRetentionDays"}}
    assert resources()["FunctionLogs"]["Properties"] == kept


def test_the_version_is_read_again_whenever_the_code_changes() -> None:
    template = yaml_parse((ROOT / "template.yaml").read_text())
    assert template["Outputs"]["Version"]["Value"] == {"Fn::GetAtt": ["Version", "Version"]}
    # The layer has the version, and another ARN for each of its contents.
    assert resources()["Version"]["Properties"]["Layer"] == {"Ref": "Layer"}


def test_a_message_that_fails_waits_for_the_worker_and_is_never_lost() -> None:
    worker = resources()["RenewFunction"]["Properties"]
    queue = resources()["RenewQueue"]["Properties"]
    assert queue["VisibilityTimeout"] >= 6 * worker["Timeout"]
    assert queue["RedrivePolicy"]["maxReceiveCount"] == 5
    source = worker["Events"]["Renewals"]["Properties"]
    assert source["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert source["ScalingConfig"]["MaximumConcurrency"] <= 10
    days_14 = 14 * 24 * 60 * 60
    assert resources()["RenewDeadLetters"]["Properties"]["MessageRetentionPeriod"] == days_14


def cors(allowed_origins: str) -> Any:
    """What pages of other origins may do."""
    conditions = yaml_parse((ROOT / "template.yaml").read_text())["Conditions"]
    names = {"AllowedOrigins": allowed_origins, "AWS::NoValue": None}
    asked = resources()["Api"]["Properties"]["CorsConfiguration"]
    return Intrinsics(names, conditions).resolve(asked)


def test_no_page_of_another_origin_may_call_unless_its_origin_is_named() -> None:
    assert cors("") is None
    assert cors("*")["AllowOrigins"] == ["*"]
    named = cors("https://app.example,http://localhost:5173")
    assert named["AllowOrigins"] == ["https://app.example", "http://localhost:5173"]


def test_a_page_may_send_all_that_the_api_reads_and_with_every_method() -> None:
    operations = [
        (method, operation)
        for methods in openapi()["paths"].values()
        for method, operation in methods.items()
    ]
    read = {
        parameter["name"].lower()
        for _, operation in operations
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header"
    }
    assert set(cors("*")["AllowHeaders"]) == read | {"authorization", "content-type"}
    assert {method.lower() for method in cors("*")["AllowMethods"]} == {m for m, _ in operations}


def test_the_apis_own_log_tells_of_no_person() -> None:
    told = re.findall(
        r"\$context\.(\w+)", resources()["Api"]["Properties"]["AccessLogSettings"]["Format"]
    )
    assert "requestId" in told
    assert not {"authorizer", "identity"} & set(told)

"""The rules of template.yaml for roles and data."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from functions.audit.handler import MARGIN_MILLISECONDS
from functions.audit.parts import ACCOUNT_SECONDS_MAX
from scrip_cli.local.intrinsics import Intrinsics
from tests.functional.conftest import openapi, resources, template

PART = r"\$\{([A-Za-z]+)\.(Arn)\}/entries/\*"
"""The form in which a policy names a part of a resource."""

STREAM = {"Ref": "ExistingTableStream"}
TABLE = {
    "Fn::If": [
        "OwnsTable",
        {"Fn::GetAtt": ["Table", "Arn"]},
        {"Fn::Select": [0, {"Fn::Split": ["/stream/", STREAM]}]},
    ]
}
"""The ARN of the stack's table, or of the restored one that it uses instead."""

OF_TABLE = [
    TABLE,
    *({"Fn::Sub": [f"${{Arn}}/index/{name}", {"Arn": TABLE}]} for name in ("directory", "history")),
]

MAILBOX_KEY = {
    "Fn::Sub": "arn:${AWS::Partition}:ssm:${AWS::Region}:${AWS::AccountId}:parameter"
    "/scrip/${AWS::StackName}/mailbox-key"
}
"""The parameter that the bootstrap function makes."""

OWN_STACK = {
    "Fn::Sub": "arn:${AWS::Partition}:cloudformation:${AWS::Region}:${AWS::AccountId}:stack"
    "/${AWS::StackName}/*"
}

URLS = {"ConsumeUrl", "RefundUrl", "AccountUrl", "CatalogUrl"}

READ = {"dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:Query"}
SCAN = "dynamodb:Scan"


def functions() -> list[str]:
    return [
        name
        for name, resource in resources().items()
        if resource["Type"] == "AWS::Serverless::Function"
    ]


def grants(function: str) -> Iterator[tuple[str, str]]:
    """Yield every action on the table that a function is allowed, with each of its partitions."""
    for policy in resources()[function]["Properties"].get("Policies", []):
        for statement in policy["Statement"]:
            if statement["Action"] == SCAN or not statement["Action"].startswith("dynamodb:"):
                continue
            [[key, partitions]] = statement["Condition"]["ForAllValues:StringLike"].items()
            assert key == "dynamodb:LeadingKeys"
            for partition in partitions:
                yield statement["Action"], partition


@pytest.mark.parametrize("function", functions())
def test_no_function_may_change_an_entry_or_delete_anything_but_aliases(function: str) -> None:
    allowed = set(grants(function))
    assert {action for action, partition in allowed if partition == "LEDGER#*"} <= READ | {
        "dynamodb:PutItem",
    }
    deletable = {partition for action, partition in allowed if action == "dynamodb:DeleteItem"}
    assert deletable <= {"ALIAS#*", "NAMES#*"}


def test_only_the_audit_may_scan_and_only_keys_and_whose_an_item_is() -> None:
    scans = {
        name: statement["Condition"]
        for name in functions()
        for policy in resources()[name]["Properties"].get("Policies", [])
        for statement in policy["Statement"]
        if statement["Action"] == SCAN
    }
    assert scans == {
        "AuditFunction": {
            "ForAllValues:StringEquals": {
                "dynamodb:Attributes": ["pk", "sk", "account_id", "moved"]
            },
            # A scan for all attributes has no list of attributes to check.
            "StringEqualsIfExists": {"dynamodb:Select": "SPECIFIC_ATTRIBUTES"},
        },
    }
    changed = {grant for grant in grants("AuditFunction") if grant[0] not in READ}
    assert changed == {
        ("dynamodb:PutItem", "AUDIT"),
        ("dynamodb:BatchWriteItem", "CHECKPOINT#*"),
        ("dynamodb:PutItem", "CHECKPOINT#*"),
        ("dynamodb:UpdateItem", "CHECKPOINT#*"),
    }


def test_workers_of_the_audit_leave_time_for_a_last_page() -> None:
    timeout = resources()["AuditFunction"]["Properties"]["Timeout"]
    assert ACCOUNT_SECONDS_MAX < MARGIN_MILLISECONDS / 1000 < timeout
    assert resources()["AuditQueue"]["Properties"]["VisibilityTimeout"] >= timeout


@pytest.mark.parametrize(
    "function", sorted({*functions()} - {"BootstrapFunction", "CatalogFunction"})
)
def test_only_the_bootstrap_and_the_catalogs_function_may_write_the_catalog(function: str) -> None:
    assert {action for action, partition in grants(function) if partition == "CATALOG"} <= READ


def test_consume_may_not_delete_scan_or_write_the_catalog() -> None:
    # It reads prices, changes accounts and adds entries.
    assert set(grants("ConsumeFunction")) == {
        ("dynamodb:GetItem", "ACCOUNT#*"),
        ("dynamodb:GetItem", "LEDGER#*"),
        ("dynamodb:GetItem", "WELCOME#*"),
        ("dynamodb:Query", "CATALOG"),
        ("dynamodb:UpdateItem", "ACCOUNT#*"),
        ("dynamodb:PutItem", "LEDGER#*"),
        ("dynamodb:PutItem", "WELCOME#*"),
    }


@pytest.mark.parametrize("function", functions())
def test_a_role_allows_named_actions_on_resources_of_the_stack_only(function: str) -> None:
    for policy in resources()[function]["Properties"].get("Policies", []):
        for statement in policy["Statement"]:
            assert statement["Effect"] == "Allow"
            assert re.fullmatch("[a-z0-9-]+:[A-Za-z]+", statement["Action"])
            listed = statement["Resource"]
            for resource in listed if isinstance(listed, list) else [listed]:
                if resource == MAILBOX_KEY:
                    assert statement["Action"].startswith("ssm:")
                    continue
                if resource in OF_TABLE:
                    assert statement["Action"].startswith("dynamodb:")
                    continue
                if resource == OWN_STACK:
                    assert statement["Action"] == "cloudformation:DescribeStacks"
                    continue
                part = re.fullmatch(PART, resource.get("Fn::Sub", ""))
                owner, attribute = part.groups() if part else resource["Fn::GetAtt"]
                assert owner in resources()
                assert attribute in {"Arn", "Id"}
    # A pattern of partitions matches one kind of item.
    for _, partition in grants(function):
        assert re.fullmatch(r"[A-Z]+(#\*)?", partition)


def test_the_boundary_denies_changes_of_entries_and_foreign_streams_and_queues() -> None:
    whole = template()
    boundary = {"Ref": "FunctionBoundary"}
    assert whole["Globals"]["Function"]["PermissionsBoundary"] == boundary
    assert all("PermissionsBoundary" not in resources()[name]["Properties"] for name in functions())
    policy = resources()["FunctionBoundary"]["Properties"]["PolicyDocument"]
    _, conditional, streams, queues = policy["Statement"]
    _, entries, _ = conditional["Fn::If"]
    assert {entries["Effect"], streams["Effect"], queues["Effect"]} == {"Deny"}
    assert entries["Condition"] == {
        "ForAnyValue:StringLike": {"dynamodb:LeadingKeys": ["LEDGER#*"]},
    }
    assert entries["Resource"] == TABLE
    # DynamoDB's actions that change or remove an item, except PutItem, which adds entries.
    changes = {"UpdateItem", "DeleteItem", "BatchWriteItem", "PartiQLUpdate", "PartiQLDelete"}
    assert set(entries["Action"]) == {f"dynamodb:{change}" for change in changes}
    assert streams["NotResource"]["Fn::If"][1] == {"Fn::GetAtt": ["Table", "StreamArn"]}
    queue_names = {
        name for name, found in resources().items() if found["Type"] == "AWS::SQS::Queue"
    }
    assert {queue["Fn::GetAtt"][0] for queue in queues["NotResource"]} == queue_names


def test_the_way_out_reaches_every_function_that_writes_in_transactions() -> None:
    way_out = resources()["AnyPartition"]["Properties"]
    [statement] = way_out["PolicyDocument"]["Statement"]
    updated = {
        name: {of for do, of in grants(name) if do.endswith("UpdateItem")} for name in functions()
    }
    # Checkpoints of the audit are in no transaction.
    writers = {name for name, partitions in updated.items() if partitions - {"CHECKPOINT#*"}}
    assert {role["Ref"] for role in way_out["Roles"]} == {f"{name}Role" for name in writers}
    assert statement["Action"] == [
        f"dynamodb:{action}Item" for action in ("Get", "Put", "Update", "Delete", "ConditionCheck")
    ]


INTERACTIVE = (
    "AccountFunction",
    "AdjustFunction",
    "CatalogFunction",
    "ConsumeFunction",
    "RefundFunction",
    "SignupFunction",
)


@pytest.mark.parametrize(("wanted", "applied"), [("On", "PublishedVersions"), ("Off", "None")])
def test_functions_that_users_wait_for_start_from_a_snapshot_if_it_is_on(
    wanted: str, applied: str
) -> None:
    whole = template()
    assert whole["Parameters"]["SnapStart"]["Default"] == "Off"
    intrinsics = Intrinsics({"SnapStart": wanted}, whole["Conditions"])
    for name in functions():
        properties = resources()[name]["Properties"]
        assert ("SnapStart" in properties) == (name in INTERACTIVE)
        if name in INTERACTIVE:
            assert properties["AutoPublishAlias"] == "live"
            assert intrinsics.resolve(properties["SnapStart"]) == {"ApplyOn": applied}


@pytest.mark.parametrize(("wanted", "mode"), [("On", "Active"), ("Off", "PassThrough")])
def test_functions_are_traced_only_on_request(wanted: str, mode: str) -> None:
    whole = template()
    assert whole["Parameters"]["Tracing"]["Default"] == "Off"
    intrinsics = Intrinsics({"Tracing": wanted}, whole["Conditions"])
    assert intrinsics.resolve(whole["Globals"]["Function"]["Tracing"]) == mode


@pytest.mark.parametrize("function", INTERACTIVE)
def test_a_version_is_replaced_when_code_layer_properties_or_parameters_change(
    function: str,
) -> None:
    whole = template()
    properties = resources()[function]["Properties"]
    assert properties["AutoPublishAliasAllProperties"]
    assert resources()["Layer"]["Properties"]["PublishLambdaVersion"]
    # SAM does not notice another value of `!Ref Parameter`, CloudFormation does in a description.
    common = json.dumps(
        [whole["Globals"]["Function"]["Environment"], properties.get("Environment")]
    )
    used = set(re.findall(r'"Ref": "([A-Za-z]+)"', common)) | {"Stage", "SnapStart", "Tracing"}
    digested = json.dumps(resources()["Settings"]["Properties"])
    for name in used & set(whole["Parameters"]):
        assert f'"Ref": "{name}"' in digested or f"${{{name}}}" in digested, name
    assert properties["VersionDescription"] == {"Fn::GetAtt": ["Settings", "Digest"]}
    # Lambda publishes no version of an unchanged function.
    environment = whole["Globals"]["Function"]["Environment"]["Variables"]
    assert environment["SETTINGS_DIGEST"] == properties["VersionDescription"]


def parameters(**changed: str) -> Intrinsics:
    """Return the rules that say which conditions hold for values of parameters."""
    names = {name: one.get("Default") for name, one in template()["Parameters"].items()}
    names["AWS::Partition"] = "aws"
    return Intrinsics(names | changed, template()["Conditions"])


def in_effect(node: Any, intrinsics: Intrinsics) -> Any:
    """Return the part of a template that conditions leave of it."""
    if isinstance(node, list):
        return [in_effect(one, intrinsics) for one in node]
    if not isinstance(node, dict):
        return node
    if "Fn::If" in node:
        condition, then, otherwise = node["Fn::If"]
        holds = intrinsics.resolve({"Condition": condition})
        return in_effect(then if holds else otherwise, intrinsics)
    condition = node.get("Condition")
    if isinstance(condition, str) and not intrinsics.resolve({"Condition": condition}):
        return None
    return {key: in_effect(value, intrinsics) for key, value in node.items()}


def refused(intrinsics: Intrinsics) -> bool:
    """Return whether a rule of the template refuses the parameters, before anything is deployed."""
    # A list of one member, as JwtAudience has it here, is compared like a text.
    rules = json.loads(
        json.dumps(template()["Rules"]).replace("Fn::EachMemberEquals", "Fn::Equals")
    )
    return any(
        intrinsics.resolve(rule["RuleCondition"]) and not intrinsics.resolve(assertion["Assert"])
        for rule in rules.values()
        for assertion in rule["Assertions"]
    )


@pytest.mark.parametrize("name", template()["Parameters"])
def test_a_parameter_that_does_nothing_without_another_is_refused_without_it(name: str) -> None:
    parameter = template()["Parameters"][name]
    values = parameter.get("AllowedValues", ["1"])
    [value, *_] = [one for one in values if one != parameter["Default"]]
    sections = {key: template()[key] for key in ("Globals", "Resources", "Outputs")}
    before = json.dumps(in_effect(sections, parameters()))
    after = json.dumps(in_effect(sections, parameters(**{name: value})))
    used = f'"Ref": "{name}"' in after or f"${{{name}}}" in after
    assert not refused(parameters())
    assert used or after != before or refused(parameters(**{name: value}))


def test_no_parameter_may_be_a_fraction() -> None:
    # Numbers of CloudFormation have them: 0.5 would fail each call, and 0.0 is not the 0 of "none".
    numbers = [one for one in template()["Parameters"].values() if one["Type"] == "Number"]
    assert all("AllowedValues" in number for number in numbers)


def test_no_parameter_takes_a_setting_out_of_the_pool_because_cognito_would_keep_it() -> None:
    assert "AWS::NoValue" not in json.dumps(resources()["UserPool"])


def test_the_table_is_retained_encrypted_and_restorable() -> None:
    table: dict[str, Any] = resources()["Table"]
    properties = table["Properties"]
    assert table["UpdateReplacePolicy"] == "Retain"
    assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"]
    assert properties["SSESpecification"]["SSEEnabled"]
    assert properties["TimeToLiveSpecification"]["AttributeName"] == "purge_at"
    assert properties["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"


def test_a_restored_table_takes_the_place_of_the_stacks_own_everywhere() -> None:
    whole = template()
    assert resources()["Table"]["Condition"] == "OwnsTable"
    restored = "arn:aws:dynamodb:eu-central-1:123456789012:table/restored"
    stream = f"{restored}/stream/2026-11-21T12:59:00.000"
    # An unknown name is an error: nothing but `OwnsTable` may lead to the table.
    intrinsics = Intrinsics({"ExistingTableStream": stream}, whole["Conditions"])
    assert intrinsics.resolve(TABLE) == restored
    shared = whole["Globals"]["Function"]["Environment"]["Variables"]["TABLE_NAME"]
    assert intrinsics.resolve(shared) == "restored"
    assert whole["Outputs"]["TableName"]["Value"] == shared
    assert resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][1] == {
        "TableName": shared
    }
    streams = [
        intrinsics.resolve(event["Properties"]["Stream"])
        for name in functions()
        for event in resources()[name]["Properties"].get("Events", {}).values()
        if event["Type"] == "DynamoDB"
    ]
    assert streams == [stream] * 2


def test_the_bucket_is_private_encrypted_and_requires_tls() -> None:
    bucket, policy = (resources()[name]["Properties"] for name in ("Bucket", "BucketPolicy"))
    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Condition"]) == (
        "Deny",
        {"Bool": {"aws:SecureTransport": "false"}},
    )


def test_only_functions_that_open_accounts_read_the_mailbox_key_and_one_makes_it() -> None:
    allowed: dict[str, set[str]] = {}
    for name in functions():
        for policy in resources()[name]["Properties"].get("Policies", []):
            for statement in policy["Statement"]:
                if statement["Action"].startswith("ssm:"):
                    allowed.setdefault(statement["Action"], set()).add(
                        name.removesuffix("Function")
                    )
    openers = {"Account", "Adjust", "Admin", "Consume", "Refund", "Signup", "Webhook"}
    assert allowed == {
        "ssm:GetParameter": openers,
        "ssm:PutParameter": {"Bootstrap"},
        "ssm:DeleteParameter": {"Bootstrap"},
    }
    name = resources()["MailboxKey"]["Properties"]["Name"]
    assert MAILBOX_KEY["Fn::Sub"].endswith(f":parameter{name['Fn::Sub']}")


@pytest.mark.parametrize("name", ["Table", "Bucket", "UserPool"])
def test_the_data_is_retained_when_the_stack_is_deleted(name: str) -> None:
    # But a creation that fails leaves nothing behind.
    assert resources()[name]["DeletionPolicy"] == "RetainExceptOnCreate"


def test_resources_with_state_or_a_known_name_keep_their_logical_ids() -> None:
    # Under another logical ID CloudFormation would make a new resource, and delete or abandon the
    # old one. A reader of the stream would also start again with the records of the last day.
    assert resources().keys() >= {
        *("Table", "Bucket", "MailboxKey", "WebhookSecrets", "Api", "EventBus", "Alarms"),
        *("UserPool", "UserPoolDomain", "ResourceServer"),
        *("AppClient", "ConsoleClient", "ServiceClient"),
        *("EventsDeadLetters", "RenewQueue", "RenewDeadLetters"),
        *("EventsFunction", "MatchFunction"),
    }


def test_all_functions_log_to_one_group() -> None:
    whole = template()
    assert whole["Globals"]["Function"]["LoggingConfig"] == {"LogGroup": {"Ref": "FunctionLogs"}}
    assert all("LoggingConfig" not in resources()[name]["Properties"] for name in functions())
    properties = {"RetentionInDays": {"Ref": "LogRetentionDays"}}
    assert resources()["FunctionLogs"]["Properties"] == properties


def test_the_version_is_updated_whenever_the_code_changes() -> None:
    whole = template()
    assert whole["Outputs"]["Version"]["Value"] == {"Fn::GetAtt": ["Version", "Version"]}
    # The layer contains the version, and its ARN changes with its content.
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
    """Return what pages of other origins may do."""
    conditions = template()["Conditions"]
    names = {"AllowedOrigins": allowed_origins, "AWS::NoValue": None}
    configuration = resources()["Api"]["Properties"]["CorsConfiguration"]
    return Intrinsics(names, conditions).resolve(configuration)


def test_only_pages_of_allowed_origins_may_call_the_api() -> None:
    assert cors("") is None
    assert cors("*")["AllowOrigins"] == ["*"]
    named = cors("https://app.example,http://localhost:5173")
    assert named["AllowOrigins"] == ["https://app.example", "http://localhost:5173"]


def test_a_page_may_send_every_header_and_method_of_the_api() -> None:
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


def test_the_access_log_contains_no_personal_data() -> None:
    logged = re.findall(r"\$context\.(\w+)", access_log())
    assert "requestId" in logged
    assert not {"authorizer", "identity"} & set(logged)


def access_log() -> str:
    return resources()["Api"]["Properties"]["AccessLogSettings"]["Format"]  # type: ignore[no-any-return]


def test_the_access_log_is_json_whatever_a_value_is_and_says_why_a_function_failed() -> None:
    # API Gateway escapes values, and a value that there is not is a minus sign: both need quotes.
    fields = json.loads(access_log())
    assert {"$context.error.message", "$context.integration.error"} <= set(fields.values())
    assert all(isinstance(value, str) for value in fields.values())


def test_every_route_without_a_token_has_a_throttle_of_its_own() -> None:
    public = {
        f"{trigger['Properties']['Method']} {trigger['Properties']['Path']}"
        for name in functions()
        for trigger in resources()[name]["Properties"].get("Events", {}).values()
        if trigger["Properties"].get("Auth") == {"Authorizer": "NONE"}
    }
    api = resources()["Api"]["Properties"]
    assert set(api["RouteSettings"]) == public
    rates = [throttle["ThrottlingRateLimit"] for throttle in api["RouteSettings"].values()]
    assert sum(rates) <= api["DefaultRouteSettings"]["ThrottlingRateLimit"] / 4


def test_function_urls_need_a_signature_and_exist_only_if_the_parameter_says_so() -> None:
    urls = {
        name: resource
        for name, resource in resources().items()
        if resource["Type"] == "AWS::Lambda::Url" or "FunctionUrlConfig" in str(resource)
    }
    assert urls.keys() == URLS
    for name, url in urls.items():
        assert url["Condition"] == "HasIamCallers"
        assert url["Properties"] == {
            "AuthType": "AWS_IAM",
            "TargetFunctionArn": {"Ref": f"{name.removesuffix('Url')}Function.Alias"},
        }


def test_a_back_end_may_invoke_functions_through_their_urls_only() -> None:
    called = [{"Ref": f"{name.removesuffix('Url')}Function.Alias"} for name in sorted(URLS)]
    [url, invocation, stack] = resources()["BackEndPolicy"]["Properties"]["PolicyDocument"][
        "Statement"
    ]
    assert (url["Action"], invocation["Action"]) == (
        "lambda:InvokeFunctionUrl",
        "lambda:InvokeFunction",
    )
    for statement in (url, invocation):
        assert sorted(statement["Resource"], key=str) == called
    # An event that the caller writes could name any token as verified.
    assert invocation["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}
    assert (stack["Action"], stack["Resource"]) == ("cloudformation:DescribeStacks", OWN_STACK)

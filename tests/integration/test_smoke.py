"""`scrip smoke`: what is broken by hand fails its own line, and no run leaves a trace."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from scrip_cli.exit_codes import ExitCode
from scrip_cli.local.stack import REGION, STACK_NAME
from scrip_cli.session import Session
from scrip_cli.smoke import parts, people
from scrip_cli.smoke.checks import CHECKS, Verdict, run_check
from scrip_cli.smoke.trial import Trial
from tests.conftest import SCRIP
from tests.integration.test_operators import local, operator

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_cli.local.stack import LocalStack

    type Repair = Callable[[], Any]

WAIT_SECONDS = 8
SECONDS_MAX = 60

UNPROVABLE = {"entry protection", "sign-up trigger", "scheduled runs", "speed"}
"""What a local stack that was deployed just now cannot prove."""

OTHERS = {"alarms", "dead letters", "health"}
"""What other tests may have left behind, since the stack is shared."""


class Parts:
    """A stack's parts. A method breaks one, and returns what repairs it."""

    def __init__(self, stack: LocalStack) -> None:
        self.session = Session(port=stack.port, state=stack.state_dir)
        self.outputs = self.session.outputs()
        self.ids = {
            name: id_ for names in self.session.resources().values() for name, id_ in names.items()
        }
        self.client = self.session.client

    def source_off(self, name: str) -> Repair:
        """Let a stream call its function no more."""
        switch = partial(self.client("lambda").update_event_source_mapping, UUID=self.ids[name])
        switch(Enabled=False)
        return partial(switch, Enabled=True)

    def schedule_off(self, name: str) -> Repair:
        return self._schedule(name, State="DISABLED")

    def schedule_to(self, name: str, function: str) -> Repair:
        """Let a schedule call another function than its own."""
        lambda_ = self.client("lambda")
        found = lambda_.get_function_configuration(FunctionName=self.ids[function])
        target = self.client("scheduler").get_schedule(Name=self.ids[name])["Target"]
        return self._schedule(name, Target=target | {"Arn": found["FunctionArn"]})

    def _schedule(self, name: str, **changes: Any) -> Repair:
        client = self.client("scheduler")
        known = client.get_schedule(Name=self.ids[name])
        fields = ("Name", "ScheduleExpression", "FlexibleTimeWindow", "State", "Target")
        schedule = {field: known[field] for field in fields}
        client.update_schedule(**schedule | changes)
        return partial(client.update_schedule, **schedule)

    def open_route(self, key: str) -> Repair:
        """Let anybody call a route."""
        client, route = self._route(key)
        which = {"ApiId": self.ids["Api"], "RouteId": route["RouteId"]}
        client.update_route(**which, AuthorizationType="NONE")
        return partial(
            client.update_route,
            **which,
            AuthorizationType=route["AuthorizationType"],
            AuthorizerId=route["AuthorizerId"],
        )

    def no_route(self, key: str) -> Repair:
        client, route = self._route(key)
        api = {"ApiId": self.ids["Api"]}
        client.delete_route(**api, RouteId=route["RouteId"])
        fields = ("RouteKey", "Target", "AuthorizationType", "AuthorizerId")
        return partial(client.create_route, **api, **{field: route[field] for field in fields})

    def _route(self, key: str) -> tuple[Any, dict[str, Any]]:
        client = self.client("apigatewayv2")
        pages = client.get_paginator("get_routes").paginate(ApiId=self.ids["Api"])
        [route] = [one for page in pages for one in page["Items"] if one["RouteKey"] == key]
        return client, route

    def no_trigger(self) -> Repair:
        """Let the pool call no function after a sign-up."""
        client, pool = self.client("cognito-idp"), {"UserPoolId": self.ids["UserPool"]}
        known = client.describe_user_pool(**pool)["UserPool"]["LambdaConfig"]
        client.update_user_pool(**pool, LambdaConfig={})
        return partial(client.update_user_pool, **pool, LambdaConfig=known)

    def ringing(self, alarm: str) -> Repair:
        ring = partial(
            self.client("cloudwatch").set_alarm_state,
            AlarmName=self.ids[alarm],
            StateReason="a drill",
        )
        ring(StateValue="ALARM")
        return partial(ring, StateValue="OK")

    def no_subscriber(self) -> Repair:
        """Let nobody hear of alarms."""
        sns, topic = self.client("sns"), {"TopicArn": self.ids["Alarms"]}
        [known] = sns.list_subscriptions_by_topic(**topic)["Subscriptions"]
        sns.unsubscribe(SubscriptionArn=known["SubscriptionArn"])
        return partial(
            sns.subscribe, **topic, Protocol=known["Protocol"], Endpoint=known["Endpoint"]
        )

    def message_in(self, queue: str) -> Repair:
        sqs, url = self.client("sqs"), self.ids[queue]
        sqs.send_message(QueueUrl=url, MessageBody="{}")
        return partial(sqs.purge_queue, QueueUrl=url)

    def no_index(self, name: str) -> Repair:
        """Delete an index of the table."""
        table = {"TableName": self.outputs["TableName"]}
        client = self.client("dynamodb")
        known = client.describe_table(**table)["Table"]
        [index] = [one for one in known["GlobalSecondaryIndexes"] if one["IndexName"] == name]
        made = {field: index[field] for field in ("IndexName", "KeySchema", "Projection")}
        client.update_table(**table, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}])
        return partial(
            client.update_table,
            **table,
            AttributeDefinitions=known["AttributeDefinitions"],
            GlobalSecondaryIndexUpdates=[{"Create": made}],
        )

    def no_boundary(self, function: str) -> Repair:
        iam, role = self.client("iam"), {"RoleName": self.ids[f"{function}Role"]}
        iam.delete_role_permissions_boundary(**role)
        return partial(
            iam.put_role_permissions_boundary,
            **role,
            PermissionsBoundary=self.ids["FunctionBoundary"],
        )

    def no_permissions(self, function: str) -> Repair:
        iam, role = self.client("iam"), {"RoleName": self.ids[f"{function}Role"]}
        [name] = iam.list_role_policies(**role)["PolicyNames"]
        known = iam.get_role_policy(**role, PolicyName=name)["PolicyDocument"]
        iam.delete_role_policy(**role, PolicyName=name)
        return partial(
            iam.put_role_policy, **role, PolicyName=name, PolicyDocument=json.dumps(known)
        )

    def may(self, function: str, action: str) -> Repair:
        """Let a function do something to everything."""
        iam = self.client("iam")
        policy = {"RoleName": self.ids[f"{function}Role"], "PolicyName": "too-much"}
        statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_role_policy(**policy, PolicyDocument=json.dumps(document))
        return partial(iam.delete_role_policy, **policy)

    def open_url(self, function: str) -> Repair:
        """Let anybody call a function's URL."""
        change = partial(
            self.client("lambda").update_function_url_config,
            FunctionName=self.ids[function],
            Qualifier="live",
        )
        change(AuthType="NONE")
        return partial(change, AuthType="AWS_IAM")

    def setting(self, function: str, **variables: str) -> Repair:
        """Change variables in a function's environment."""
        client, which = self.client("lambda"), {"FunctionName": self.ids[function]}
        known = client.get_function_configuration(**which)["Environment"]["Variables"]
        change = partial(client.update_function_configuration, **which)
        change(Environment={"Variables": known | variables})
        return partial(change, Environment={"Variables": known})

    def signing_secret(self, provider: str, secret: str) -> Repair:
        client, stored = (
            self.client("secretsmanager"),
            {"SecretId": self.outputs["WebhookSecretsArn"]},
        )
        known = client.get_secret_value(**stored)["SecretString"]
        other = json.dumps(json.loads(known) | {provider: [secret]})
        client.put_secret_value(**stored, SecretString=other)
        return partial(client.put_secret_value, **stored, SecretString=known)

    def no_group(self, name: str) -> Repair:
        """Delete a group of the user pool."""
        client = self.client("cognito-idp")
        group = {"UserPoolId": self.ids["UserPool"], "GroupName": name}
        users = client.list_users_in_group(**group)["Users"]
        client.delete_group(**group)

        def repair() -> None:
            client.create_group(**group)
            for user in users:
                client.admin_add_user_to_group(**group, Username=user["Username"])

        return repair

    def no_way_back(self, page: str) -> Repair:
        """Let the console's client lead nobody back to a page."""
        client = self.client("cognito-idp")
        which = {"UserPoolId": self.ids["UserPool"], "ClientId": self.outputs["ConsoleClientId"]}
        known = client.describe_user_pool_client(**which)["UserPoolClient"]["CallbackURLs"]
        change = partial(client.update_user_pool_client, **which)
        change(CallbackURLs=[url for url in known if not url.endswith(page)])
        return partial(change, CallbackURLs=known)

    def no_passwords(self, client_id: str) -> Repair:
        """Let nobody sign in to a client of the user pool by a password."""
        client = self.client("cognito-idp")
        which = {"UserPoolId": self.ids["UserPool"], "ClientId": self.outputs[client_id]}
        known = client.describe_user_pool_client(**which)["UserPoolClient"]["ExplicitAuthFlows"]
        change = partial(client.update_user_pool_client, **which)
        change(ExplicitAuthFlows=["ALLOW_REFRESH_TOKEN_AUTH"])
        return partial(change, ExplicitAuthFlows=known)

    def no_scopes(self, client_id: str) -> Repair:
        """Let a client of the user pool ask for no scope."""
        change = partial(
            self.client("cognito-idp").update_user_pool_client,
            UserPoolId=self.ids["UserPool"],
            ClientId=self.outputs[client_id],
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["client_credentials"],
        )
        change(AllowedOAuthScopes=[])
        return partial(change, AllowedOAuthScopes=["scrip/service"])

    def traces(self) -> dict[str, list[str]]:
        """Return what a run makes and removes, by name."""
        pool, bus = self.outputs["UserPoolId"], self.outputs["EventBusName"]
        users = self.client("cognito-idp").list_users(UserPoolId=pool)["Users"]
        return {
            "users": sorted(user["Username"] for user in users),
            "queues": sorted(self.client("sqs").list_queues()["QueueUrls"]),
            "rules": [
                one["Name"] for one in self.client("events").list_rules(EventBusName=bus)["Rules"]
            ],
        }


@pytest.fixture
def deployed(stack: LocalStack) -> Parts:
    return Parts(stack)


@pytest.fixture(scope="module")
def already_failing(stack: LocalStack) -> set[str]:
    """The lines that fail because of what other tests have left behind."""
    return with_verdict(smoke(stack)[1], Verdict.FAILED)


def smoke(stack: LocalStack) -> tuple[int, dict[str, dict[str, Any]]]:
    """Run the command; return its exit code and the lines by their checks."""
    done = operator(stack, "smoke", "--yes", "--json", "--wait", str(WAIT_SECONDS))
    lines = map(json.loads, done.stdout.splitlines())
    return done.exit_code, {line["check"]: line for line in lines}


def with_verdict(lines: dict[str, dict[str, Any]], verdict: Verdict) -> set[str]:
    return {check for check, line in lines.items() if line["verdict"] == verdict}


def test_every_line_passes_and_no_trace_is_left(stack: LocalStack, deployed: Parts) -> None:
    before = deployed.traces()
    code, lines = smoke(stack)
    assert list(lines) == [*(name for name, _ in CHECKS), "clean-up"]
    failed = with_verdict(lines, Verdict.FAILED)
    assert failed <= OTHERS, [lines[check] for check in failed]
    assert with_verdict(lines, Verdict.UNPROVEN) <= UNPROVABLE
    assert code == (ExitCode.FOUND if failed else ExitCode.DONE)
    assert deployed.traces() == before


def test_a_wrong_name_is_reported_at_once(stack: LocalStack) -> None:
    done = operator(stack, "smoke", "--yes", by_name="another")
    assert (done.exit_code, done.stdout) == (ExitCode.FAILED, "")
    assert "There is no stack another" in done.stderr


def test_ctrl_c_leaves_no_trace_however_often_it_is_pressed(
    stack: LocalStack, deployed: Parts
) -> None:
    before = deployed.traces()
    running = subprocess.Popen(
        [SCRIP, "smoke", "--yes", *local(stack)],
        cwd=stack.root,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
    assert running.stdout is not None
    assert any(line.startswith("user token") for line in running.stdout)
    for _ in range(3):
        running.send_signal(signal.SIGINT)
        time.sleep(0.1)
    output, _ = running.communicate(timeout=SECONDS_MAX)
    assert running.returncode == ExitCode.INTERRUPTED, output
    assert deployed.traces() == before


type Breakage = tuple[Callable[[Parts], Repair], dict[str, str]]
"""How to break one part, and the lines that must fail, with words of their details."""

SWITCHED_OFF: list[Breakage] = [
    (lambda its: its.schedule_off("ResetFunctionHourly"), {"schedules": "ResetFunctionHourly"}),
    (lambda its: its.ringing("SweepLateAlarm"), {"alarms": "SweepLateAlarm"}),
    (
        lambda its: its.message_in("EventsDeadLetters"),
        {"dead letters": "EventsDeadLetters has", "health": "events_dead_letters"},
    ),
    (lambda its: its.no_trigger(), {"sign-up trigger": "PostConfirmation is None"}),
    (lambda its: its.no_boundary("RenewFunction"), {"boundary": "RenewFunction"}),
    (
        lambda its: its.may("BootstrapFunction", "dynamodb:DeleteItem"),
        {"refused change": "IAM did not refuse the deletion of an entry."},
    ),
    (
        lambda its: its.open_url("RefundFunction"),
        {"under IAM": "RefundUrl answered 404 without a signature"},
    ),
    (
        lambda its: its.open_route("GET /v1/accounts/{account_id}/holds"),
        {"routes": "GET /v1/accounts/{account_id}/holds"},
    ),
    (lambda its: its.no_way_back("/me"), {"users' page": "no redirect URI that ends in /me"}),
    (
        lambda its: its.setting("ConsoleFunction", SIGN_IN_CLIENT_ID="another"),
        {"sign-in page": "answered 4"},
    ),
]

WITHOUT_THE_STREAM_OF_ENTRIES: list[Breakage] = [
    (
        lambda its: its.source_off("EventsFunctionStream"),
        {
            "event sources": "EventsFunctionStream is Disabled",
            "event bus": "No event reached",
            "usage": "No use was counted",
            "archive": "No entry was archived",
        },
    ),
    (lambda its: its.no_subscriber(), {"alarms": "Nobody has confirmed"}),
    (
        lambda its: its.signing_secret("standard", "whsec_"),
        {"webhook": "bad_signature", "waiting webhook": "bad_signature"},
    ),
]

WITHOUT_THE_STREAM_OF_NAMES: list[Breakage] = [
    (
        lambda its: its.source_off("MatchFunctionNames"),
        {
            "event sources": "MatchFunctionNames is Disabled",
            "waiting webhook": "that waited was not applied",
        },
    ),
    (lambda its: its.no_permissions("RefundFunction"), {"refund": "internal_error"}),
    (lambda its: its.no_index("directory"), {"accounts": "directory"}),
    (lambda its: its.no_index("history"), {"entries": "internal_error"}),
    (lambda its: its.setting("AdminFunction", BUCKET_NAME="gone"), {"archive": "answered 5"}),
    (
        lambda its: its.setting("EventsFunction", EVENT_BUS_NAME="gone"),
        {"event bus": "No event reached"},
    ),
    (
        lambda its: its.schedule_to("AuditFunctionOften", "DocsFunction"),
        {"schedules": "AuditFunctionOften calls"},
    ),
    (
        lambda its: its.no_route("GET /v1/accounts/{account_id}/upcoming"),
        {"routes": "GET /v1/accounts/{account_id}/upcoming"},
    ),
]

NOBODY_SIGNED_IN: list[Breakage] = [
    (lambda its: its.no_passwords("ClientId"), {"sign-up": "USER_PASSWORD_AUTH"})
]

NOBODY_LET_IN: list[Breakage] = [
    (lambda its: its.no_group("admin"), {"admin token": "ResourceNotFoundException"}),
    (lambda its: its.no_scopes("ServiceClientId"), {"service token": "TokenError"}),
    (
        lambda its: its.open_route("GET /v1/accounts/{account_id}"),
        {
            "routes": "GET /v1/accounts/{account_id}",
            "authorizer": "answered 500",
            # A function without a caller's claims answers nobody.
            "user token": "internal_error",
            "refusals": "answered 500",
            "consume": "internal_error",
            "replay": "internal_error",
            "webhook": "internal_error",
        },
    ),
]


@pytest.mark.parametrize(
    "breakages",
    [
        SWITCHED_OFF,
        WITHOUT_THE_STREAM_OF_ENTRIES,
        WITHOUT_THE_STREAM_OF_NAMES,
        NOBODY_SIGNED_IN,
        NOBODY_LET_IN,
    ],
    ids=[
        "switched off",
        "without stream of entries",
        "without stream of names",
        "nobody signed in",
        "nobody let in",
    ],
)
def test_what_is_broken_fails_its_own_lines_and_no_others(
    stack: LocalStack, deployed: Parts, already_failing: set[str], breakages: list[Breakage]
) -> None:
    before = deployed.traces()
    with ExitStack() as broken:
        for break_, _ in breakages:
            broken.callback(break_(deployed))
        code, found = smoke(stack)
    assert code == ExitCode.FOUND
    failed = with_verdict(found, Verdict.FAILED)
    details = {check: found[check]["detail"] for check in failed}
    expected = {check for _, lines in breakages for check in lines}
    assert failed - already_failing == expected - already_failing, details
    for _, lines in breakages:
        for check, words in lines.items():
            assert words in details[check]
    assert deployed.traces() == before


def test_under_iam_most_lines_need_no_user_who_signs_up(
    deployed: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with an issuer of one's own, where the command signs nobody up."""
    parameters = deployed.session.parameters() | {"JwtIssuer": "https://example.com"}
    monkeypatch.setattr(Session, "parameters", lambda _: parameters)
    checks, trial = dict(CHECKS), Trial(deployed.session, WAIT_SECONDS)
    names = list(checks)
    lines = {
        name: run_check(name, checks[name], trial)
        for name in names[names.index("sign-up") : names.index("audit") + 1]
    }
    trial.clean_up()
    assert trial.left == []
    assert {name for name, line in lines.items() if line.verdict is Verdict.UNPROVEN} == {
        *("sign-up", "sign-up trigger", "user token", "service token", "admin token", "refusals"),
        *("adjust", "waiting webhook", "archive", "accounts"),
    }
    failed = [line for line in lines.values() if line.verdict is Verdict.FAILED]
    assert failed == []


def test_a_stack_that_lets_nobody_in_under_iam_has_nothing_to_prove(deployed: Parts) -> None:
    trial = Trial(deployed.session, WAIT_SECONDS)
    trial.resources.pop("AWS::Lambda::Url")
    line = run_check("under IAM", people.under_iam, trial)
    assert line.verdict is Verdict.UNPROVEN
    assert "IamCallers=Off" in line.detail


def test_an_operator_who_may_not_call_function_urls_is_refused(
    stack: LocalStack, assume: Callable[..., dict[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    statements = [
        {"Effect": "Allow", "Action": "*", "Resource": "*"},
        {"Effect": "Deny", "Action": "lambda:InvokeFunctionUrl", "Resource": "*"},
    ]
    policy = stack.client("iam").create_policy(
        PolicyName="no-urls",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    trial = on_aws(assume("no-urls", policy["Policy"]["Arn"]), monkeypatch)
    line = run_check("under IAM", people.under_iam, trial)
    trial.clean_up()
    assert line.verdict is Verdict.FAILED
    assert line.detail.startswith("ForbiddenError")
    assert trial.left == []


def on_aws(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Trial:
    """Return a run on the local stack as if it were on AWS, with an operator's environment."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return Trial(Session(stack_name=STACK_NAME, region=REGION), WAIT_SECONDS)


def test_a_trigger_that_is_never_called_opens_no_account(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local Cognito never calls it, which would be a fault on AWS."""
    trial = on_aws(stack.aws_environment(), monkeypatch)
    people.sign_up(trial)
    line = run_check("sign-up trigger", people.trigger, trial)
    trial.clean_up()
    assert line.verdict is Verdict.FAILED
    assert line.detail.startswith("The trigger opened no account.")
    assert trial.left == []


def test_a_role_that_iam_would_let_change_an_entry_is_named(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The local simulation knows no conditions and no boundaries, and allows more than AWS."""
    trial = on_aws(stack.aws_environment(), monkeypatch)
    line = run_check("entry protection", parts.entry_protection, trial)
    assert line.verdict is Verdict.FAILED
    assert "Function may dynamodb:UpdateItem" in line.detail

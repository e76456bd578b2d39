"""Back ends that call under IAM, with a role instead of a token, on a local AWS that verifies them.

What they can do is in tests/integration/test_client.py, which runs with a token and under IAM.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from scrip_cli.local.deploy import outputs
from scrip_cli.local.stack import STACK_NAME
from scrip_client import Actor, AsyncScrip, ForbiddenError, Scrip
from tests.event_loops import run
from tests.integration.test_client import PATIENT

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

ROLE = "arn:aws:sts::000000000000:assumed-role/back-end"


def act_as(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)


def connect() -> Scrip:
    return Scrip.on_aws(stack=STACK_NAME, retries=PATIENT, http=httpx.Client(trust_env=False))


def test_every_call_of_the_client_reaches_its_function_and_the_entry_names_the_role(
    back_end: dict[str, str], user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(back_end, monkeypatch)
    with connect() as scrip:
        assert scrip.quote(user.account_id, "chat").cost == 5
        entry = scrip.consume(user.account_id, "chat").entry
        assert entry.actor == Actor(type="service", id=ROLE)
        scrip.refund(user.account_id, entry.entry_id, "a test")
        began = scrip.balance(user.account_id).period.start
        [used] = scrip.entries(user.account_id, type="usage", from_=began)
        assert scrip.entry(user.account_id, used.entry_id).refunded == 5
        assert scrip.balance_at(user.account_id, used.recorded_at).account_id == user.account_id
        assert scrip.upcoming(user.account_id, limit=1).upcoming
        assert scrip.holds(user.account_id).holds == ()
        assert "chat" in {feature.feature_id for feature in scrip.catalog().features}


def test_the_client_for_asyncio_signs_its_calls(
    back_end: dict[str, str], user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(back_end, monkeypatch)

    async def charge() -> int:
        http = httpx.AsyncClient(trust_env=False)
        async with AsyncScrip.on_aws(stack=STACK_NAME, retries=PATIENT, http=http) as scrip:
            async with scrip.charge("chat", user.account_id) as charge:
                assert charge.account is not None
            return charge.account.available

    assert run(charge()) == 10_095


def test_a_role_has_no_account_of_its_own(
    back_end: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(back_end, monkeypatch)
    with connect() as scrip, pytest.raises(ForbiddenError) as refused:
        scrip.balance("me")
    assert refused.value.code == "forbidden"


def test_a_back_end_cannot_invoke_a_function_with_an_event_of_its_own(
    stack: LocalStack, back_end: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(back_end, monkeypatch)
    [name] = [
        resource["PhysicalResourceId"]
        for resource in stack.client("cloudformation").describe_stack_resources(
            StackName=STACK_NAME
        )["StackResources"]
        if resource["LogicalResourceId"] == "ConsumeFunction"
    ]
    # The default session has the credentials that the first test to use it had.
    client = boto3.Session().client("lambda")
    with pytest.raises(ClientError, match="not authorized to perform: lambda:InvokeFunction"):
        client.invoke(FunctionName=name, Qualifier="live", Payload=b"{}")


class Tampering(httpx.HTTPTransport):
    """A network that changes whose request it is after it was signed."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.headers["Idempotency-Key"] = "another"
        return super().handle_request(request)


def test_a_request_that_was_changed_on_its_way_is_refused(
    back_end: dict[str, str], user: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(back_end, monkeypatch)
    http = httpx.Client(transport=Tampering(), trust_env=False)
    with (
        Scrip.on_aws(stack=STACK_NAME, retries=PATIENT, http=http) as scrip,
        pytest.raises(ForbiddenError, match="signature"),
    ):
        scrip.consume(user.account_id, "chat")
    assert user.get("/me").json()["available"] == 10_100


def test_a_role_without_the_policy_is_let_in_by_no_function(
    stack: LocalStack,
    assume: Callable[..., dict[str, str]],
    user: Api,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allowed = {
        "cloudformation:DescribeStacks": "*",
        "lambda:InvokeFunctionUrl": "arn:aws:lambda:*:*:function:another-*:live",
    }
    statements = [
        {"Effect": "Allow", "Action": action, "Resource": resource}
        for action, resource in allowed.items()
    ]
    policy = stack.client("iam").create_policy(
        PolicyName="another-stack",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
    )
    act_as(assume("stranger", policy["Policy"]["Arn"]), monkeypatch)
    with connect() as scrip, pytest.raises(ForbiddenError) as refused:
        scrip.consume(user.account_id, "chat")
    assert not refused.value.may_have_taken_effect


def test_a_request_without_a_signature_is_let_in_by_no_function(stack: LocalStack) -> None:
    found = outputs(stack)
    for name in ("ConsumeUrl", "RefundUrl", "AccountUrl", "CatalogUrl"):
        answer = httpx.get(f"{found[name]}v1/catalog", trust_env=False)
        assert answer.status_code == 403


def test_a_stack_without_function_urls_says_how_to_get_them(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    act_as(stack.aws_environment(), monkeypatch)
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}
    cloudformation = stack.client("cloudformation")
    cloudformation.create_stack(StackName="without-urls", TemplateBody=json.dumps(topic))
    with pytest.raises(ValueError, match="IamCallers=On"):
        Scrip.on_aws(stack="without-urls")
    cloudformation.delete_stack(StackName="without-urls")

"""The alarms of the deployed stack, their notifications, and its dashboard."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from scrip_cli.local import demo
from scrip_cli.local.deploy import outputs
from tests.functional.test_alarms import alarms, dashboard
from tests.integration.test_events import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack


@pytest.fixture
def heard(stack: LocalStack) -> Iterator[Callable[[], dict[str, str]]]:
    """Return a function that returns the alarms of every notification: description by name."""
    sqs, sns = stack.client("sqs"), stack.client("sns")
    topic = outputs(stack)["AlarmTopicArn"]
    url = sqs.create_queue(QueueName="pager")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn["QueueArn"],
        "Condition": {"ArnEquals": {"aws:SourceArn": topic}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    subscribed = sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn["QueueArn"], ReturnSubscriptionArn=True
    )
    descriptions: dict[str, str] = {}

    def listen() -> dict[str, str]:
        received = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in received.get("Messages", []):
            alarm = json.loads(json.loads(message["Body"])["Message"])
            if alarm["NewStateValue"] == "ALARM":
                descriptions[alarm["AlarmName"]] = alarm["AlarmDescription"]
        return descriptions

    yield listen
    sns.unsubscribe(SubscriptionArn=subscribed["SubscriptionArn"])
    sqs.delete_queue(QueueUrl=url)


def test_a_subscriber_is_notified_of_every_alarm_and_its_place_in_the_runbook(
    stack: LocalStack,
    heard: Callable[[], dict[str, str]],
) -> None:
    cloudwatch = stack.client("cloudwatch")
    name = demo.details(stack).stack_name
    deployed = cloudwatch.describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"]
    # The local CloudWatch has no alarms on several metrics.
    wanted = {alarm["AlarmDescription"] for alarm in alarms().values() if "Metrics" not in alarm}
    assert {alarm["AlarmDescription"] for alarm in deployed} == wanted
    for alarm in deployed:
        for state in ("ALARM", "OK"):
            cloudwatch.set_alarm_state(
                AlarmName=alarm["AlarmName"], StateValue=state, StateReason="a drill"
            )
    expected = {alarm["AlarmName"]: alarm["AlarmDescription"] for alarm in deployed}
    assert until(heard, lambda found: found == expected) == expected


def test_the_deployed_dashboard_names_this_stacks_own_resources(stack: LocalStack) -> None:
    shown = stack.client("cloudwatch").get_dashboard(DashboardName=outputs(stack)["DashboardName"])
    widgets = json.loads(shown["DashboardBody"])["widgets"]
    assert len(widgets) == len(dashboard())
    assert "${" not in shown["DashboardBody"]
    assert demo.details(stack).table_name in shown["DashboardBody"]

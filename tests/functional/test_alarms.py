"""What template.yaml gives operators: alarms, a runbook section for each, and a dashboard."""

import json
import re
from itertools import chain
from typing import Any

from tests.documentation import ROOT
from tests.functional.conftest import resources
from tests.functional.test_template import functions
from tests.unit.test_documentation import anchors

RUNBOOK = ROOT / "docs/how-to/runbook.md"
COSTS = ROOT / "docs/explanation/costs.md"

METRICS_OF_AN_ALARM_MAX = 10
"""AWS's limit for the metric math of one alarm."""


def alarms() -> dict[str, dict[str, Any]]:
    """Return the properties of each alarm, by its name in the template."""
    return {
        name: resource["Properties"]
        for name, resource in resources().items()
        if resource["Type"] == "AWS::CloudWatch::Alarm"
    }


def metrics(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the metrics that an alarm evaluates; its price depends on their number."""
    stats = [part["MetricStat"] for part in alarm.get("Metrics", []) if "MetricStat" in part]
    return [part["Metric"] for part in stats] or [alarm]


def emitted_metrics() -> set[str]:
    """Return the names of the metrics that the code emits."""
    code = chain(*((ROOT / folder).rglob("*.py") for folder in ("layers", "functions")))
    names = (re.findall(r'\b(?:count|measure)\("(\w+)"', file.read_text()) for file in code)
    return set(chain(*names))


def test_each_alarm_has_a_runbook_section_and_each_section_an_alarm() -> None:
    page = RUNBOOK.read_text()
    sections = re.split(r"^## .*\n\n", page, flags=re.MULTILINE)[1:]
    named = [re.match(r"\*\*(\w+)\.\*\* ", section) for section in sections]
    assert [match and match[1] for match in named] == list(alarms()), "in the template's order"
    linked = {
        name: alarm["AlarmDescription"].partition("docs/how-to/runbook.md#")[2]
        for name, alarm in alarms().items()
    }
    headings = re.findall(r"^## (.*)$", page, re.MULTILINE)
    expected = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    assert list(linked.values()) == expected
    assert set(expected) <= anchors(RUNBOOK)


def test_each_runbook_section_has_commands_and_says_when_the_alarm_is_over() -> None:
    for section in re.split(r"^## ", RUNBOOK.read_text(), flags=re.MULTILINE)[1:]:
        name = section.splitlines()[0]
        assert "```sh" in section, name
        assert re.search(r"^(It is over|It rings until)|\. It is over", section, re.MULTILINE), name


def test_each_alarm_notifies_the_topic_when_it_starts_and_when_it_ends() -> None:
    for name, alarm in alarms().items():
        assert alarm["AlarmActions"] == alarm["OKActions"] == [{"Ref": "Alarms"}], name
        assert resources()[name]["Condition"] in {
            "HasAlarms",
            "HasUrlAlarms",
            "IsGradual",
        }, name
    [publish, _] = resources()["AlarmsPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    assert publish["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert publish["Condition"] == {
        "StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}
    }


def test_the_failures_of_every_function_trigger_an_alarm() -> None:
    # An API function's failure is a 5xx, and CloudFormation reports the bootstrap's.
    not_called_by_the_api = {
        name
        for name in functions()
        if not any(
            event["Type"] == "HttpApi"
            for event in resources()[name]["Properties"].get("Events", {}).values()
        )
    } - {"BootstrapFunction"}
    watched = {
        metric["Dimensions"][0]["Value"]["Ref"]
        for metric in metrics(alarms()["FunctionsFailAlarm"])
    }
    assert watched == not_called_by_the_api


def test_the_failures_of_every_function_with_a_url_trigger_an_alarm() -> None:
    with_url = {
        resource["Properties"]["TargetFunctionArn"]["Ref"].removesuffix(".Alias")
        for resource in resources().values()
        if resource["Type"] == "AWS::Lambda::Url"
    }
    watched = {
        (metric["MetricName"], metric["Dimensions"][0]["Value"]["Ref"])
        for metric in metrics(alarms()["UrlsFailAlarm"])
    }
    assert watched == {
        (name, function) for name in ("UrlRequestCount", "Url5xxCount") for function in with_url
    }


def test_alarms_and_the_dashboard_use_metrics_that_the_code_emits() -> None:
    evaluated = {
        metric["MetricName"]
        for alarm in alarms().values()
        for metric in metrics(alarm)
        if metric["Namespace"] == "Scrip"
    }
    shown = {
        metric[1]
        for widget in dashboard()
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Scrip"
    }
    assert evaluated <= emitted_metrics()
    assert shown == emitted_metrics(), "the dashboard shows all metrics"


def test_the_docs_state_the_number_of_alarms_and_their_metrics() -> None:
    each = {name: len(metrics(alarm)) for name, alarm in alarms().items()}
    assert max(each.values()) <= METRICS_OF_AN_ALARM_MAX
    page = " ".join(COSTS.read_text().split())
    assert f"`GradualDeployment` adds one that evaluates {each.pop('NewVersionFailsAlarm')}" in page
    assert f"and `IamCallers` one that evaluates {each.pop('UrlsFailAlarm')}" in page
    assert f"{len(each)} alarms evaluate {sum(each.values())} metrics" in page


def test_no_alarm_rings_because_a_new_stack_has_no_data_yet() -> None:
    silent = {name for name, alarm in alarms().items() if alarm["TreatMissingData"] == "missing"}
    assert silent == {"SweepLateAlarm", "AuditLateAlarm"}
    assert not [
        name for name, alarm in alarms().items() if alarm["TreatMissingData"] == "breaching"
    ]
    for name in silent:  # A metric that stops changes the state, and one that never began does not.
        assert alarms()[name]["InsufficientDataActions"] == [{"Ref": "Alarms"}]


def dashboard() -> list[dict[str, Any]]:
    """Return the widgets, with names of resources unresolved."""
    body = resources()["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"][0]
    return json.loads(body)["widgets"]  # type: ignore[no-any-return]


def test_the_dashboards_widgets_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    for widget in dashboard():
        places = {
            (x, y)
            for x in range(widget["x"], widget["x"] + widget["width"])
            for y in range(widget["y"], widget["y"] + widget["height"])
        }
        assert not places & taken, widget["properties"]["title"]
        assert widget["x"] + widget["width"] <= 24, "a row has 24 columns"
        taken |= places

"""The template as CloudFormation gets it from SAM: what AWS would refuse, now or at an update."""

import json
import re
import subprocess
import sys
from functools import cache
from typing import Any

from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER  # type: ignore[import-untyped]
from samcli.yamlhelper import yaml_parse

from tests.functional.conftest import ROOT, template
from tests.functional.test_alarms import alarms, dashboard, metrics

SHARED = {"AWS::AccountId", "AWS::Partition", "AWS::Region", "AWS::URLSuffix"}
"""What all stacks of one account and region have in common."""


@cache
def processed_text(*parameters: str) -> str:
    """Return the template that CloudFormation gets with values of parameters: `Stage=prod`."""
    made = [sys.executable, "scripts/processed_template.py", *parameters]
    return subprocess.run(made, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def is_constant(value: Any) -> bool:
    """Return whether a value is the same in every stack of one account and region."""
    match value:
        case {"Ref": name}:
            return name in SHARED
        case {"Fn::GetAtt": _}:
            return False
        case {"Fn::If": [_, *either]}:
            return any(map(is_constant, either))
        case {"Fn::Sub": given}:
            text, variables = given if isinstance(given, list) else (given, {})
            names = re.findall(r"\$\{([^!}]+)\}", text)
            parts = [variables.get(name, {"Ref": name}) for name in names]
        case dict():
            parts = [*value.values()]
        case list():
            parts = value
        case _:
            return True
    return all(map(is_constant, parts))


@cache
def processed(*parameters: str) -> dict[str, Any]:
    """Return the same, parsed, which takes a second."""
    return yaml_parse(processed_text(*parameters))  # type: ignore[no-any-return]


def test_no_route_ends_in_a_slash_because_an_http_api_has_no_such_routes() -> None:
    paths = processed()["Resources"]["Api"]["Properties"]["Body"]["paths"]
    assert {"/console", "/me"} <= set(paths)
    assert not [path for path in paths if path.endswith("/")]


def test_two_stacks_of_one_account_and_region_give_nothing_the_same_name() -> None:
    for logical_id, resource in processed()["Resources"].items():
        if resource["Type"].startswith("Custom::"):
            continue
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", resource["Type"]).schema
        names = {path for path in schema.get("createOnlyProperties", []) if path.endswith("Name")}
        identifying = [
            resource.get("Properties", {}).get(path.removeprefix("/properties/"))
            for path in {*schema["primaryIdentifier"], *names}
        ]
        # A constant is unique within something of the stack's own, as a group's name in its pool.
        constants = [is_constant(value) for value in identifying if value is not None]
        assert not constants or not all(constants), logical_id


def test_a_name_is_a_constant_unless_something_in_it_is_the_stacks_own() -> None:
    constants: tuple[Any, ...] = (
        "scrip",
        {"Fn::Sub": "scrip"},
        {"Fn::Sub": "scrip-${!Literal}"},
        {"Fn::Sub": "scrip-${AWS::Region}"},
        {"Fn::Sub": ["scrip-${Where}", {"Where": {"Ref": "AWS::AccountId"}}]},
        {"Fn::Join": ["-", ["scrip", {"Ref": "AWS::Region"}]]},
        {"Fn::If": ["IsProtected", "scrip", {"Ref": "AWS::StackName"}]},
    )
    own: tuple[Any, ...] = (
        {"Ref": "AWS::StackName"},
        {"Fn::GetAtt": ["Queue", "QueueName"]},
        {"Fn::Sub": "${AWS::StackName}-${AWS::Region}"},
        {"Fn::Sub": ["scrip-${Unique}", {"Unique": {"Ref": "AWS::StackId"}}]},
    )
    assert [name for name in (*constants, *own) if is_constant(name)] == [*constants]


def test_metrics_are_those_of_the_stack() -> None:
    stack_name = {"Ref": "AWS::StackName"}
    dimensions = [
        dimension["Value"]
        for alarm in alarms().values()
        for metric in metrics(alarm)
        for dimension in metric.get("Dimensions", [])
        if metric["Namespace"] == "Scrip"
    ]
    shown = {
        metric[3]
        for widget in dashboard()
        for metric in widget["properties"].get("metrics", [])
        if metric[0] == "Scrip"
    }
    common = template()["Globals"]["Function"]
    assert common["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == stack_name
    assert dimensions
    assert all(dimension == stack_name for dimension in dimensions)
    assert shown == {"${AWS::StackName}"}


def test_a_version_that_a_parameter_changes_is_one_of_a_function_that_it_changes() -> None:
    resources = processed()["Resources"]
    versions = [one for one in resources.values() if one["Type"] == "AWS::Lambda::Version"]
    assert versions
    for version in versions:
        properties = dict(version["Properties"])
        function = resources[properties.pop("FunctionName")["Ref"]]["Properties"]
        # Within 256 characters, whatever the parameters are.
        description = properties.pop("Description")
        assert description == {"Fn::GetAtt": ["Settings", "Digest"]}
        assert function["Environment"]["Variables"]["SETTINGS_DIGEST"] == description
        assert properties == {}


def test_the_sign_in_page_stays_where_it_is_when_a_parameter_changes() -> None:
    domain = json.dumps(processed()["Resources"]["UserPoolDomain"]["Properties"]["Domain"])
    assert "AWS::StackId" in domain
    assert not [name for name in processed()["Parameters"] if f"{{{name}}}" in domain]


def test_new_versions_can_be_taken_back_by_an_alarm_that_does_not_depend_on_them() -> None:
    gradual = "GradualDeployment=true"
    kinds = [resource["Type"] for resource in processed(gradual)["Resources"].values()]
    # All that people wait for, but for the trigger of the pool.
    assert kinds.count("AWS::CodeDeploy::DeploymentGroup") == 5
    linted = subprocess.run(
        ["cfn-lint", "-"],
        input=processed_text(gradual),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Circular" not in linted.stdout

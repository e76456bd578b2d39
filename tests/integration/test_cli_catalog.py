"""The catalog as a file: `scrip catalog`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from scrip_cli.exit_codes import ExitCode
from tests.integration.terminal import terminal
from tests.integration.test_operators import operator

if TYPE_CHECKING:
    from pathlib import Path

    from scrip_cli.local.stack import LocalStack
    from tests.integration.conftest import Api

FIRST = """
plans:
  cli-team: {name: Team, monthly_credits: 500, provider_ids: [price_cli]}
features:
  cli-music: {name: Music, cost: 9}
"""
LATER = """
plans:
  cli-team: {name: Team, monthly_credits: 500}
  cli-crew: {name: Crew, monthly_credits: 700, provider_ids: [price_cli]}
features:
  cli-music: {name: Music, cost: 8}
"""


def features(admin: Api) -> dict[str, Any]:
    answer = admin.http.get("/v1/admin/features", headers=admin.headers()).json()
    return {feature["feature_id"]: feature for feature in answer["features"]}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "catalog.yaml"


def test_applying_a_file_makes_the_catalog_match_it_and_each_edit_raises_a_version(
    stack: LocalStack, admin: Api, file: Path
) -> None:
    file.write_text(operator(stack, "catalog", "export").stdout)
    assert operator(stack, "catalog", "diff", str(file)).exit_code == ExitCode.DONE
    apply = ["catalog", "apply", str(file), "--reason", "2027", "--yes"]
    for text, shown in ((FIRST, "+ plan cli-team"), (LATER, "    cost: 9 -> 8\n")):
        file.write_text(text)
        differs = operator(stack, "catalog", "diff", str(file))
        assert (differs.exit_code, shown in differs.stdout) == (ExitCode.FOUND, True)
        applied = operator(stack, *apply)
        assert (applied.exit_code, applied.stdout) == (ExitCode.DONE, differs.stdout)
    assert operator(stack, "catalog", "diff", str(file), "--json").stdout == ""
    assert operator(stack, *apply).stdout == ""
    music = features(admin)["cli-music"]
    assert (music["cost"], music["version"]) == (8, 2)
    assert features(admin)["chat"]["active"], "what is not in the file is left alone"


def test_a_file_with_an_error_changes_nothing(stack: LocalStack, admin: Api, file: Path) -> None:
    before = features(admin)
    file.write_text(
        "features:\n  cli-new: {name: New, cost: 1}\n  chat: {name: Chat, cost: free}\n"
    )
    refused = operator(stack, "catalog", "apply", str(file), "--reason", "2027", "--yes")
    assert (refused.exit_code, f"{file}:3: features.chat.cost" in refused.stderr) == (1, True)
    file.write_text("plans:\n  free: {name: Free, monthly_credits: 1, active: false}\n")
    refused = operator(stack, "catalog", "apply", str(file), "--reason", "2027", "--yes")
    assert (refused.exit_code, "default_plan" in refused.stderr) == (ExitCode.REFUSED, True)
    assert features(admin) == before


def test_a_concurrent_edit_is_reported_and_not_undone(
    stack: LocalStack, admin: Api, file: Path
) -> None:
    file.write_text("features:\n  cli-race: {name: Race, cost: 5}\n")
    operator(stack, "catalog", "apply", str(file), "--reason", "begin", "--yes")
    file.write_text("features:\n  cli-race: {name: Race, cost: 6}\n")
    with terminal(stack, "catalog", "apply", str(file), "--reason", "dearer") as screen:
        screen.wait_for("Do it?")
        edited = admin.http.put(
            "/v1/admin/features/cli-race",
            content=json.dumps({"name": "Race", "cost": 7}),
            headers=admin.headers({"If-Match": "1"}),
        )
        assert edited.status_code == 200
        assert screen.type("y\n") == ExitCode.REFUSED
        screen.wait_for("edited in the meantime")
    assert features(admin)["cli-race"]["cost"] == 7


def test_a_price_at_which_rounding_matters_is_noted(stack: LocalStack, file: Path) -> None:
    file.write_text(
        "features:\n  cli-model: {name: Model, meters: {input: {cost: 1}, output: {cost: 1}}}\n"
    )
    assert "rounding" not in operator(stack, "catalog", "diff", str(file)).stderr
    file.write_text(file.read_text().replace("cost: 1", "cost: 1, per: 1000"))
    assert "rounding up can add 77%" in operator(stack, "catalog", "diff", str(file)).stderr


def test_the_versions_of_a_feature_say_since_when_by_whom_and_why_it_costs_what_it_costs(
    stack: LocalStack, file: Path
) -> None:
    meters = "input: {cost: 3, per: 80}, output: {cost: 3, per: 10}"
    for reason, text in (
        ("begin", "cost: 9, per: 1000, unit: token"),
        ("by meters", f"unit: token, meters: {{{meters}}}"),
    ):
        file.write_text(f"features:\n  cli-priced: {{name: Priced, {text}}}\n")
        operator(stack, "catalog", "apply", str(file), "--reason", reason, "--yes")
    shown = operator(stack, "catalog", "versions", "cli-priced").stdout.splitlines()
    header, *rows = (line.split("\t") for line in shown)
    newest, oldest = (dict(zip(header, row, strict=True)) for row in rows)
    assert (newest["version"], newest["price"]) == ("2", "3 per 80 input, 3 per 10 output")
    assert (oldest["price"], oldest["reason"]) == ("9 per 1000 token", "begin")
    assert oldest["since"] < newest["since"]
    assert newest["actor"].startswith("admin ")

    lines = operator(stack, "catalog", "versions", "cli-priced", "--json").stdout.splitlines()
    assert [json.loads(line)["cost"] for line in lines] == [None, 9]
    nothing = operator(stack, "catalog", "versions", "cli-nothing")
    assert (nothing.exit_code, nothing.stdout) == (ExitCode.NOT_FOUND, "")

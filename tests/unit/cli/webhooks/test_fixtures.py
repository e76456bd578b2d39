"""The fixtures, overrides and secrets of `scrip webhooks send`."""

from pathlib import Path
from typing import Any

import pytest

from scrip.webhooks.providers import Provider
from scrip_cli.errors import CommandError
from scrip_cli.webhooks.commands import read_secret
from scrip_cli.webhooks.fixtures import find_fixture, override, provider_of, read_payload


def payload() -> dict[str, Any]:
    return {"id": "evt_1", "data": {"object": {"metadata": {}, "lines": [{"amount": 1}, 2]}}}


@pytest.mark.parametrize(
    ("assignment", "path", "value"),
    [
        ("id=evt_2", ["id"], "evt_2"),
        ("data.object.paid=true", ["data", "object", "paid"], True),
        (
            "data.object.metadata.account_id=a=b",
            ["data", "object", "metadata", "account_id"],
            "a=b",
        ),
        ("data.object.lines.0.amount=5", ["data", "object", "lines", 0, "amount"], 5),
        ('data.object.lines.1={"x":[]}', ["data", "object", "lines", 1], {"x": []}),
        ('id="5"', ["id"], "5"),
        ("id=", ["id"], ""),
    ],
)
def test_set_changes_one_value(assignment: str, path: list[str | int], value: object) -> None:
    changed, expected = payload(), payload()
    override(changed, assignment)
    node: Any = expected
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    assert changed == expected


@pytest.mark.parametrize(
    "assignment",
    ["id", "data.objct.id=x", "id.x=y", "data.object.lines.2=x", "data.object.lines.-1=x"],
)
def test_a_path_that_leads_nowhere_is_refused(assignment: str) -> None:
    unchanged = payload()
    with pytest.raises(CommandError):
        override(unchanged, assignment)
    assert unchanged == payload()


def test_a_fixture_is_found_by_its_name_from_anywhere_in_the_project(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fixture = tmp_path / "events/webhook/stripe/paid.json"
    fixture.parent.mkdir(parents=True)
    fixture.write_text('{"id": "evt_1"}')
    monkeypatch.chdir(tmp_path / "events")
    assert find_fixture("stripe/paid").samefile(fixture)
    assert find_fixture("webhook/stripe/paid.json").samefile(fixture)
    assert provider_of(fixture) is Provider.STRIPE
    with pytest.raises(CommandError) as refused:
        find_fixture("stripe/payed")
    assert refused.value.output == "stripe/paid"


def test_a_file_outside_the_providers_folders_needs_a_provider(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="which provider"):
        provider_of(tmp_path / "paid.json")


@pytest.mark.parametrize("text", ["{", "[]", ""])
def test_a_file_without_a_json_object_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "paid.json"
    path.write_text(text)
    with pytest.raises(CommandError, match=r"paid\.json"):
        read_payload(path)


def test_a_secret_is_read_without_its_line_break(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("whsec_x\n")
    with path.open() as file:
        assert read_secret(file) == "whsec_x"


@pytest.mark.parametrize("content", [b"", b" \n", b"\xff"])
def test_a_file_without_a_secret_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret"
    path.write_bytes(content)
    with path.open(encoding="utf-8") as file, pytest.raises(CommandError, match="secret"):
        read_secret(file)

"""Prints docs/reference/configuration.md: parameters, outputs and settings of template.yaml."""

from pathlib import Path
from typing import Any

from samcli.yamlhelper import yaml_parse

from scrip.settings import Settings

TEMPLATE = Path(__file__).parent.parent / "template.yaml"

HEAD = """\
# Configuration

Made from template.yaml and the code by `make reference`; do not edit.

## Parameters

Given to `sam deploy` ([how](../how-to/deploy.md)), and changed by deploying again.
"""

OUTPUTS = """\
## Outputs

Of the deployed stack.
"""

SETTINGS = """\
## Environment of the functions

Set by the template; nothing else is read from the environment. What only some functions have is
listed with them.
"""


def page() -> str:
    """Return the page."""
    template: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    parts = [HEAD, "| parameter | default | |", "|---|---|---|"]
    parts += [_parameter(name, told) for name, told in template["Parameters"].items()]
    parts += ["", OUTPUTS, "| output | |", "|---|---|"]
    parts += [f"| `{name}` | {told['Description']} |" for name, told in template["Outputs"].items()]
    parts += ["", SETTINGS, "| variable | from | functions |", "|---|---|---|"]
    parts += _variables(template)
    return "\n".join(parts) + "\n"


def _parameter(name: str, told: dict[str, Any]) -> str:
    default = _source(str(told["Default"]))
    remarks = [told["Description"]]
    if "AllowedValues" in told:
        remarks.append("One of " + ", ".join(f"`{value}`" for value in told["AllowedValues"]) + ".")
    if "AllowedPattern" in told:
        remarks.append(f"Matches `{told['AllowedPattern']}`.")
    return f"| `{name}` | {default} | {' '.join(remarks)} |"


def _variables(template: dict[str, Any]) -> list[str]:
    """Return a row for each setting: where its value comes from, and which functions have it."""
    everywhere = template["Globals"]["Function"]["Environment"]["Variables"]
    rows = [f"| `{name}` | {_source(value)} | all |" for name, value in everywhere.items()]
    only: dict[str, tuple[Any, list[str]]] = {}
    for logical_id, resource in template["Resources"].items():
        own = resource.get("Properties", {}).get("Environment", {}).get("Variables", {})
        for name, value in own.items():
            only.setdefault(name, (value, []))[1].append(logical_id.removesuffix("Function"))
    rows += [
        f"| `{name}` | {_source(value)} | {', '.join(functions).lower()} |"
        for name, (value, functions) in only.items()
    ]
    read = {name.upper() for name in Settings.model_fields} | {"POWERTOOLS_SERVICE_NAME"}
    assert read == {*everywhere, *only}, "a setting that nothing sets, or that nothing reads"
    return rows


def _source(value: Any) -> str:
    """Return what a value of the template refers to, in its own words."""
    match value:
        case {"Ref": str(name)} | {"Fn::GetAtt": [str(name), *_]}:
            return f"`{name}`"
        case {"Fn::If": [_, chosen, otherwise]}:
            return f"{_source(chosen)}, or {_source(otherwise)}"
        case {"Fn::FindInMap": [_, _, str(name)]}:
            return f"the stage's `{name}`"
        case {"Fn::Select": [int(place), chosen]}:
            return f"{_source(chosen)} (number {place + 1})"
        case "":
            return "empty"
        case str(text) | {"Fn::Sub": str(text)}:
            return f"`{text}`"
    raise TypeError(value)


if __name__ == "__main__":
    print(page(), end="")

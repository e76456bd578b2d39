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

Pass them to `sam deploy` ([how](../how-to/deploy.md)); to change one, deploy again.
"""

OUTPUTS = """\
## Outputs

Values that the deployed stack reports.
"""

SETTINGS = """\
## Environment of the functions

The template sets these variables, and functions read no others. The last column names the functions
that have a variable.
"""


def page() -> str:
    """Return the page."""
    template: dict[str, Any] = yaml_parse(TEMPLATE.read_text())
    parts = [HEAD, "| parameter | default | |", "|---|---|---|"]
    parts += [_parameter(name, parameter) for name, parameter in template["Parameters"].items()]
    parts += ["", OUTPUTS, "| output | |", "|---|---|"]
    outputs = template["Outputs"].items()
    parts += [f"| `{name}` | {output['Description']} |" for name, output in outputs]
    parts += ["", SETTINGS, "| variable | from | functions |", "|---|---|---|"]
    parts += _variables(template)
    return "\n".join(parts) + "\n"


def _parameter(name: str, parameter: dict[str, Any]) -> str:
    default = _source(str(parameter["Default"]))
    remarks = [parameter["Description"]]
    if "AllowedValues" in parameter:
        values = ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
        remarks.append(f"One of {values}.")
    if "AllowedPattern" in parameter:
        remarks.append(f"Matches `{parameter['AllowedPattern']}`.")
    return f"| `{name}` | {default} | {' '.join(remarks)} |"


def _variables(template: dict[str, Any]) -> list[str]:
    """Return a row for each variable: the source of its value, and the functions that have it."""
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
    read = {name.upper() for name in Settings.model_fields}
    read |= {"POWERTOOLS_SERVICE_NAME", "SETTINGS_DIGEST"}  # a library's, and CloudFormation's
    assert read == {*everywhere, *only}, "a variable is set but not read, or read but not set"
    return rows


def _source(value: Any) -> str:
    """Return what a value of the template refers to."""
    match value:
        case (
            {"Ref": str(name)}
            | {"Fn::GetAtt": [str(name), *_]}
            | {"Fn::Select": [_, {"Fn::Split": [_, {"Fn::Join": [_, [{"Ref": str(name)}, _]]}]}]}
        ):
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

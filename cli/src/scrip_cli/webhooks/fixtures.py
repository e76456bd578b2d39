"""The payload of a test event: a JSON file, found by its name and changed as the command says."""

import json
from pathlib import Path
from typing import Any

from scrip.webhooks.providers import Provider
from scrip_cli.errors import CommandError

FIXTURES = Path("events/webhook")


def find_fixture(name: str) -> Path:
    """Find a JSON file by its path, or by its name among the project's fixtures.

    Raises CommandError, with the known names.
    """
    if Path(name).is_file():
        return Path(name)
    here = Path.cwd()
    for folder in (here, *here.parents):
        fixtures = folder / FIXTURES
        if (found := fixtures / f"{name}.json").is_file():
            return found
        if fixtures.is_dir():
            known = sorted(fixtures.rglob("*.json"))
            raise CommandError(
                f"There is no fixture {name}.",
                "Name a file, or one of the fixtures above.",
                output="\n".join(str(path.relative_to(fixtures).with_suffix("")) for path in known),
            )
    raise CommandError(
        f"There is no file {name}, and no folder {FIXTURES} in this folder or any above it.",
        "Run the command inside the Scrip project, or name a file.",
    )


def provider_of(path: Path) -> Provider:
    """Return the provider whose folder a fixture is in. Raises CommandError if there is none."""
    try:
        return Provider(path.resolve().parent.name)
    except ValueError as exc:
        raise CommandError(
            f"The folder of {path} does not say which provider sends it.",
            f"Name it with --provider: {', '.join(Provider)}.",
        ) from exc


def read_payload(path: Path) -> dict[str, Any]:
    """Read the JSON object in a file. Raises CommandError if there is none."""
    try:
        payload = json.loads(path.read_bytes())
    except ValueError as exc:
        raise CommandError(f"{path} is not JSON: {exc}.", "Correct it.") from exc
    if not isinstance(payload, dict):
        raise CommandError(f"{path} has no JSON object.", "Name another file.")
    return payload


def override(payload: dict[str, Any], assignment: str) -> None:
    """Change a value inside a payload: `data.object.lines.data.0.amount=5`.

    The value is JSON if it parses, otherwise a string. Only the last name of the path may be new;
    otherwise a misspelled path would have no effect. Raises CommandError for a wrong path.
    """
    path, sign, text = assignment.partition("=")
    if not sign:
        raise CommandError(f"--set {assignment} has no value.", "Use --set PATH=VALUE.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    *parents, last = path.split(".")
    node: Any = payload
    for number, name in enumerate(parents):
        node = _child(node, name, ".".join(parents[: number + 1]))
    match node:
        case dict():
            node[last] = value
        case list() if last.isdecimal() and int(last) < len(node):
            node[int(last)] = value
        case _:
            raise _no_such_path(path)


def _child(node: Any, name: str, path: str) -> Any:
    match node:
        case dict() if name in node:
            return node[name]
        case list() if name.isdecimal() and int(name) < len(node):
            return node[int(name)]
    raise _no_such_path(path)


def _no_such_path(path: str) -> CommandError:
    return CommandError(
        f"The payload has nothing at {path}.",
        "Only the last name of a --set path may be new; a list's items are 0, 1, 2 ...",
    )

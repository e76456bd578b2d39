"""Prints docs/reference/api.md from the OpenAPI document, and from the code who may call what."""

import ast
import inspect
import json
from importlib import import_module
from pathlib import Path
from typing import Any, get_type_hints

from aws_lambda_powertools.event_handler import Depends

from scrip.http import principals

ROOT = Path(__file__).parent.parent
OPENAPI = json.loads((ROOT / "functions/docs/openapi.json").read_text())
SCHEMAS = OPENAPI["components"]["schemas"]

WHO = {
    principals.any_caller: "the account's owner, a service, an admin",
    principals.service_caller: "a service, an admin",
    principals.admin_caller: "an admin",
    principals.admin_actor: "an admin",
    None: "anybody",
}
"""Who may do what depends on which principal."""

HEAD = """\
# The API

Made from the code by `make reference`; do not edit. The same as a document for programs:
`GET /v1/openapi.json`; to try it out: `GET /v1/docs`.

A token goes into `Authorization: Bearer ...`; [who is what](../how-to/own-oidc-provider.md). A
user's own account is `me`. Codes of problems lead to [what they mean](errors.md). What every answer
can be (401 without a valid token, 429 past the stack's rate, `forbidden`, `invalid`,
`internal_error`, `busy` and the like) is not repeated. Instants are ISO 8601 with an offset,
answered in UTC; credits are whole numbers.

The OpenAPI document links what was made to what can be done with it: an entry, its refund, the next page, the next
edit. What a link leaves out, such as an amount, is for you to say.
"""

EVERYWHERE = {"invalid", "not_found", "forbidden", "internal_error", "busy", "corrupt_account"}
EVERYWHERE |= {"catalog_unsound", "malformed", "body_too_large", "unsupported_media_type"}

TAGS = ["Credits", "Holds", "Accounts", "Catalog", "Admin", "Webhooks", "Service"]
"""The order in which operations are told; within each it is by path."""

Schema = dict[str, Any]


def page() -> str:
    """Return the page."""
    code = _code()
    operations = [
        (method.upper(), path, operation)
        for path, methods in OPENAPI["paths"].items()
        for method, operation in methods.items()
    ]
    operations.sort(key=lambda found: (TAGS.index(found[2]["tags"][0]), found[1]))
    parts = [HEAD, "| | |", "|---|---|"]
    parts += [
        f"| [`{method} {path}`](#{operation['operationId']}) | {operation['summary']} |"
        for method, path, operation in operations
    ]
    parts.append("\n## Operations")
    for method, path, operation in operations:
        who, told = code[method, path]
        parts.append(f"\n### {operation['operationId']}\n\n`{method} {path}`\n\n{told}\n")
        parts.append(f"Who may: {who}.\n")
        parts += [_parameters(operation), _body(operation), _answers(operation)]
    parts.append("\n## Shapes\n")
    parts += [_shape(name) for name in sorted(SCHEMAS) if _is_shown(name)]
    return "\n".join(part for part in parts if part) + "\n"


def _code() -> dict[tuple[str, str], tuple[str, str]]:
    """Return who may call each operation, and what its handler says that it does."""
    found = {}
    for path in sorted((ROOT / "functions").glob("*/handler.py")):
        module = import_module(f"functions.{path.parent.name}.handler")
        for node in ast.parse(path.read_text()).body:
            match node:
                case ast.FunctionDef(
                    name=name,
                    decorator_list=[
                        ast.Call(
                            func=ast.Attribute(value=ast.Name(id="app"), attr=method),
                            args=[ast.Constant(value=str(route))],
                        ),
                    ],
                ):
                    handler = getattr(module, name)
                    said = " ".join(inspect.cleandoc(handler.__doc__ or "").split())
                    key = (method.upper(), route.replace("<", "{").replace(">", "}"))
                    found[key] = (WHO[_principal(handler)], said)
    return found


def _principal(handler: Any) -> Any:
    """Return what a handler depends on to know who calls, None if it asks nobody."""
    hints = get_type_hints(handler, include_extras=True).values()
    depends = [
        extra.dependency
        for hint in hints
        for extra in getattr(hint, "__metadata__", ())
        if isinstance(extra, Depends)
    ]
    return depends[0] if depends else None


def _parameters(operation: Schema) -> str:
    rows = [
        f"| `{told['name']}` | {told['in']} | {_type(told['schema'])} | {_remarks(told, told)} |"
        for told in operation.get("parameters", [])
    ]
    return "\n".join(["| parameter | in | | |", "|---|---|---|---|", *rows, ""]) if rows else ""


def _body(operation: Schema) -> str:
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return f"Body: {_type(schema)}.\n"


def _answers(operation: Schema) -> str:
    """Return what is answered: the shape of success, and the codes that are its own."""
    responses = sorted(operation["responses"].items())
    told = [
        f"{status} {_type(content['schema'])}: {answer['description']}"
        for status, answer in responses
        if status.startswith("2")
        for content in answer["content"].values()
    ]
    codes = [
        f"{status} [`{code}`](errors.md#{code})"
        for status, answer in responses
        for code in answer["description"].split("`")[1::2]
        if not status.startswith("2") and code not in EVERYWHERE
    ]
    refuses = f"\nRefuses with {', '.join(codes)}.\n" if codes else ""
    return f"Answers {' '.join(told)}\n{refuses}"


def _is_shown(name: str) -> bool:
    """Whether a schema is an object of the API's own; problems are in errors.md."""
    is_problem = name.endswith("Problem") and name != "HealthProblem"
    return "properties" in SCHEMAS[name] and not is_problem and not name.endswith("ValidationError")


def _shape(name: str) -> str:
    schema = SCHEMAS[name]
    required = schema.get("required", [])
    said = " ".join(schema.get("description", "").split())
    rows = [
        f"| `{field}` | {_type(told)} | {_remarks(told, {'required': field in required})} |"
        for field, told in schema["properties"].items()
    ]
    return "\n".join([f"### {name}\n", f"{said}\n", "| field | | |", "|---|---|---|", *rows, ""])


def _remarks(told: Schema, required: Schema) -> str:
    """Return what there is to know of a field or a parameter beside its type."""
    schema = told.get("schema", told)
    found = [told.get("description", "")]
    for choice in schema.get("anyOf", [schema]):
        named = choice.get("$ref", "").rsplit("/", maxsplit=1)[-1]
        if named and not _is_shown(named) and "enum" not in SCHEMAS[named]:
            found.append(SCHEMAS[named].get("description", ""))
    if required.get("required") is False and "default" in schema:
        found.append(f"Default `{json.dumps(schema['default'])}`.")
    elif required.get("required") is False:
        found.append("May be left out.")
    return " ".join(filter(None, found))


def _type(schema: Schema) -> str:
    """Return a type in words, with links to the shapes."""
    match schema:
        case {"$ref": str(ref)}:
            words = _named(ref.rsplit("/", maxsplit=1)[-1])
        case {"anyOf": list(choices)}:
            words = " or ".join(_type(choice) for choice in choices)
        case {"type": "array", "items": dict(items)}:
            words = f"list of {_type(items)}"
        case {"type": "object", "additionalProperties": dict(values)}:
            words = f"object of {_type(values)}"
        case _:
            words = _simple(schema)
    return words


def _named(name: str) -> str:
    if name == "Instant":
        return "instant"
    return f"[{name}](#{name.lower()})" if _is_shown(name) else _type(SCHEMAS[name])


def _simple(schema: Schema) -> str:
    match schema:
        case {"enum": list(values)}:
            words = ", ".join(f"`{value}`" for value in values)
        case {"const": value}:
            words = f"`{value}`"
        case {"type": "string", "format": str(name)}:
            words = {"date-time": "instant", "date": "day"}[name]
        case {"type": "integer", "minimum": least, "maximum": most}:
            words = f"integer, {least:.0f} to {most:.0f}"
        case {"type": "string", "pattern": str(pattern)}:
            words = f"string, `{pattern.replace('|', '\\|')}`"
        case {"type": "string", "maxLength": int(most)}:
            words = f"string of at most {most}"
        case _:
            words = schema.get("type", "any JSON")
    return words


if __name__ == "__main__":
    print(page(), end="")

"""Prints docs/reference/api.md from the OpenAPI document."""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
OPENAPI = json.loads((ROOT / "functions/docs/openapi.json").read_text())
SCHEMAS = OPENAPI["components"]["schemas"]

HEAD = """\
# The API

Made from the code by `make reference`; do not edit. Your stack serves the same description for
programs at `GET /v1/openapi.json`, and at `GET /v1/docs` as a page that you can search,
with samples for curl, Python and TypeScript.

Send a token in `Authorization: Bearer ...`; [tokens define who you
are](../how-to/own-oidc-provider.md). A back end on AWS can call
[under IAM](../how-to/call-under-iam.md) instead. `me` is the account of the user who signed in.
Each problem code links to [its meaning](errors.md). Problems that any operation can answer with
(401 without a valid token, 429 above the stack's rate, `forbidden`, `invalid`, `internal_error`,
`busy` and the like) are not repeated. Instants are ISO 8601 with an offset, and UTC in answers;
credits are whole numbers.

The OpenAPI document links each result to what you can do with it: an entry to its refund, a list to
its next page, an item to its next edit. You supply what a link leaves out, such as an amount.

A list has up to `limit` items per page, which other APIs call `perPage`. Instead of `page=2`, send
the previous page's `cursor` with the same filters, until it is null, so that no page shifts while
entries are added in front of it. An account's entries are numbered from 1 without a gap, so the
`seq` of the newest is their number. To show "page 3 of 12" without filters, divide by `limit`: 12
is `newest.seq`, rounded up, and 3 is `newest.seq - entries[0].seq`, rounded down, plus 1.
"""

EVERYWHERE = {"invalid", "not_found", "forbidden", "internal_error", "busy", "corrupt_account"}
EVERYWHERE |= {"catalog_unsound", "malformed", "body_too_large", "unsupported_media_type"}

TAGS = [tag["name"] for tag in OPENAPI["tags"]]
"""The order of the operations; those with the same tag are sorted by path."""

Schema = dict[str, Any]


def page() -> str:
    """Return the page."""
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
        parts.append(f"\n### {operation['operationId']}\n\n`{method} {path}`\n")
        parts.append(f"{operation['description']}\n")
        parts += [_parameters(operation), _body(operation), _answers(operation)]
    parts.append("\n## Shapes\n")
    parts += [_shape(name) for name in sorted(SCHEMAS) if _is_shown(name)]
    return "\n".join(part for part in parts if part) + "\n"


def _parameters(operation: Schema) -> str:
    rows = [
        f"| `{param['name']}` | {param['in']} | {_type(param['schema'])}"
        f" | {_remarks(param, is_required=param.get('required', True))} |"
        for param in operation.get("parameters", [])
    ]
    return "\n".join(["| parameter | in | | |", "|---|---|---|---|", *rows, ""]) if rows else ""


def _body(operation: Schema) -> str:
    if "requestBody" not in operation:
        return ""
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return f"Body: {_type(schema)}.\n"


def _answers(operation: Schema) -> str:
    """Return the shape of success, and the problem codes that are the operation's own."""
    responses = sorted(operation["responses"].items())
    successes = [
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
    return f"Answers {' '.join(successes)}\n{refuses}"


def _is_shown(name: str) -> bool:
    """Whether a schema is listed as a shape; problems are in errors.md."""
    is_problem = name.endswith("Problem") and name != "HealthProblem"
    return "properties" in SCHEMAS[name] and not is_problem and not name.endswith("ValidationError")


def _shape(name: str) -> str:
    schema = SCHEMAS[name]
    required = schema.get("required", [])
    description = " ".join(schema.get("description", "").split())
    rows = [
        f"| `{name}` | {_type(field)} | {_remarks(field, is_required=name in required)} |"
        for name, field in schema["properties"].items()
    ]
    head = [f"### {name}\n", f"{description}\n", "| field | | |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _remarks(field: Schema, *, is_required: bool) -> str:
    """Return the remarks on a field or a parameter: its description, default and so on."""
    schema = field.get("schema", field)
    found = [field.get("description", "")]
    for choice in schema.get("anyOf", [schema]):
        named = choice.get("$ref", "").rsplit("/", maxsplit=1)[-1]
        if named and not _is_shown(named) and "enum" not in SCHEMAS[named]:
            found.append(SCHEMAS[named].get("description", ""))
    if not is_required and "default" in schema:
        found.append(f"Default `{json.dumps(schema['default'])}`.")
    elif not is_required:
        found.append("Optional.")
    return " ".join(filter(None, found))


def _type(schema: Schema) -> str:
    """Return a type in words, with links to shapes."""
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
        case {"type": "string"}:
            words = "string"
            if "maxLength" in schema:
                words += f", at most {schema['maxLength']} characters"
            if "pattern" in schema:
                words += f", `{schema['pattern'].replace('|', '\\|')}`"
        case _:
            words = schema.get("type", "any JSON")
    return words


if __name__ == "__main__":
    print(page(), end="")

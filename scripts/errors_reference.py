"""Prints docs/reference/errors.md: every code, from the error classes and the OpenAPI document."""

import inspect
import json
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

from scrip.domain.errors import InsufficientCreditsError, RefusalError, ScripError
from scrip.http import problems  # noqa: F401 - its errors are among the subclasses

OPENAPI = Path(__file__).parent.parent / "functions/docs/openapi.json"

LINKS_MAX = 10
"""A code of more operations than these does not list them."""

HEAD = """\
# Errors

Made from the code by `make reference`; do not edit.

Every refusal and failure of a function is an `application/problem+json` (RFC 9457) with `type`,
`title`, `status`, `detail`, `instance` (the request's id, as in the log), `code`, and the data
listed below. Switch on `code`; wording may change. A refusal writes nothing, and the request may be
repeated with its idempotency key.

API Gateway answers some requests itself, with `{"message": ...}` and no `code`: 401 without a valid
token, 404 for an unknown path, 429 above the stack's rate, 500 or 503 when a function does not
answer. After 429 and 5xx, repeat the request with the same idempotency key.
"""


def page() -> str:
    """Return the page."""
    operations = _operations()
    by_code: dict[str, list[type[ScripError]]] = {}
    for error in _errors(ScripError):
        if error is not RefusalError:
            by_code.setdefault(error.code, []).append(error)
    parts = [HEAD]
    for code in sorted(by_code):
        parts.append(f"## {code}\n")
        parts += [_section(error, operations) for error in by_code[code]]
    return "\n".join(parts)


def _errors(error: type[ScripError]) -> Iterator[type[ScripError]]:
    """Yield an error class and all its subclasses."""
    yield error
    for subclass in error.__subclasses__():
        yield from _errors(subclass)


def _section(error: type[ScripError], operations: dict[tuple[str, str], list[str]]) -> str:
    title, _, remedy = inspect.cleandoc(error.__doc__ or "").partition("\n\n")
    data = [field.name for field in fields(error)]
    if issubclass(error, InsufficientCreditsError):
        data += ["unit", "top_up_url", "credits_url"]
    parts = [f"**{error.status}.** {title} {' '.join(remedy.split())}"]
    if data:
        parts.append("Data: " + ", ".join(f"`{name}`" for name in data) + ".")
    if links := operations.get((error.code, str(error.status))):
        parts.append("Operations: " + ", ".join(links) + ".")
    return "\n\n".join(parts) + "\n"


def _operations() -> dict[tuple[str, str], list[str]]:
    """Return the operations that answer with each code and status, as links to api.md."""
    found: dict[tuple[str, str], list[str]] = {}
    paths: dict[str, dict[str, Any]] = json.loads(OPENAPI.read_text())["paths"]
    for methods in paths.values():
        for operation in methods.values():
            link = f"[{operation['operationId']}](api.md#{operation['operationId']})"
            for status, answer in operation["responses"].items():
                for code in answer["description"].split("`")[1::2]:
                    found.setdefault((code, status), []).append(link)
    return {
        key: sorted(links) if len(links) <= LINKS_MAX else ["[many](api.md)"]
        for key, links in found.items()
    }


if __name__ == "__main__":
    print(page(), end="")

"""Makes an operation's code samples from its sample event and from what the clients can do.

Where the Python or the TypeScript client has a call for the operation, its sample is that call;
otherwise it is a plain request. Tests send every sample.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import indent
from typing import Any

from scrip_client import calls

ROOT = Path(__file__).parent.parent
TYPESCRIPT = ROOT / "clients/typescript/packages/client/src"

CHOSEN = {"consume": "consume/feature", "refund": "refund/whole"}
"""The sample events of operations that have several and whose first is not the most typical."""

HEADERS = ("Content-Type", "Idempotency-Key", "If-Match")

COLUMNS_MAX = 60
PYTHON_TAB, TYPESCRIPT_TAB = "    ", "  "


@dataclass(frozen=True, kw_only=True)
class Sampled:
    """An operation with an example of its request.

    `token` is `SERVICE` or `ADMIN`, None if it needs none. `parameters` are those of the path.
    """

    operation_id: str
    method: str
    path: str
    token: str | None
    parameters: dict[str, str]
    headers: dict[str, str]
    body: Any

    @property
    def call_name(self) -> str:
        """What both clients would call the operation; TypeScript's in camel case."""
        if self.operation_id == "get_account":
            return "balance"
        return self.operation_id.removeprefix("get_").removeprefix("list_")

    @property
    def is_iterated(self) -> bool:
        """Whether the clients fetch all pages of the answer."""
        return f"async *{self.call_name}(" in (TYPESCRIPT / "account.ts").read_text()

    @property
    def literals(self) -> list[str]:
        """The parameters that are no variable of the reader's."""
        return [_json(value) for name, value in self.parameters.items() if name != "account_id"]


def code_samples(
    operation_id: str, route: str, *, token: str | None, has_key: bool
) -> list[dict[str, str]]:
    """Return an operation's samples as `x-codeSamples` has them, with what `Sampled` needs.

    `has_key` says whether the operation takes an idempotency key.
    """
    event = _event(CHOSEN.get(operation_id), route)
    body, given = json.loads(event.get("body") or "null"), event["headers"]
    headers = {name: given[name.lower()] for name in HEADERS if name.lower() in given}
    if body is None:
        headers.pop("Content-Type", None)
    if not has_key:
        headers.pop("Idempotency-Key", None)
    method, _, path = route.partition(" ")
    parameters = event.get("pathParameters", {})
    for name, value in parameters.items():
        path = path if name == "account_id" else path.replace(f"{{{name}}}", value)
    sampled = Sampled(
        operation_id=operation_id,
        method=method,
        path=path,
        token=token,
        parameters=parameters,
        headers=headers,
        body=body,
    )
    return [
        {"lang": "Shell", "label": "curl", "source": _curl(sampled)},
        {"lang": "Python", "source": _python_call(sampled) or _python(sampled)},
        {"lang": "TypeScript", "source": _typescript_call(sampled) or _typescript(sampled)},
    ]


def _event(chosen: str | None, route: str) -> dict[str, Any]:
    if chosen:
        return _events()[chosen]
    return next(event for event in _events().values() if event.get("routeKey") == route)


@cache
def _events() -> dict[str, dict[str, Any]]:
    folder = ROOT / "events"
    paths = sorted(folder.rglob("*.json"))
    return {
        path.relative_to(folder).with_suffix("").as_posix(): json.loads(path.read_text())
        for path in paths
    }


def _curl(sampled: Sampled) -> str:
    """Return a command for bash or zsh. Other processes cannot see the token."""
    url = f'"$SCRIP_API_URL{sampled.path.replace("{account_id}", "$ACCOUNT_ID")}"'
    is_default = sampled.method == ("GET" if sampled.body is None else "POST")
    lines = [f"curl {url}" if is_default else f"curl -X {sampled.method} {url}"]
    if sampled.token:
        lines.append(f"-H @<(printf 'Authorization: Bearer %s' \"$SCRIP_{sampled.token}_TOKEN\")")
    lines += [f"-H '{name}: {value}'" for name, value in sampled.headers.items()]
    if sampled.body is not None:
        lines.append("-d '" + json.dumps(sampled.body).replace("'", r"'\''") + "'")
    return " \\\n  ".join(lines)


def _python(sampled: Sampled) -> str:
    path = ("f" if "{" in sampled.path else "") + _json(sampled.path)
    headers = [f"{_json(name)}: {_json(value)}" for name, value in sampled.headers.items()]
    if sampled.token:
        token = f"f\"Bearer {{os.environ['SCRIP_{sampled.token}_TOKEN']}}\""
        headers.insert(0, f'"Authorization": {token}')
    arguments = [f'os.environ["SCRIP_API_URL"] + {path}', f"method={_json(sampled.method)}"]
    arguments += [_wrapped("headers={", headers, "}", PYTHON_TAB)] if headers else []
    if sampled.body is not None:
        arguments.append(f"data=json.dumps({_python_value(sampled.body)}).encode()")
    return "\n".join(
        [
            "import json",
            "import os",
            "from urllib.request import Request, urlopen",
            "",
            _wrapped("request = Request(", arguments, ")", PYTHON_TAB),
            "with urlopen(request) as response:",
            "    answer = json.load(response)",
        ]
    )


def _typescript(sampled: Sampled) -> str:
    path = sampled.path.replace("{account_id}", "${accountId}")
    headers = [f"{_json(name)}: {_json(value)}" for name, value in sampled.headers.items()]
    if sampled.token:
        headers.insert(0, f"Authorization: `Bearer ${{process.env.SCRIP_{sampled.token}_TOKEN}}`")
    options = [f"method: {_json(sampled.method)}"]
    options += [_wrapped("headers: { ", headers, " }", TYPESCRIPT_TAB)] if headers else []
    if sampled.body is not None:
        options.append(f"body: JSON.stringify({_typescript_value(sampled.body)})")
    url = f"`${{process.env.SCRIP_API_URL}}{path}`"
    arguments = [url, _wrapped("{ ", options, " }", TYPESCRIPT_TAB)]
    sent = _wrapped("const response = await fetch(", arguments, ");", TYPESCRIPT_TAB)
    return f"{sent}\nconst answer = await response.json();"


def _python_call(sampled: Sampled) -> str | None:
    """Return the Python client's call; None if it has none."""
    if not hasattr(calls, sampled.call_name):
        return None
    arguments = ["account_id"] if "account_id" in sampled.parameters else []
    arguments += sampled.literals
    arguments += [f"{name}={_python_value(value)}" for name, value in (sampled.body or {}).items()]
    if key := sampled.headers.get("Idempotency-Key"):
        arguments.append(f"idempotency_key={_json(key)}")
    begin, end = (
        ("for item in ", ":\n    print(item)") if sampled.is_iterated else ("answer = ", "")
    )
    call = _wrapped(f"{begin}scrip.{sampled.call_name}(", arguments, f"){end}", PYTHON_TAB)
    return f"from scrip_client import Scrip\n\nscrip = Scrip.from_env()\n{call}"


def _typescript_call(sampled: Sampled) -> str | None:
    """Return the TypeScript client's call; None if it has none."""
    name = re.sub(r"_(\w)", lambda match: match[1].upper(), sampled.call_name)
    name = {"consumeBatch": "batch"}.get(name, name)
    is_of_account = "account_id" in sampled.parameters
    if f"export function {name}(" not in (TYPESCRIPT / "calls.ts").read_text():
        return None
    arguments, body = sampled.literals, sampled.body or {}
    if name == "batch":
        arguments.append(_typescript_value(body["uses"]))
        body = {}
    if key := sampled.headers.get("Idempotency-Key"):
        body |= {"idempotencyKey": key}
    arguments += [_typescript_value(body)] if body else []
    begin, end = "const answer = await ", ");"
    if sampled.is_iterated:
        begin, end = "for await (const item of ", ")) console.log(item);"
    target = "account" if is_of_account else "scrip"
    lines = ['import { Scrip } from "@scrip/client";', "", "const scrip = Scrip.fromEnv();"]
    lines += ["const account = scrip.account(accountId);"] if is_of_account else []
    lines.append(_wrapped(f"{begin}{target}.{name}(", arguments, end, TYPESCRIPT_TAB))
    return "\n".join(lines)


def _python_value(value: Any) -> str:
    match value:
        case dict():
            fields = [f"{_json(name)}: {_python_value(field)}" for name, field in value.items()]
            return _wrapped("{", fields, "}", PYTHON_TAB)
        case list():
            return _wrapped("[", [*map(_python_value, value)], "]", PYTHON_TAB)
        case str():
            return _json(value)
    return repr(value)


def _typescript_value(value: Any) -> str:
    match value:
        case dict():
            fields = [f"{name}: {_typescript_value(field)}" for name, field in value.items()]
            return _wrapped("{ ", fields, " }", TYPESCRIPT_TAB)
        case list():
            return _wrapped("[", [*map(_typescript_value, value)], "]", TYPESCRIPT_TAB)
    return _json(value)


def _wrapped(begin: str, parts: list[str], end: str, tab: str) -> str:
    """Return parts on one line, or on a line each if that would be too long."""
    line = f"{begin}{', '.join(parts)}{end}"
    if not parts or ("\n" not in line.removesuffix(end) and len(line) <= COLUMNS_MAX):
        return line
    return f"{begin.rstrip()}\n{indent(',\n'.join(parts), tab)},\n{end.lstrip()}"


def _json(value: Any) -> str:
    return json.dumps(value)

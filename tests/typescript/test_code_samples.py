"""Every code sample of the OpenAPI document sends the request that its operation documents."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from tests.functional.conftest import openapi

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

SAMPLED = {
    f"{method.upper()} {path}": {
        sample["lang"]: sample["source"] for sample in operation["x-codeSamples"]
    }
    for path, methods in openapi()["paths"].items()
    for method, operation in methods.items()
    if "x-codeSamples" in operation
}
"""The source of each sample, by route and language."""
IMPORT = 'import { Scrip } from "@scrip/client";'
TOKENS = {"/token": {"access_token": "a token", "expires_in": 3600}}
SECONDS_MAX = 120


class Recorder(BaseHTTPRequestHandler):
    """Records requests as (method, path, body), and refuses all but those for tokens."""

    recorded: list[tuple[str, str, Any]]

    def _answer(self) -> None:
        sent = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        if path not in TOKENS:
            if path not in {"/v1/health", "/v1/catalog"}:
                assert self.headers["Authorization"] == "Bearer a token"
            self.recorded.append((self.command, path, json.loads(sent or "null")))
        body = json.dumps(TOKENS.get(path, {"code": "forbidden", "status": 403})).encode()
        self.send_response(200 if path in TOKENS else 403)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 - http.server's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Print nothing."""


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, Any]]]:
    """The requests that samples have sent; the environment names the server that gets them."""
    Recorder.recorded = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Recorder)
    Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"
    variables = {"API_URL": url, "TOKEN_URL": f"{url}/token"}
    variables |= {"SERVICE_TOKEN": "a token", "ADMIN_TOKEN": "a token"}
    variables |= {"SERVICE_CLIENT_ID": "id", "SERVICE_CLIENT_SECRET": "secret"}
    for name, value in variables.items():
        monkeypatch.setenv(f"SCRIP_{name}", value)
    monkeypatch.setenv("ACCOUNT_ID", "alice")
    monkeypatch.setenv("NO_PROXY", "*")
    yield Recorder.recorded
    server.shutdown()
    server.server_close()


def in_shell(sources: list[str], folder: Path) -> None:
    run(["bash", "-c", "\n".join(sources)], folder)


def in_python(sources: list[str], folder: Path) -> None:
    for source in sources:
        with suppress(Exception):  # the refusal
            exec(source, {"account_id": "alice"})


def in_node(sources: list[str], folder: Path) -> None:
    bodies = [source.removeprefix(f"{IMPORT}\n") for source in sources]
    blocks = [f"await (async () => {{\n{body}\n}})().catch(() => {{}});" for body in bodies]
    (folder / "samples.mjs").write_text("\n".join([IMPORT, 'const accountId = "alice";', *blocks]))
    run(["node", "samples.mjs"], folder)


def run(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, capture_output=True, check=True, timeout=SECONDS_MAX)


@pytest.mark.parametrize(
    ("language", "send"), [("Shell", in_shell), ("Python", in_python), ("TypeScript", in_node)]
)
def test_every_sample_sends_the_request_of_its_operation(
    language: str,
    send: Callable[[list[str], Path], None],
    recorded: list[tuple[str, str, Any]],
    workspace: Path,
) -> None:
    folder = workspace / "node_modules/.samples"
    folder.mkdir(exist_ok=True)
    samples = {route: found[language] for route, found in SAMPLED.items()}
    send([*samples.values()], folder)
    for route, (method, path, body) in zip(samples, recorded, strict=True):
        pattern = re.sub(r"\{\w+\}", "[^/]+", route.replace("{account_id}", "alice"))
        assert re.fullmatch(pattern, f"{method} {path}"), route
        _, _, given = SAMPLED[route]["Shell"].partition("-d '")
        shown = json.loads(given.removesuffix("'").replace("'\\''", "'") or "{}")
        # A client may also say what is the default.
        assert shown.items() <= (body or {}).items(), route

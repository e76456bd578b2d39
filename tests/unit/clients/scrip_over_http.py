"""Scrip in memory over real HTTP, for the tests of the TypeScript packages.

Every first part of a path is a world of its own, with an account `u1` of 150 credits. Beside the
API, a world answers `POST /<world>/world` with its books, after it has done what the body names:
`faults` for the next requests, seconds to `wait`, whether the catalog is that of a `new` stack,
and a feature whose `tokens` cost a credit each.

    python -m tests.unit.clients.scrip_over_http
"""

from __future__ import annotations

import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

import httpx

from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from tests.unit.clients.scrip_in_memory import (
    ScripInMemory,
    answer_lost,
    no_fault,
    request_lost,
)

if TYPE_CHECKING:
    from tests.unit.clients.scrip_in_memory import Fault


def answering(status: int, body: str, **headers: str) -> Fault:
    """Return a fault: something else answers, and the request does not arrive."""
    return lambda _: httpx.Response(status, text=body, headers=headers)


FAULTS: dict[str, Fault] = {
    "none": no_fault,
    "request lost": request_lost,
    "answer lost": answer_lost,
    "proxy": answering(502, "<html>Bad gateway</html>"),
    "busy": answering(503, '{"code": "busy", "retry_after": 1}', **{"Retry-After": "1"}),
    "busy for long": answering(503, '{"code": "busy"}', **{"Retry-After": "60"}),
    "unauthorized": answering(401, '{"message": "Unauthorized"}'),
    "nonsense": answering(200, '{"entry": null}'),
    "another account": answering(200, '{"account_id": "u2"}'),
}


class Server(ThreadingHTTPServer):
    """Accepts many connections at the same time."""

    request_queue_size = 128

    def handle_error(self, *request: Any) -> None:
        """Say nothing of a client that was killed."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*request)


class Handler(BaseHTTPRequestHandler):
    """One connection. The lock is for pydantic, which builds models at their first use."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    worlds: ClassVar = defaultdict[str, ScripInMemory](ScripInMemory)
    lock: ClassVar = threading.Lock()

    def do_GET(self) -> None:
        """Answer a request, or close the connection if a fault loses it."""
        _, world, path = self.path.split("/", 2)
        scrip = self.worlds[world]
        content = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if path == "world":
            with self.lock:
                books = _books(scrip, json.loads(content))
            self._send(httpx.Response(200, json=books))
            return
        url = f"http://api.example/{path}"
        request = httpx.Request(self.command, url, headers=dict(self.headers), content=content)
        try:
            with self.lock:
                answer = scrip.handle_request(request)
            self._send(answer)
        except httpx.TransportError:
            self.close_connection = True

    do_POST = do_GET  # noqa: N815 - the name that the standard library looks for

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        """Stay silent."""

    def _send(self, response: httpx.Response) -> None:
        self.send_response(response.status_code)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(response.content)


def _books(scrip: ScripInMemory, orders: dict[str, Any]) -> dict[str, Any]:
    scrip.faults.extend(FAULTS[name] for name in orders.get("faults", ()))
    scrip.wait(orders.get("wait", 0))
    if orders.get("new"):
        scrip.catalog = DEFAULT_CATALOG
    if "tokens" in orders:
        scrip.price_tokens(orders["tokens"])
    account = scrip.account
    return {
        "ledger": scrip.ledger,
        "uses": [entry for entry in scrip.entries if entry["type"] == "usage"],
        "keys": scrip.keys,
        "metadata": scrip.newest.metadata,
        "available": account.available,
        "held": account.balance - account.available,
        "faults": len(scrip.faults),
    }


if __name__ == "__main__":
    with Server(("127.0.0.1", 0), Handler) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)  # noqa: T201 - it is asked for
        threading.Thread(target=server.serve_forever, daemon=True).start()
        sys.stdin.read()  # until the tests that started it are gone

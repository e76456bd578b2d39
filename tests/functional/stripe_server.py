"""Stripe's lists on the loopback interface: real HTTP, pages and errors."""

from __future__ import annotations

import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 1
KEY = "rk_test_scrip"


@dataclass
class StripeServer:
    """Subscriptions, newest first, and other lists by their paths.

    `failing` has the numbers of the requests that fail, `asked` the queries so far.
    """

    url: str = ""
    subscriptions: list[dict[str, Any]] = field(default_factory=list)
    lists: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    failing: set[int] = field(default_factory=set)
    asked: list[dict[str, list[str]]] = field(default_factory=list)

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Answer a request as Stripe does."""
        url = urlsplit(path)
        self.asked.append(parse_qs(url.query))
        if authorization != f"Bearer {KEY}":
            return 401, {"error": {"type": "invalid_request_error", "message": "Invalid API Key"}}
        if len(self.asked) in self.failing:
            return 500, {"error": {"type": "api_error", "message": "An unknown error occurred"}}
        if url.path == "/v1/subscriptions":
            assert self.asked[-1]["status"] == ["all"]
            assert self.asked[-1]["expand[0]"] == ["data.latest_invoice.payments"]
        whole = {"/v1/subscriptions": self.subscriptions, **self.lists}.get(url.path)
        if whole is None:
            return 404, {"error": {"type": "invalid_request_error", "message": "No such object"}}
        ids = [part["id"] for part in whole]
        [after] = self.asked[-1].get("starting_after", [None])
        first = ids.index(after) + 1 if after else 0
        page = whole[first : first + PAGE]
        has_more = first + PAGE < len(ids)
        return 200, {"object": "list", "data": page, "has_more": has_more, "url": url.path}


@contextmanager
def stripe_server() -> Iterator[StripeServer]:
    """Listen on a free port until it is no longer needed."""
    served = StripeServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, content = served.answer(self.path, self.headers["Authorization"])
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,)).start()
    served.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()

"""A small Runtime API, from which a function's process gets its events as it does in Lambda.

https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import time
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

DEADLINE_SECONDS = 29


class RuntimeApi(ThreadingHTTPServer):
    """Hands out the events one by one, then closes the connection, which ends the process."""

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.events: list[Any] = []
        self.answers: list[Any] = []
        self.failures: list[Any] = []
        """What the function raised, or its runtime while it started."""
        self.resources: list[Any] = []
        """What a custom resource sent to a `ResponseURL` with this address."""

    @property
    def address(self) -> str:
        """Host and port."""
        return f"127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: RuntimeApi

    def do_GET(self) -> None:
        number = len(self.server.answers) + len(self.server.failures)
        if number == len(self.server.events):
            return
        body = json.dumps(self.server.events[number]).encode()
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        # Without any one of these, awslambdaric 4 ends with a segmentation fault.
        arn = "arn:aws:lambda:us-east-1:123456789012:function:function"
        deadline = time.time() + DEADLINE_SECONDS
        self.send_header("Lambda-Runtime-Aws-Request-Id", f"request-{number}")
        self.send_header("Lambda-Runtime-Invoked-Function-Arn", arn)
        self.send_header("Lambda-Runtime-Trace-Id", "Root=1-5759e988-bd862e3fe1be46a994272793")
        self.send_header("Lambda-Runtime-Deadline-Ms", f"{deadline * 1000:.0f}")
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        is_answer = self.path.endswith("/response")
        self._keep(self.server.answers if is_answer else self.server.failures)

    def do_PUT(self) -> None:
        self._keep(self.server.resources)

    def _keep(self, kept: list[Any]) -> None:
        kept.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(HTTPStatus.ACCEPTED)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Log nothing."""


@contextmanager
def runtime_api() -> Iterator[RuntimeApi]:
    """Serve events to one process."""
    with RuntimeApi() as api:
        Thread(target=api.serve_forever, args=[0.01]).start()
        yield api
        api.shutdown()

"""A DynamoDB with canned answers, to measure a client's own computing.

It runs in a process of its own and does next to nothing for a request.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from multiprocessing.connection import Connection

    from scrip.store.items import Wire


@contextmanager
def canned_dynamodb(items: Iterable[Wire]) -> Iterator[str]:
    """Yield the address of a server with these items; it accepts every write and ignores it.

    A query returns all items of a partition, a read the first one.
    """
    partitions: dict[str, list[Any]] = {}
    for item in items:
        partitions.setdefault(item["pk"]["S"], []).append(item)
    spawn = get_context("spawn")
    mine, theirs = spawn.Pipe()
    server = spawn.Process(target=_serve, args=(partitions, theirs), daemon=True)
    server.start()
    try:
        yield f"http://127.0.0.1:{mine.recv()}"
    finally:
        server.terminate()
        server.join()


def _serve(partitions: dict[str, list[Wire]], port: Connection) -> None:
    class Handler(BaseHTTPRequestHandler):
        """Answers the operation in `X-Amz-Target`."""

        protocol_version = "HTTP/1.1"
        wbufsize = -1  # an answer is one packet, like AWS's
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            """Answer, with DynamoDB's headers."""
            params = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            match self.headers["X-Amz-Target"].partition(".")[2]:
                case "GetItem":
                    answer: dict[str, Any] = {"Item": partitions[params["Key"]["pk"]["S"]][0]}
                case "Query":
                    pk = params["ExpressionAttributeValues"][":pk"]["S"]
                    answer = {"Items": partitions[pk]}
                case _:
                    answer = {}
            body = json.dumps(answer, default=_base64).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-amz-json-1.0")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("x-amzn-RequestId", "A" * 52)
            self.send_header("x-amz-crc32", str(zlib.crc32(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    port.send(server.server_port)
    server.serve_forever()


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()

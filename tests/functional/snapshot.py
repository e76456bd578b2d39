"""Start a function and continue in two processes, as Lambda does from one snapshot.

test_warm_up.py runs it in a process of its own. It prints a JSON report: the clients and
connections of the start, and the random values that each process drew.
"""

import json
import os
import random
import sys
import time
from importlib import import_module
from typing import Any

import snapshot_restore_py
from botocore.session import Session
from ulid import ULID

clients: list[Any] = []
connections: list[str] = []

_create_client = Session.create_client


def create_client(session: Session, service: str, **arguments: Any) -> Any:
    """Make a client and record its settings."""
    config = arguments["config"]
    clients.append([service, config.retries, config.connect_timeout, config.read_timeout])
    return _create_client(session, service, **arguments)


def notice(event: str, details: Any) -> None:
    """Record the addresses that are connected to."""
    if event == "socket.connect":
        connections.append(str(details[1]))


def restored() -> list[Any]:
    """Return the random values that a process draws when it continues from here."""
    reader, writer = os.pipe()
    kept = random.getstate()
    if not os.fork():
        random.setstate(kept)  # Python reseeds after a fork, but not after a restore
        for hook, arguments, named in snapshot_restore_py.get_after_restore():
            hook(*arguments, **named)
        os.write(writer, json.dumps([str(ULID())[-16:], random.random()]).encode())
        os._exit(0)
    os.wait()
    os.close(writer)
    with os.fdopen(reader) as answer:
        drawn: list[Any] = json.load(answer)
    return drawn


if __name__ == "__main__":
    Session.create_client = create_client  # type: ignore[assignment, method-assign]
    sys.addaudithook(notice)
    import_module("functions.consume.handler")
    ULID()  # as a request would; the next one in the same millisecond follows from it
    time.sleep(0.002)
    report = {"clients": clients, "connections": connections, "drawn": [restored(), restored()]}
    print(json.dumps(report))  # noqa: T201 - the test reads it

"""Start a function, and go on from there in two processes, as Lambda does from one snapshot.

Run by test_prepare.py in a process of its own. Prints as JSON what the start did, and what each
process drew.
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


def create_client(session: Session, service: str, **told: Any) -> Any:
    """Make a client, and remember what it was told."""
    config = told["config"]
    clients.append([service, config.retries, config.connect_timeout, config.read_timeout])
    return _create_client(session, service, **told)


def notice(event: str, details: Any) -> None:
    """Remember who was connected to."""
    if event == "socket.connect":
        connections.append(str(details[1]))


def restored() -> list[Any]:
    """Return what a process draws that goes on from here."""
    reader, writer = os.pipe()
    kept = random.getstate()
    if not os.fork():
        random.setstate(kept)  # Python itself draws anew after a fork, but not after a restore
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
    ULID()  # as a request would; another of the same millisecond follows from it
    time.sleep(0.002)
    told = {"clients": clients, "connections": connections, "drawn": [restored(), restored()]}
    print(json.dumps(told))  # noqa: T201 - for who runs it

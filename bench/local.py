"""A local AWS for one part of the benchmark, with the table and the queue and nothing else."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samcli.yamlhelper import yaml_parse

from bench.ledgers import catalog_items
from scrip.ledger import ledger
from scrip.renew_queue import renew_queue
from scrip.settings import settings
from scrip_cli.local import process
from scrip_cli.local.stack import find_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.store.client import Table
    from scrip_cli.local.stack import LocalStack

TABLE, BARE_TABLE = "bench", "bench-bare"
"""The second table is for repeating recorded calls without Scrip."""

KEPT = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "KeySchema")
"""Properties of the table in template.yaml that affect the cost of a call."""


@dataclass(frozen=True)
class LocalAws:
    """What a part needs: the stack that runs the local AWS, and the functions' table."""

    stack: LocalStack
    table: Table


@contextmanager
def local_aws() -> Iterator[LocalAws]:
    """Run ministack with Scrip's table and queue, and point this process at them."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        stack = find_stack(_free_port(), Path(state))
        lock = process.claim(stack)
        assert lock is not None, "another process uses the new folder"
        server = process.start(stack, lock)
        try:
            process.wait_until_ready(stack, server)
            with environment(stack) as aws:
                yield aws
        finally:
            # A regular stop would save its state, which is not needed.
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()


@contextmanager
def environment(stack: LocalStack) -> Iterator[LocalAws]:
    """Create tables and a queue on a running AWS, and set this process's environment to them."""
    before = dict(os.environ)
    client, sqs = stack.client("dynamodb"), stack.client("sqs")
    properties = yaml_parse((stack.root / "template.yaml").read_text())["Resources"]["Table"]
    kept: Any = {name: properties["Properties"][name] for name in KEPT}
    for name in (TABLE, BARE_TABLE):
        client.create_table(TableName=name, **kept)
    for item in catalog_items():
        client.put_item(TableName=TABLE, Item=item)
    queue_url = sqs.create_queue(QueueName="bench-renew")["QueueUrl"]
    os.environ |= stack.aws_environment() | {
        "RENEW_QUEUE_URL": queue_url,
        "SIGNUP_CREDITS": "100",
        "TABLE_NAME": TABLE,
    }
    _forget()
    try:
        yield LocalAws(stack=stack, table=ledger().table)
        for name in (TABLE, BARE_TABLE):
            client.delete_table(TableName=name)
        sqs.delete_queue(QueueUrl=queue_url)
    finally:
        os.environ.clear()
        os.environ |= before
        _forget()


def _forget() -> None:
    """Clear caches, so that functions read their environment again."""
    for cached in (settings, ledger, renew_queue):
        cached.cache_clear()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

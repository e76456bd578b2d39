"""Lives simulated worlds and replays their accounts; prints what became of each as JSON.

python replayed_worlds.py SEED COUNT
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

from simulation.environment import ENVIRONMENT

os.environ.update(ENVIRONMENT)

from scrip.store.audit.books import account_pages
from scrip.store.catalogs import read_catalog, read_edits
from scrip.store.client import Table
from scrip_cli.what_if.catalogs import Catalogs
from scrip_cli.what_if.reading import read_replay
from simulation.run import STEPS
from simulation.traffic import Plan
from simulation.world import TABLE, World

if TYPE_CHECKING:
    from collections.abc import Iterator

    from types_boto3_dynamodb import DynamoDBClient

LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)


def replayed(seed: int, *, with_messages: bool) -> Iterator[dict[str, Any]]:
    """Yield the outcome of each account of a world, and whether it ended in its own hash."""
    steps = Plan(seed).steps(STEPS)
    world = World(seed, [step for step in steps if with_messages or step.kind != "message"])
    world.run()
    table = Table(cast("DynamoDBClient", world.database), TABLE)
    catalog = read_catalog(table)
    catalogs = Catalogs(catalog, read_edits(table))
    for page in account_pages(table):
        for account_id in page.account_ids:
            replay = read_replay(table, account_id, catalogs, catalog, LONG_AGO)
            if replay is not None:
                outcome = replay.run()
                account = replay.side.account
                is_same = account is not None and account.hash == replay.records.account.hash
                yield {"is_same": is_same, **asdict(outcome)}


if __name__ == "__main__":
    first, count = map(int, sys.argv[1:])
    for seed in range(first, first + count):
        for with_messages in (False, True):
            for found in replayed(seed, with_messages=with_messages):
                line = json.dumps({"with_messages": with_messages, **found})
                sys.stdout.write(f"{line}\n")

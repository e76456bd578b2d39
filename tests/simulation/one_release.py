"""Runs in the code of one release: lives simulated worlds, or uses the tables that another left.

    python one_release.py live SEED COUNT   prints the tables of some worlds
    python one_release.py use               reads tables; prints what became of each account

It imports only what the releases have in common. A table is a time (seconds since 1970) and items.
"""

from __future__ import annotations

import base64
import json
import os
import sys
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, cast

from simulation.environment import ENVIRONMENT

os.environ.update(ENVIRONMENT)

from scrip.audit.accounts import audit_account
from scrip.store.client import Table
from simulation.processes import at
from simulation.run import STEPS
from simulation.traffic import ADMIN, FUNCTIONS, Plan, Step, http_event
from simulation.world import TABLE, World

if TYPE_CHECKING:
    from types_boto3_dynamodb import DynamoDBClient

ADDED = {"action": "add", "amount": 1, "reason": "after an update"}


def lived(seed: int) -> dict[str, Any]:
    """Return the table at the end of a world."""
    world = World(seed, Plan(seed).steps(STEPS))
    world.run()
    return table_of(world)


def used(table: dict[str, Any]) -> dict[str, Any]:
    """Return for each account how it reads, before and after a change, and the table afterwards.

    Of `before`, `change` and `after` there are the status and the body; `findings` are those of the
    audit at the end.
    """
    world = World(0, [])
    world.faults.over = True
    world.written = lambda: None  # type: ignore[method-assign] # the model knows none of this
    world.scheduler.now = table["now"]
    for item in table["items"]:
        world.database.put_item(TableName=TABLE, Item=item)
    answers: dict[str, Any] = {}
    for item in table["items"]:
        if item["sk"]["S"] == "ACCOUNT":
            account_id = item["pk"]["S"].partition("#")[2]
            world.scheduler.spawn(partial(use, world, account_id, answers), Random(0))
    world.scheduler.run()
    return {"answers": answers, **table_of(world)}


def use(world: World, account_id: str, answers: dict[str, Any]) -> None:
    """Read an account, add a credit, read it again, and audit it."""
    key = f"after-{len(world.database.scan(TableName=TABLE)['Items'])}-items"

    def ask(kind: str) -> list[Any]:
        step = Step(0, world.scheduler.now, kind, account_id, claims=ADMIN)
        step.path, step.key, step.body = {"account_id": account_id}, key, ADDED
        answer = world.processes.invoke(FUNCTIONS[kind], http_event(step))
        return [answer["statusCode"], json.loads(answer["body"])]

    found = {"before": ask("account"), "change": ask("adjustment"), "after": ask("account")}
    table = Table(cast("DynamoDBClient", world.database), TABLE)
    audited = audit_account(table, account_id, at(world.scheduler.now))
    found["findings"] = [one.code for one in audited.findings] if audited else ["missing"]
    answers[account_id] = found


def table_of(world: World) -> dict[str, Any]:
    """Return a world's table."""
    items = world.database.scan(TableName=TABLE)["Items"]
    return {"now": world.scheduler.now, "items": items}


def main() -> None:
    """Run the command line."""
    match sys.argv[1:]:
        case "live", seed, count:
            done = [lived(int(seed) + number) for number in range(int(count))]
        case ("use",):
            done = [used(table) for table in json.load(sys.stdin, object_hook=from_json)]
    json.dump(done, sys.stdout, default=to_json)


def to_json(value: bytes) -> dict[str, str]:
    """Return binary as JSON."""
    return {"base64": base64.b64encode(value).decode()}


def from_json(value: dict[str, Any]) -> Any:
    """Return binary from JSON, and everything else as it is."""
    return base64.b64decode(value["base64"]) if value.keys() == {"base64"} else value


if __name__ == "__main__":
    main()

"""Part `audit`: rounds of the audit over accounts with 20 entries, and the reading of an entry.

Three kinds of rounds run in turns on one table: as they were before checkpoints, by the code of
that time; the first round over accounts without a checkpoint; and a following one after a few
accounts have changed. An entry's item is read in two ways in turn: typed at once, and compared with
what Scrip writes before that.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from statistics import median
from subprocess import PIPE
from typing import TYPE_CHECKING, Any

from samcli.yamlhelper import yaml_parse

from bench.document import ROOT
from bench.goals import at_least, at_most
from bench.ledgers import life, write
from bench.local import local_aws
from bench.meter import READ_BYTES, Meter
from functions.audit.parts import audit_part
from scrip.audit_queue import DirectoryShard, TableSegment
from scrip.domain.audit.rounds import Counts, Progress
from scrip.domain.commands import Consume
from scrip.domain.entries import Actor, ActorType
from scrip.ledger import Ledger, utc_now
from scrip.renew_queue import renew_queue
from scrip.store.audit.entries import entry_as_written
from scrip.store.audit.rounds import read_parts, read_progress, save_progress
from scrip.store.items import entry_of, unknown_in_entry
from scrip.store.keys import checkpoint_key, directory_keys, is_entry
from simulation.dynamodb import item_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scrip.audit_queue import Part
    from scrip.store.client import Table
    from scrip.store.items import Wire

BEFORE = "89a10ef"
"""The last commit before the audit had checkpoints."""

ENTRIES = 20
QUICK, WHOLE = 400, 2_000
"""Numbers of accounts."""

CHANGED_EVERY = 100
"""How many accounts there are to each one that changes between two rounds."""

LATER_DAYS = 3
"""How long accounts have been silent: entries of the last two days are in no checkpoint."""

TURNS = 3
TIMES = 7
"""How often rounds, and each way of reading, are measured."""

FIRST_MIN, FOLLOWING_MIN = 5, 20
CALLS_MAX = 2.5
READING_MIN = 3
NOISE = 0.15

NOTES = [
    (
        f"Accounts have {ENTRIES} entries, an address and a payment, and were silent for"
        f" {LATER_DAYS} days; before a following round, one in {CHANGED_EVERY} changes."
    ),
    "Processor time is that of one worker, which is what limits it, without that of the local AWS.",
    (
        "The goal of a first round multiplies the rate of one worker by the number of workers that"
        " the template allows, since this machine has no room for them."
    ),
    (
        "Of the directory, only shards that have accounts are read. What a scan reads is calculated"
        " from the size of the table."
    ),
]

type Figures = dict[str, float]
"""Of a round: `round_trips`, `processor_seconds` of the audit, and `seconds`."""

APP = Actor(ActorType.SERVICE, "app")


def measure(*, quick: bool) -> dict[str, Any]:
    """Audit accounts, and read entries both ways."""
    accounts = QUICK if quick else WHOLE
    with local_aws() as aws, audit_as_before() as audit_before:
        write(aws.table, {f"bench-{number}": ENTRIES for number in range(accounts)})
        rows = measure_on(aws.table, accounts, audit_before)
    was, first, following = (row["accounts_per_processor_second_here"] for row in rows)
    workers = _workers()
    goals = [
        at_least(
            f"audit: accounts a second, first round by {workers} workers (calculated)",
            workers * first / was,
            FIRST_MIN,
            "times before",
        ),
        at_least(
            "audit: accounts a second of one worker, following round",
            following / was,
            FOLLOWING_MIN,
            "times before",
        ),
        at_most(
            "audit: calls an account, first round",
            rows[1]["round_trips_per_account"],
            CALLS_MAX,
            "calls",
        ),
        at_least(
            "audit: reading an entry, typed to compared first",
            _times_faster(),
            READING_MIN,
            "times",
            noise=NOISE,
        ),
    ]
    return {"rows": rows, "notes": NOTES, "goals": goals}


def measure_on(
    table: Table, accounts: int, audit_before: Callable[[], Figures] | None = None
) -> list[dict[str, Any]]:
    """Return a row for each kind of round, with the middle figure of several turns.

    Raises:
        AssertionError: the audit finds fault with sound accounts.
    """
    before, first, following = [], [], []
    for turn in range(TURNS):
        if audit_before:
            before.append(audit_before())
        first.append(_first(table, accounts))
        following.append(_following(table, accounts, turn))
    meters = Meter(), Meter()
    for meter, audit in ((meters[0], _first), (meters[1], partial(_following, turn=TURNS))):
        audit(table, accounts, meter=meter)
    meters[0].read_units += _units_of_scan(table)
    kinds = (
        ("every account, as before checkpoints", before, None),
        ("every account for the first time", first, meters[0]),
        (f"following round, one in {CHANGED_EVERY} accounts changed", following, meters[1]),
    )
    return [_row(case, accounts, of, meter) for case, of, meter in kinds if of]


def _row(case: str, accounts: int, of: list[Figures], meter: Meter | None) -> dict[str, Any]:
    middle = {name: median(figures[name] for figures in of) for name in of[0]}
    return {
        "case": case,
        "accounts": accounts,
        "round_trips_per_account": round(middle["round_trips"] / accounts, 3),
        "read_units_per_account": round(meter.read_units / accounts, 2) if meter else None,
        "write_units_per_account": round(meter.write_units / accounts, 2) if meter else None,
        "accounts_per_processor_second_here": round(accounts / middle["processor_seconds"]),
        "accounts_per_second_here": round(accounts / middle["seconds"]),
    }


def _first(table: Table, accounts: int, *, meter: Meter | None = None) -> Figures:
    """Audit all accounts without their checkpoints."""
    for number in range(accounts):
        table.delete(checkpoint_key(f"bench-{number}"))
    return _round(table, [TableSegment(round_id="", segment=0, segments=1)], accounts, meter)


def _following(table: Table, accounts: int, turn: int, *, meter: Meter | None = None) -> Figures:
    """Change a few accounts, and audit what is new on all."""
    for number in range(0, accounts, CHANGED_EVERY):
        use = Consume(account_id=f"bench-{number}", entry_id=f"turn-{turn}", actor=APP, amount=1)
        _clocked(table).execute(use)
    shards: set[tuple[int, int]] = set()
    for number in range(accounts):
        listed = directory_keys(_clocked(table).account(f"bench-{number}"))["directory_pk"]
        _, day, shard = listed.split("#")
        shards.add((int(day), int(shard)))
    parts = [DirectoryShard(round_id="", day=day, shard=shard) for day, shard in sorted(shards)]
    return _round(table, parts, accounts, meter)


def _round(table: Table, parts: Sequence[Part], accounts: int, meter: Meter | None) -> Figures:
    """Audit parts in a round of their own, as a worker does."""
    ledger, step = _clocked(table), read_progress(table).step
    current = save_progress(table, Progress(step=step).begun(ledger.clock())).current
    assert current
    if meter:
        meter.hook(table.client)
    calls = 0

    def sent(**_: object) -> None:
        nonlocal calls
        calls += 1

    table.client.meta.events.register("before-send.dynamodb", sent, unique_id="bench-calls")
    processor, began = time.process_time(), time.monotonic()
    for part in parts:
        named = part.model_copy(update={"round_id": current.round_id})
        audit_part(ledger, renew_queue(), named, in_time=lambda: True)
    figures = {
        "round_trips": calls,
        "processor_seconds": time.process_time() - processor,
        "seconds": time.monotonic() - began,
    }
    table.client.meta.events.unregister("before-send.dynamodb", unique_id="bench-calls")
    if meter:
        meter.unhook(table.client)
    counted = sum(read_parts(table, current.round_id).values(), Counts())
    assert counted == Counts(accounts=accounts), counted
    return figures


def _clocked(table: Table) -> Ledger:
    return Ledger(table, lambda: utc_now() + timedelta(days=LATER_DAYS))


def _units_of_scan(table: Table) -> float:
    """Return the units of reading the whole table once, eventually consistent."""
    octets, after = 0, None
    while True:
        items, after = table.scan(after=after)
        octets += sum(item_size(item) for item in items)
        if after is None:
            return octets / READ_BYTES / 2


@contextmanager
def audit_as_before() -> Iterator[Callable[[], Figures]]:
    """Start the audit as it was, by the code in the history of the sources; yield how to run it."""
    with tempfile.TemporaryDirectory() as folder:
        code = subprocess.run(
            ["git", "archive", BEFORE, "functions", "layers"], cwd=ROOT, stdout=PIPE, check=True
        )
        subprocess.run(["tar", "-x", "-C", folder], input=code.stdout, check=True)
        process = subprocess.Popen(
            [sys.executable, ROOT / "bench/audit_before.py", str(LATER_DAYS)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": f"{folder}/layers/scrip/src:{folder}"},
            stdin=PIPE,
            stdout=PIPE,
            text=True,
        )
        assert process.stdin
        assert process.stdout

        def run() -> Figures:
            assert process.stdin
            assert process.stdout
            process.stdin.write("\n")
            process.stdin.flush()
            figures: Figures = {}
            while "round_trips" not in figures:  # its metrics go to the same place
                figures = json.loads(process.stdout.readline())
            return figures

        try:
            yield run
        finally:
            process.stdin.close()
            process.wait()


def _workers() -> int:
    """Return how many workers the stack has; before, there was one."""
    function = yaml_parse((ROOT / "template.yaml").read_text())["Resources"]["AuditFunction"]
    parts = function["Properties"]["Events"]["Parts"]["Properties"]
    return int(parts["ScalingConfig"]["MaximumConcurrency"])


def _times_faster() -> float:
    """Return how many times as long it takes to read an entry typed at once."""
    items = [item for item in life("bench", 1_000) if is_entry(item["pk"]["S"])]
    both = [(_seconds(_typed, items), _seconds(entry_as_written, items)) for _ in range(TIMES)]
    typed, compared = (min(seconds) for seconds in zip(*both, strict=True))
    return float(round(typed / compared, 2))


def _typed(item: Wire) -> None:
    unknown_in_entry(item, entry_of(item))


def _seconds(read: Callable[[Wire], object], items: Sequence[Wire]) -> float:
    began = time.process_time()
    for item in items:
        read(item)
    return time.process_time() - began

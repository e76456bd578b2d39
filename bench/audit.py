"""Audits many accounts on a local stack of its own, and then accounts that hands were laid on.

Prints a table and, last, one line of JSON. Exits with 1 if a sound table was not found sound, or a
kind of tampering was not named. `make bench-audit` runs it.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.ledgers import lengths, write
from bench.tampering import KINDS, Hands, Kind
from scrip.store.client import Table
from scrip_cli.local.deploy import outputs
from scrip_cli.local.process import running_pid
from scrip_cli.local.stack import LocalStack, find_stack

SCRIP = str(Path(sys.executable).parent / "scrip")
KIBIBYTES = 1_024
AT_ONCE = 2
WRITERS = 2


@dataclass(frozen=True)
class Run:
    """What a run of `scrip audit` has told, and what it took.

    `seconds` are from start to end, `processor_seconds` those in which it did not wait for the
    local AWS.
    """

    findings: list[dict[str, Any]]
    summary: dict[str, Any]
    seconds: float
    processor_seconds: float
    memory_mib: float


def audit(stack: LocalStack, *words: str) -> Run:
    """Run `scrip audit` as a process of its own."""
    where = ["--port", str(stack.port), "--state", str(stack.state_dir)]
    with tempfile.TemporaryFile("w+") as told:
        began = time.monotonic()
        process = subprocess.Popen(
            [SCRIP, "audit", "--json", *words, *where],
            cwd=stack.root,
            stdout=told,
            stderr=subprocess.DEVNULL,
        )
        # Not wait(): only this tells what this one child has used.
        _, _, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = 0
        told.seek(0)
        *findings, summary = [json.loads(line) for line in told]
    return Run(
        findings=findings,
        summary=summary,
        seconds=seconds,
        processor_seconds=used.ru_utime + used.ru_stime,
        memory_mib=used.ru_maxrss / KIBIBYTES,
    )


def write_share(port: int, state: Path, lengths_by_id: dict[str, int]) -> None:
    """Write some of the accounts, in a process of its own."""
    write(table_of(find_stack(port, state)), lengths_by_id)


def write_all(stack: LocalStack, accounts: int, entries: int) -> None:
    """Write all accounts: `bench-0`, which is the longest, and on."""
    asked = {f"bench-{number}": length for number, length in enumerate(lengths(accounts, entries))}
    names = list(asked)
    with ProcessPoolExecutor(WRITERS) as pool:
        shares = [{name: asked[name] for name in names[n::WRITERS]} for n in range(WRITERS)]
        writing = partial(write_share, stack.port, stack.state_dir)
        list(pool.map(writing, shares))


def table_of(stack: LocalStack) -> Table:
    """Return the stack's table."""
    return Table(stack.client("dynamodb"), outputs(stack)["TableName"])


def quiet(stack: LocalStack) -> None:
    """Let no function run by itself, by the table's stream or the clock: they take processors."""
    schedules = stack.client("scheduler")
    for schedule in schedules.list_schedules()["Schedules"]:
        schedules.delete_schedule(Name=schedule["Name"])
    client = stack.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def named(stack: LocalStack, table: Table, kind: Kind, account_id: str) -> str | None:
    """Tamper with an account; return what the audit calls it, None if that is wrong."""
    kind.do(Hands(table, account_id))
    for finding in audit(stack, "--account", account_id).findings:
        if finding["code"] == kind.code and finding["about"].startswith(kind.about):
            return f"{finding['code']}: {finding['about']}"
    return None


def measure(
    stack: LocalStack, accounts: int, entries: int, kinds: Sequence[Kind] = KINDS
) -> dict[str, Any]:
    """Write accounts, audit all, tamper with one for each kind; print and return what came out."""
    began, table = time.monotonic(), table_of(stack)
    write_all(stack, accounts, entries)
    print(f"wrote {accounts} accounts in {time.monotonic() - began:.0f} s", flush=True)
    run = audit(stack)
    # Not the first, which is the longest.
    account_ids = [f"bench-{number}" for number in range(1, len(kinds) + 1)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(partial(named, stack, table), kinds, account_ids))
    for kind, answer in zip(kinds, answers, strict=True):
        print(f"{kind.name:<40}{answer or 'NOT NAMED'}")
    result = {
        **{name: run.summary[name] for name in ("accounts", "entries", "findings")},
        "seconds": round(run.seconds, 1),
        "accounts_per_second": round(run.summary["accounts"] / run.seconds),
        "entries_per_second": round(run.summary["entries"] / run.seconds),
        "own_share_of_time": round(run.processor_seconds / run.seconds, 2),
        "peak_memory_mib": round(run.memory_mib),
        "tampering_kinds": len(kinds),
        "tampering_named": len(kinds) - answers.count(None),
    }
    print(json.dumps(result))
    return result


def stop(stack: LocalStack) -> None:
    """Stop the stack, whose data nobody needs: saving as many items takes it minutes."""
    if pid := running_pid(stack):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Run it as the arguments say."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--port", type=int, default=4599)
    asked = parser.parse_args()
    if asked.accounts <= len(KINDS) or asked.entries < 12 * asked.accounts:
        parser.error(f"more than {len(KINDS)} accounts, and 12 entries of each at least")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        stack = find_stack(asked.port, Path(state))
        where = ["--port", str(stack.port), "--state", state]
        up = [SCRIP, "local", "up", "--detach", *where]
        subprocess.run(up, cwd=stack.root, check=True, stdout=subprocess.DEVNULL)
        try:
            quiet(stack)
            result = measure(stack, asked.accounts, asked.entries)
        finally:
            stop(stack)
    is_right = not result["findings"] and result["tampering_named"] == result["tampering_kinds"]
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()

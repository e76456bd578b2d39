"""Audits many accounts on a local stack of its own, then tampers with some and audits those again.

Prints a table and, last, one line of JSON. Exits with 1 if the audit finds fault with a sound table
or misses a kind of tampering. `make bench-audit` runs it.
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
from bench.tampering import KINDS, Kind, Tamperer
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
    """The output of a run of `scrip audit`, and the resources that it used.

    `seconds` is the elapsed time; `processor_seconds` leaves out waiting for the local AWS.
    """

    findings: list[dict[str, Any]]
    summary: dict[str, Any]
    seconds: float
    processor_seconds: float
    memory_mib: float


def audit(stack: LocalStack, *options: str) -> Run:
    """Run `scrip audit` as a process of its own."""
    where = ["--port", str(stack.port), "--state", str(stack.state_dir)]
    with tempfile.TemporaryFile("w+") as output:
        began = time.monotonic()
        process = subprocess.Popen(
            [SCRIP, "audit", "--json", *options, *where],
            cwd=stack.root,
            stdout=output,
            stderr=subprocess.DEVNULL,
        )
        # Unlike wait(), this returns the resources that this one child used.
        _, _, used = os.wait4(process.pid, 0)
        seconds = time.monotonic() - began
        process.returncode = 0
        output.seek(0)
        *findings, summary = [json.loads(line) for line in output]
    return Run(
        findings=findings,
        summary=summary,
        seconds=seconds,
        processor_seconds=used.ru_utime + used.ru_stime,
        memory_mib=used.ru_maxrss / KIBIBYTES,
    )


def write_share(port: int, state: Path, lengths_by_id: dict[str, int]) -> None:
    """Write a share of the accounts, in a process of its own."""
    write(table_of(find_stack(port, state)), lengths_by_id)


def write_all(stack: LocalStack, accounts: int, entries: int) -> None:
    """Write all accounts: `bench-0`, which has the most entries, `bench-1` and so on."""
    items = [
        (f"bench-{number}", length) for number, length in enumerate(lengths(accounts, entries))
    ]
    with ProcessPoolExecutor(WRITERS) as pool:
        shares = [dict(items[n::WRITERS]) for n in range(WRITERS)]
        writing = partial(write_share, stack.port, stack.state_dir)
        list(pool.map(writing, shares))


def table_of(stack: LocalStack) -> Table:
    """Return the stack's table."""
    return Table(stack.client("dynamodb"), outputs(stack)["TableName"])


def quiet(stack: LocalStack) -> None:
    """Delete schedules and disable event sources, so that functions take no processor time."""
    schedules = stack.client("scheduler")
    for schedule in schedules.list_schedules()["Schedules"]:
        schedules.delete_schedule(Name=schedule["Name"])
    client = stack.client("lambda")
    for mapping in client.list_event_source_mappings()["EventSourceMappings"]:
        client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)


def found(stack: LocalStack, table: Table, kind: Kind, account_id: str) -> str | None:
    """Tamper with an account; return the finding that it must cause, None if it is missing."""
    kind.do(Tamperer(table, account_id))
    for finding in audit(stack, "--account", account_id).findings:
        if finding["code"] == kind.code and finding["about"].startswith(kind.about):
            return f"{finding['code']}: {finding['about']}"
    return None


def measure(
    stack: LocalStack, accounts: int, entries: int, kinds: Sequence[Kind] = KINDS
) -> dict[str, Any]:
    """Write accounts, audit all, tamper with one for each kind; print and return the results."""
    began, table = time.monotonic(), table_of(stack)
    write_all(stack, accounts, entries)
    print(f"wrote {accounts} accounts in {time.monotonic() - began:.0f} s", flush=True)
    run = audit(stack)
    # Skip the first account, which has very many entries.
    account_ids = [f"bench-{number}" for number in range(1, len(kinds) + 1)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        answers = list(pool.map(partial(found, stack, table), kinds, account_ids))
    for kind, answer in zip(kinds, answers, strict=True):
        print(f"{kind.name:<40}{answer or 'NOT FOUND'}")
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
    """Kill the stack: a regular stop would spend minutes on saving its items."""
    if pid := running_pid(stack):
        os.kill(pid, signal.SIGKILL)


def main() -> None:
    """Run with the command line's arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--accounts", type=int, default=10_000)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--port", type=int, default=4599)
    args = parser.parse_args()
    if args.accounts <= len(KINDS) or args.entries < 12 * args.accounts:
        parser.error(f"needs more than {len(KINDS)} accounts, and at least 12 entries for each")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as state:
        stack = find_stack(args.port, Path(state))
        where = ["--port", str(stack.port), "--state", state]
        up = [SCRIP, "local", "up", "--detach", *where]
        subprocess.run(up, cwd=stack.root, check=True, stdout=subprocess.DEVNULL)
        try:
            quiet(stack)
            result = measure(stack, args.accounts, args.entries)
        finally:
            stop(stack)
    is_right = not result["findings"] and result["tampering_named"] == result["tampering_kinds"]
    sys.exit(0 if is_right else 1)


if __name__ == "__main__":
    main()

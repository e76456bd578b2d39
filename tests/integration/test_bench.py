"""A small benchmark: what it counts, what it writes, and that Ctrl-C ends it."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator
from rich.console import Console

from bench import consume, costs, growth, plot, sweep, table
from bench.__main__ import QUIET
from bench.document import document
from bench.local import environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip_cli.local.stack import LocalStack

    type Rows = list[dict[str, Any]]

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "bench/document.schema.json").read_text())
FAULTS = """
import json
from bench.faults import Sizes, measure_with
print(json.dumps(measure_with(Sizes(all_faults=20, one_kind=2), None)))
"""
"""Run in a process of its own, because it simulates time and randomness."""

SECONDS_MAX = 60


@pytest.fixture(scope="module")
def measured(stack: LocalStack) -> Iterator[dict[str, Rows]]:
    """The results of all parts at their smallest; the sweep has two shards, as in its own tests."""
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        environment(stack) as aws,
        subprocess.Popen(
            [sys.executable, "-c", FAULTS],
            cwd=ROOT,
            env=os.environ | QUIET,
            stdout=subprocess.PIPE,
            text=True,
        ) as faults,
    ):
        for module in ("functions.reset.sweep", "scrip.store.keys"):
            monkeypatch.setattr(f"{module}.DIRECTORY_SHARDS", 2)
        parts = {
            "consume": consume.measure_on(aws, consume.Sizes(rounds=1, consumes=2), None, None),
            "growth": growth.measure_on(
                aws, growth.Sizes(histories=(10, 200), rounds=1, consumes=2)
            ),
            "sweep": sweep.measure_on(aws, sweep.Sizes(eager=20, lazy=3)),
        }
        # Handlers write metrics to the same output.
        parts["faults"] = json.loads(faults.communicate()[0].splitlines()[-1])
        yield parts


def test_scrips_consume_takes_2_round_trips_5_write_units_and_1_read_unit(
    measured: dict[str, Rows],
) -> None:
    counted = {
        row["case"]: (row["round_trips"], row["write_units"], row["read_units"])
        for row in measured["consume"]
        if row["design"] == "Scrip"
    }
    assert counted == {"consume": (2, 5, 1), "asked again": (2, 4, 1), "refused": (2, 0, 2)}


def test_a_consume_is_compared_with_other_designs_and_with_its_bare_calls(
    measured: dict[str, Rows],
) -> None:
    rows = [row for row in measured["consume"] if row["case"] == "consume"]
    designs = {row["design"]: row["usd_per_million"] for row in rows}
    assert designs == {"Scrip": 3.25, "read, then write": 0.6875, "idempotency decorator": 1.875}
    assert all(row["cpu_to_bare_calls_ratio"] > 0 for row in rows)
    assert measured["consume"][-2:] == [
        {"design": design, "case": "no server given"}
        for design in ("PostgreSQL FOR UPDATE", "Redis script")
    ]


def test_a_consume_costs_the_same_whatever_the_history(measured: dict[str, Rows]) -> None:
    long = [row for row in measured["growth"] if row["growing"] == "history"]
    counted = [(row["round_trips"], row["write_units"], row["read_units"]) for row in long]
    assert counted == [(2, 5, 1)] * 2
    many = [row for row in measured["growth"] if row["growing"] == "grants"]
    assert [row["write_units"] for row in many] == [5, 5, 5, 5, 7, 9]
    assert [row["read_units"] for row in many] == [1] * 6


def test_a_renewal_takes_8_write_units_or_6_as_part_of_a_consume(
    measured: dict[str, Rows],
) -> None:
    eager, schedule, *lazy = measured["sweep"]
    # The bill in docs/reference/costs.md is calculated from this.
    assert eager["write_units_each"] == costs.RENEWAL_WRITE_UNITS
    assert eager["read_units_each"] <= costs.RENEWAL_READ_UNITS
    assert (eager["write_units_each"], schedule["write_units_each"]) == (8, 1)
    assert [(row["write_units_each"], row["round_trips_each"]) for row in lazy] == [(6, 0)] * 2


def test_only_scrip_charges_every_use_once_whatever_fails(measured: dict[str, Rows]) -> None:
    wrong = {row["design"]: row["wrongly_charged_per_million"] for row in measured["faults"]}
    assert wrong.pop("Scrip") == 0
    assert all(wrong.values())
    assert [row["by_nothing_per_million"] for row in measured["faults"]] == [0, 0, 0]
    assert all(row["faults_injected"] for row in measured["faults"])


def test_the_results_are_a_document_tables_and_a_chart(
    measured: dict[str, Rows], tmp_path: Path
) -> None:
    parts = {name: {"rows": rows, "notes": ["A note."]} for name, rows in measured.items()}
    result = document(parts, quick=True, began_at=datetime.now(UTC), seconds=1.0)
    Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(result)))
    assert "latency_ms_median_here" in result["of_this_machine"]
    shown = io.StringIO()
    table.show(Console(file=shown, width=200), parts)
    assert "usd per million" in shown.getvalue()
    assert "A note." in shown.getvalue()
    plot.draw(result, tmp_path / "result.svg")
    assert (tmp_path / "result.svg").stat().st_size


def test_an_interrupted_benchmark_leaves_nothing_running(tmp_path: Path) -> None:
    bench = subprocess.Popen(
        [sys.executable, "-m", "bench", "--quick", "--only", "sweep"],
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pid = _pid_of_aws(tmp_path)
    bench.send_signal(signal.SIGINT)
    assert bench.wait(SECONDS_MAX) == 130
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not list(tmp_path.iterdir())


def _pid_of_aws(folder: Path) -> int:
    """Wait until the benchmark's local AWS answers, and return its pid."""
    deadline = time.monotonic() + SECONDS_MAX
    while time.monotonic() < deadline:
        for file in folder.glob("*/pid"):
            pid, port = map(int, file.read_text().split())
            with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
                return pid
        time.sleep(0.05)
    raise AssertionError("the local AWS never started")

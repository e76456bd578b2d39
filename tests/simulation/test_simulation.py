"""The simulation itself: it is repeatable, injects every fault that it counts, and reports bugs."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

from simulation.bugs import BUGS
from simulation.faults import RATES, Fault
from tests.documentation import ROOT

SEED = "19"
BUG = "a payment's ID comes from its message"
BUG_SEED = "6"
"""A bug that is found in the first world."""


def simulate(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulation", *words],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def counts(closing_line: str) -> dict[str, int]:
    shown = dict(part.split("=") for part in closing_line.split())
    return {name: int(value) for name, value in shown.items()}


def test_the_same_seed_runs_the_same_world() -> None:
    one, other = (simulate("--seed", SEED, "--operations", "300", "--jobs", "1") for _ in range(2))

    assert (one.returncode, other.returncode) == (0, 0), one.stderr
    [*faults, worlds, closing_line] = one.stdout.splitlines()
    [*again, worlds_again, closing_line_again] = other.stdout.splitlines()
    # After the duration: the number of worlds, and the hash of all their tables.
    assert worlds.partition(",")[2] == worlds_again.partition(",")[2]
    assert (faults, closing_line) == (again, closing_line_again)
    shown = counts(closing_line)
    assert list(shown) == ["operations", "faults", "lost", "made", "double", "violations", "seed"]
    assert shown["operations"] >= 300
    assert shown["faults"] > shown["operations"] * 0.3


def test_a_bug_is_reported_with_the_fewest_steps_and_reproduced() -> None:
    found = simulate("--seed", BUG_SEED, "--operations", "1", "--jobs", "1", "--bug", BUG)

    assert found.returncode == 1, "no bug in this world: choose another BUG_SEED"
    assert found.stderr.startswith(f"seed {BUG_SEED}\n")
    story, closing_line = found.stdout, found.stdout.splitlines()[-1]
    assert counts(closing_line)["double"] == 1
    [world] = re.findall(r"^reproduce: make simulate WORLD=(\d+)$", story, re.MULTILINE)
    shrunk = re.search(r"^with (\d+) of (\d+) steps: double: .+$", story, re.MULTILINE)
    assert shrunk is not None, story
    assert int(shrunk[1]) < int(shrunk[2]) / 4
    assert re.search(r"^last events:\n  \d\d ", story, re.MULTILINE)

    again = simulate("--world", world, "--bug", BUG)
    assert again.returncode == 1
    assert shrunk[0] in again.stdout

    right = simulate("--world", world)
    assert right.returncode == 0, right.stdout
    assert right.stdout.splitlines()[-1].endswith(
        f"lost=0 made=0 double=0 violations=0 seed={world}"
    )


def test_every_fault_is_injected() -> None:
    run = simulate("--seed", SEED, "--operations", "9000")

    assert run.returncode == 0, run.stdout
    shown = [line for line in run.stdout.splitlines() if line.startswith("  ")]
    injected = {line.split(maxsplit=1)[1] for line in shown}
    assert injected == set(Fault)
    assert set(RATES) == set(Fault)


def test_every_bug_replaces_text_of_the_product() -> None:
    for bug in BUGS:
        spec = find_spec(bug.module)
        assert spec is not None
        assert spec.origin is not None
        source = Path(spec.origin).read_text()
        assert source.count(bug.right) == 1, bug.name
        compile(source.replace(bug.right, bug.wrong), bug.module, "exec")
    assert len({bug.name for bug in BUGS}) == len(BUGS) >= 24


def test_the_page_about_the_simulation_lists_every_fault_and_every_bug() -> None:
    page = (ROOT / "docs/explanation/proof.md").read_text()
    faults = [f"| {fault} | {rate:.1%} |" for fault, rate in RATES.items()]
    bugs = [f"| {bug.name} | `{bug.module}` |" for bug in BUGS]
    for rows in (faults, bugs):
        assert "\n|---|---|\n" + "\n".join(rows) + "\n\n" in page

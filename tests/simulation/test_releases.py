"""The release before and this one use each other's tables, after simulated traffic in either.

During an update, and after a rollback, both do. The code of the release before comes from git.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from tests.documentation import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PREVIOUS = "76d685b"
"""The last commit of the release before this one: 0.2.0. Each release names it here."""

SEED, WORLDS = "101", "8"
SECONDS_MAX = 300
DAY = 86_400

type Table = dict[str, Any]
type Answers = dict[str, Any]

SAME = (
    *("status", "balance", "available", "held", "debt", "unlimited", "plan_id"),
    *("subscription_status", "period", "used"),
)
"""What both releases show of an account."""


@pytest.fixture(scope="module")
def previous(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the code of the release before, from the history of the sources."""
    folder = tmp_path_factory.mktemp("previous")
    code = subprocess.run(
        ["git", "archive", PREVIOUS, "cli", "functions", "layers", "simulation"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if code.returncode:  # sources without their history; CI fetches it
        pytest.skip(f"{code.stderr.decode().strip()}: fetch the history, git fetch --unshallow")
    subprocess.run(["tar", "-x", "-C", folder], input=code.stdout, check=True)
    return folder


@pytest.fixture(scope="module")
def by_previous(previous: Path) -> list[Table]:
    """Tables that the release before wrote."""
    tables: list[Table] = run(previous, "live", SEED, WORLDS)
    return tables


@pytest.fixture(scope="module")
def by_this() -> list[Table]:
    """Tables that this release wrote."""
    tables: list[Table] = run(ROOT, "live", SEED, WORLDS)
    return tables


def run(code: Path, *words: str, tables: list[Table] | None = None) -> Any:
    """Run `one_release.py` in the code of a release."""
    ran = subprocess.run(
        [sys.executable, ROOT / "tests/simulation/one_release.py", *words],
        cwd=code,
        env={**os.environ, "PYTHONPATH": f"{code}/layers/scrip/src:{code}/cli/src:{code}"},
        input=json.dumps(tables),
        capture_output=True,
        text=True,
        timeout=SECONDS_MAX,
        check=False,
    )
    assert not ran.returncode, ran.stderr
    return json.loads(ran.stdout)


def use(code: Path, tables: list[Table]) -> tuple[list[Table], Answers]:
    """Return the tables after a release has used every account once, and what it answered."""
    tables = run(code, "use", tables=tables)
    answers = {
        f"{world}/{account_id}": answer
        for world, table in enumerate(tables)
        for account_id, answer in table.pop("answers").items()
    }
    return tables, answers


def account_items(tables: list[Table]) -> dict[str, Any]:
    return {
        f"{world}/{item['pk']['S'].partition('#')[2]}": item
        for world, table in enumerate(tables)
        for item in table["items"]
        if item["sk"]["S"] == "ACCOUNT"
    }


def shown(answer: Any, when: str) -> dict[str, Any]:
    status, body = answer[when]
    assert status == 200, body
    return {name: body[name] for name in SAME}


def test_this_release_reads_and_continues_what_the_one_before_wrote(
    previous: Path, by_previous: list[Table]
) -> None:
    _, expected = use(previous, by_previous)
    _, answers = use(ROOT, by_previous)
    compared = 0
    for name, answer in answers.items():
        assert answer["findings"] == [], name
        # 0.2.0 leaves accounts on plans that are over, and closed ones in the past.
        ends = datetime.fromisoformat(expected[name]["before"][1]["period"]["end"])
        if ends.timestamp() > by_previous[int(name.partition("/")[0])]["now"]:
            assert answer["change"][0] == expected[name]["change"][0], name
            for when in ("before", "after"):
                assert shown(answer, when) == shown(expected[name], when), name
            compared += 1
    assert compared > 0.8 * len(answers)


def test_time_goes_on_for_what_the_release_before_wrote(by_previous: list[Table]) -> None:
    for days in (20, 100):
        later = [{**table, "now": table["now"] + days * DAY} for table in by_previous]
        _, answers = use(ROOT, later)
        assert not any(answer["findings"] for answer in answers.values())


def test_the_release_before_does_no_harm_to_what_this_one_wrote(
    previous: Path, by_this: list[Table]
) -> None:
    before = account_items(by_this)
    _, expected = use(ROOT, by_this)
    used, answers = use(previous, by_this)
    after = account_items(used)
    for name, answer in answers.items():
        # 0.2.0 knows no terms, and nothing of `newer_version`.
        if "terms" in before[name] or answer["before"][0] != 200:
            refused = [(status, body["code"]) for status, body in list(answer.values())[:3]]
            assert refused == [(500, "corrupt_account")] * 3, name
            assert after[name] == before[name]
        else:
            money = ("status", "balance", "available", "held", "debt")
            for one in money:
                assert answer["before"][1][one] == expected[name]["before"][1][one], name
    _, continued = use(ROOT, used)
    assert all(answer["findings"] == [] for answer in continued.values())
    assert any(answer["change"][0] == 201 for answer in continued.values())

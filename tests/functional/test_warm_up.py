"""The start of a function before its first request, from which other processes can continue."""

import json
import subprocess
import sys
from typing import Any

import pytest

from scrip.store.client import CONFIG
from scrip.warm_up import warm_up
from tests.functional.conftest import ROOT

ONE_CLIENT = [
    "dynamodb",
    {"mode": "standard", "total_max_attempts": 2},
    CONFIG.connect_timeout,  # type: ignore[attr-defined] # botocore sets what it is given
    CONFIG.read_timeout,  # type: ignore[attr-defined]
]


def started(initialization_type: str) -> dict[str, Any]:
    """Start the function consume in a process of its own; return snapshot.py's report."""
    variables = {
        "AWS_LAMBDA_FUNCTION_NAME": "consume",
        "AWS_LAMBDA_INITIALIZATION_TYPE": initialization_type,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # where nobody answers
        "TABLE_NAME": "scrip",
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.functional.snapshot"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_a_snapshot_has_one_client_and_keeps_no_connection_or_random_state() -> None:
    start = started("snap-start")
    assert start["clients"] == [ONE_CLIENT]
    assert start["connections"] == []
    one, other = start["drawn"]
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))


def test_without_snapshots_a_start_connects_to_the_table_and_survives_if_it_cannot() -> None:
    start = started("on-demand")
    assert start["clients"] == [ONE_CLIENT]
    assert set(start["connections"]) == {"('127.0.0.1', 9)"}


def test_a_failure_at_the_start_is_left_to_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "consume")
    warm_up(lambda: 1 // 0)

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


def started(**environment: str) -> dict[str, Any]:
    """Start the function consume in a process of its own; return snapshot.py's report."""
    variables = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "TABLE_NAME": "scrip",
        **environment,
    }
    done = subprocess.run(
        [sys.executable, "-m", "tests.functional.snapshot"],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def test_a_start_on_lambda_makes_one_client_and_keeps_no_connection_or_random_state() -> None:
    start = started(AWS_LAMBDA_FUNCTION_NAME="consume")
    assert start["clients"] == [ONE_CLIENT]
    assert start["connections"] == []
    one, other = start["drawn"]
    assert all(mine != theirs for mine, theirs in zip(one, other, strict=True))


def test_a_failure_at_the_start_is_left_to_the_first_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "consume")
    warm_up(lambda: 1 // 0)

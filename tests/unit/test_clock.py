"""`make test-later` runs tests on a later day, in every process that runs tests."""

import time
from pathlib import Path

import pytest

DAY_SECONDS = 24 * 60 * 60


def test_the_clock_is_ahead_by_the_given_days(
    pytestconfig: pytest.Config,
    tmp_path: Path,
) -> None:
    written = tmp_path / "written"
    written.touch()  # at the machine's own time
    days_ahead = (time.time() - written.stat().st_mtime) / DAY_SECONDS
    assert days_ahead == pytest.approx(pytestconfig.getoption("days_ahead"), abs=0.01)

"""The real template on a local AWS that enforces roles and checks tokens."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest
from time_machine import travel

from scrip_cli.local.stack import LocalStack, find_stack
from tests.leaks import leaks, log_lines, secrets_of

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIP = str(Path(sys.executable).parent / "scrip")
UP_SECONDS = 420
COUNTED_SECONDS_MAX = 60
LEAKS_SHOWN = 20

# A slow machine is not a bug. `make test` gives the same commit the same verdict; `make explore`
# looks for new counterexamples.
hypothesis.settings.register_profile("scrip", deadline=None, derandomize=True)
hypothesis.settings.register_profile("explore", deadline=None)
hypothesis.settings.load_profile("scrip")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add an option to run tests without a stack on a later day: `make test-later`."""
    parser.addoption("--days-ahead", type=float, default=0, help="move this process's clock ahead")


def pytest_configure(config: pytest.Config) -> None:
    """Move the clock before test modules are imported, as some read it then. It keeps ticking."""
    if days := config.getoption("days_ahead"):
        traveller = travel(datetime.now(UTC) + timedelta(days=days))
        traveller.start()
        config.add_cleanup(traveller.stop)


def scrip(stack: LocalStack, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run `scrip local ...` on a stack, as a developer would."""
    return subprocess.run(
        [SCRIP, "local", *words, "--port", str(stack.port), "--state", str(stack.state_dir)],
        cwd=stack.root,
        capture_output=True,
        text=True,
        timeout=UP_SECONDS,
        check=check,
    )


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def lasting_findings(stack: LocalStack) -> list[tuple[str, str, str]]:
    """Audit the table; return what is still found once the stream has counted all entries."""
    from bench.audit import audit  # noqa: PLC0415 - only tests with a stack need it

    deadline = time.monotonic() + COUNTED_SECONDS_MAX
    while (found := audit(stack).findings) and time.monotonic() < deadline:
        time.sleep(1)
    return [(one["account_id"], one["code"], one["about"]) for one in found]


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack for the whole run, whose books are finally audited and logs searched for leaks.

    Tests that audit the table run in any order with those that write to it, so none may leave
    findings behind.
    """
    stack = find_stack(free_port(), tmp_path_factory.mktemp("stack"))
    up = scrip(stack, "up", "--detach", check=False)
    assert up.returncode == 0, up.stdout + up.stderr
    yield stack
    findings = lasting_findings(stack)
    found = list(leaks(log_lines(stack), secrets_of(stack)))
    scrip(stack, "down")
    assert not findings
    assert not found, "\n".join(found[:LEAKS_SHOWN])

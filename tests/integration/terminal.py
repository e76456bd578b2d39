"""An interactive command on a terminal of its own."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.conftest import SCRIP

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip_cli.local.stack import LocalStack

SECONDS_MAX = 60


class Terminal:
    """A running command, its output so far, and its keyboard."""

    def __init__(self, process: subprocess.Popen[bytes], screen: int) -> None:
        self.process = process
        self.screen = screen
        self.shown = ""

    def wait_for(self, text: str) -> None:
        """Wait until the output contains a text."""
        deadline = time.monotonic() + SECONDS_MAX
        while text not in self.shown:
            assert time.monotonic() < deadline, self.shown
            if select.select([self.screen], [], [], 0.1)[0]:
                self.shown += os.read(self.screen, 65_536).decode()

    def type(self, text: str) -> int:
        """Type a text and wait for the end; return the exit code."""
        os.write(self.screen, text.encode())
        return self.process.wait(SECONDS_MAX)


@contextmanager
def terminal(stack: LocalStack, *words: str) -> Iterator[Terminal]:
    """Run a command of the local stack on a terminal."""
    ours, theirs = pty.openpty()
    where = ["--port", str(stack.port), "--state", str(stack.state_dir)]
    process = subprocess.Popen(
        [SCRIP, *words, *where], cwd=stack.root, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)

"""Ctrl-C, and the signals that are treated like it."""

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

TERMINATING = (signal.SIGTERM, signal.SIGHUP)
INTERRUPTING = (signal.SIGINT, *TERMINATING)


@contextmanager
def interrupt_on_signals() -> Iterator[None]:
    """Treat a closed terminal and `kill` like Ctrl-C, so that a block can end in good order."""

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(TERMINATING, interrupt):
        yield


@contextmanager
def interrupt_once() -> Iterator[None]:
    """Let only the first Ctrl-C, or what is treated like it, interrupt a block.

    Nothing interrupts what the block does about it, nor the end of the process, which is near.
    """

    def interrupt(_signal: int, _frame: FrameType | None) -> None:
        for number in INTERRUPTING:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in INTERRUPTING}
    yield
    for number, earlier in before.items():
        signal.signal(number, earlier)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ignore Ctrl-C, and what is treated like it, for the duration of a block."""
    with _handled(INTERRUPTING, signal.SIG_IGN):
        yield


@contextmanager
def _handled(numbers: Sequence[signal.Signals], handler: Any) -> Iterator[None]:
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)

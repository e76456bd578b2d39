"""What a function does before its first request.

Lambda gives a starting function a whole CPU, and afterwards the share that its memory buys. With
SnapStart the start even happens in advance, and many processes continue from one snapshot.
"""

import gc
import os
import random
from collections.abc import Callable
from contextlib import suppress

from scrip import dataclass_code


def begin() -> None:
    """On Lambda, before anything else is imported, make imports cheaper until `warm_up`.

    They make many objects and hardly any garbage, for which Python would look again and again.
    """
    if _is_on_lambda():
        gc.disable()
        dataclass_code.take_from_build()


def warm_up(*steps: Callable[[], object]) -> None:
    """On Lambda, do at the start what the first request would have to wait for.

    A failure is left to that request, which can report it. No step may keep what would be wrong in
    another process or much later, such as a time or an ID, or a connection in a snapshot.
    """
    if _is_on_lambda():
        try:
            for step in steps:
                step()
        except Exception:  # noqa: BLE001 - no failure may keep the function from starting
            from scrip.observability import logger  # noqa: PLC0415 - `begin` must import little

            logger.exception("the function was not warmed up")
        _differ_when_restored()
        gc.freeze()  # what a start has made stays: no need to look for garbage in it
        gc.enable()


def is_for_snapshot() -> bool:
    """Whether other processes will continue from where this one has started."""
    return os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start"


def _is_on_lambda() -> bool:
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


def _differ_when_restored() -> None:
    """Reseed random numbers in each process that continues from a snapshot.

    Only Python's generator needs it; ULIDs come from the operating system's.
    """
    with suppress(ImportError):  # Lambda's own Python has it
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415 - and no other

        register_after_restore(random.seed)

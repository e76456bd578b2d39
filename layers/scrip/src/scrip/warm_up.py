"""What a function does before its first request.

Lambda gives a starting function a whole CPU, and afterwards the share that its memory buys. With
SnapStart the start even happens in advance, and many processes continue from one snapshot.
"""

import os
import random
from collections.abc import Callable
from contextlib import suppress

from scrip.observability import logger


def warm_up(make: Callable[[], object]) -> None:
    """On Lambda, make at the start what the first request would have to wait for.

    A failure is left to that request, which can report it. `make` must keep nothing that would be
    wrong in another process or much later: no connection, no time, no ID.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        try:
            make()
        except Exception:  # noqa: BLE001 - no failure may keep the function from starting
            logger.exception("the function was not warmed up")
        _differ_when_restored()


def _differ_when_restored() -> None:
    """Reseed random numbers in each process that continues from a snapshot.

    Only Python's generator needs it; ULIDs come from the operating system's.
    """
    with suppress(ImportError):  # Lambda's own Python has it
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415 - and no other

        register_after_restore(random.seed)

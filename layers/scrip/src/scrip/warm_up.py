"""What a function does ahead of its first request.

Lambda gives a whole CPU to a function that starts, and afterwards the share that its memory buys.
With SnapStart the start is even long over, and many processes go on from one snapshot of it.
"""

import os
import random
from collections.abc import Callable
from contextlib import suppress

from scrip.observability import logger


def warm_up(make: Callable[[], object]) -> None:
    """On Lambda, make at the start what the first request would have to wait for.

    What fails is left to that request, which can tell it to somebody. `make` must keep nothing
    that would be wrong in another process, or much later: no connection, no time, no id.
    """
    if "AWS_LAMBDA_FUNCTION_NAME" in os.environ:
        try:
            make()
        except Exception:  # noqa: BLE001 - whatever it is, it must not keep the function from starting
            logger.exception("the function was not warmed up")
        _differ_when_restored()


def _differ_when_restored() -> None:
    """Have each process that goes on from a snapshot draw random numbers of its own.

    Only Python's own generator needs it: the operating system's, of which ULIDs are made, is new.
    """
    with suppress(ImportError):  # Lambda's own Python has it
        from snapshot_restore_py import register_after_restore  # noqa: PLC0415 - and no other

        register_after_restore(random.seed)

"""Retries with backoff, for calls outside the ledger's own loop."""

import random
import time
from collections.abc import Callable
from contextlib import suppress

from scrip.domain.errors import BusyError


def retrying[Answer](do: Callable[[], Answer], *, tries: int, backoff: float) -> Answer:
    """Call a function that is safe to repeat, up to `tries` times, until it is not busy.

    The pause after try n is random, and at most backoff * 2^n seconds.

    Raises:
        BusyError: the last try was still busy.
    """
    for n in range(tries - 1):
        with suppress(BusyError):
            return do()
        time.sleep(jitter(backoff * 2**n))
    return do()


def jitter(most: float) -> float:
    """Return a random number between 0 and `most`."""
    return random.uniform(0, most)  # noqa: S311 - jitter is not a secret

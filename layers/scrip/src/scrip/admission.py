"""Admission: callers of a crowded account are refused early.

An account is one item, and only one of several concurrent changes gets through. The others were
wasted writes, and each retry gets in the way of the next. So a process remembers for such accounts
how many tries it made and how many succeeded, and admits only those with a chance: at most
TRIES_PER_SUCCESS for each success. Google's SRE book calls this adaptive throttling (chapter 21,
"Handling Overload"). It needs no table and no round trip; each process sees from its own success
rate how crowded an account is. Accounts without lost races cost nothing.

Refusals don't count: they say that callers come, not that they get in each other's way. And the
memory is short. So the first caller after a crowd is hardly ever refused for those who have left.
"""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from dataclasses import dataclass

from scrip.domain.errors import BusyError
from scrip.retrying import jitter

TRIES_PER_SUCCESS = 8.0
"""How many tries are admitted for each success."""

TRIES_FREE = 4.0
"""How many more are always admitted, so that bad luck is not mistaken for a crowd."""

MEMORY_SECONDS = 1.0
"""After this time an observation counts for a third."""

CROWDS_MAX = 256
"""How many accounts are remembered: those with the latest lost races."""

RETRY_AFTER_SECONDS_MAX = 3
"""Refused callers are asked to wait 1 second, and up to this many as the crowd grows."""


@dataclass(slots=True)
class _Crowd:
    """Observations of an account as of `seen_at`; the older they are, the less they count."""

    seen_at: float
    tries: float = 0.0
    successes: float = 0.0

    def chance_of_refusal(self) -> float:
        """Return how likely a try is to be refused now."""
        now = time.monotonic()
        remembered = math.exp((self.seen_at - now) / MEMORY_SECONDS)
        self.seen_at = now
        self.tries *= remembered
        self.successes *= remembered
        useless = self.tries - TRIES_PER_SUCCESS * self.successes - TRIES_FREE
        return max(0.0, useless / (self.tries + 1))


class Admission:
    """What one process knows about crowded accounts."""

    def __init__(self) -> None:
        """Start without observations."""
        self._crowds: OrderedDict[str, _Crowd] = OrderedDict()

    def enter(self, account_id: str) -> None:
        """Admit a try.

        Raises:
            BusyError: it would most likely fail; nothing was read or written.
        """
        crowd = self._crowds.get(account_id)
        if crowd is not None and jitter(1) < crowd.chance_of_refusal():
            raise self.busy(account_id)

    def lost(self, account_id: str) -> None:
        """Record a failed try."""
        crowd = self._crowds.setdefault(account_id, _Crowd(time.monotonic()))
        self._crowds.move_to_end(account_id)
        if len(self._crowds) > CROWDS_MAX:
            self._crowds.popitem(last=False)
        crowd.tries += 1

    def done(self, account_id: str) -> None:
        """Record a success."""
        crowd = self._crowds.get(account_id)
        if crowd is not None:
            crowd.tries += 1
            crowd.successes += 1

    def busy(self, account_id: str) -> BusyError:
        """Return the refusal for a caller, with a longer wait the more are refused."""
        crowd = self._crowds.get(account_id)
        chance = 0.0 if crowd is None else crowd.chance_of_refusal()
        return BusyError(retry_after=1 + int(jitter(RETRY_AFTER_SECONDS_MAX * chance)))

"""Admission: of an account that too many want at once, callers are refused early.

An account is one item, and of those who would change it at the same moment one gets through. The
others have written for nothing, and each of them who tries again keeps the next from it. So a
process remembers of such accounts how many tries its callers wanted and how many came through, and
lets only so many begin as have a chance: at most WANTED_PER_DONE for each that comes through. That
is what Google's SRE book calls adaptive throttling (chapter 21, "Handling Overload"). It takes no
table and no round trip; processes need not know of each other, because each sees by its own luck
how crowded it is. Accounts over which nobody has lost cost nothing.
"""

from __future__ import annotations

import math
import random
import time
from collections import OrderedDict
from dataclasses import dataclass

from scrip.domain.errors import BusyError

WANTED_PER_DONE = 4.0
"""So many tries are let in for each that comes through."""

WANTED_FREE = 2.0
"""So many more at any time, so that bad luck is not taken for a crowd."""

MEMORY_SECONDS = 3.0
"""After that time what was seen counts for a third."""

CROWDS_MAX = 256
"""So many accounts are remembered, those that were last lost over."""

RETRY_AFTER_SECONDS_MAX = 3
"""Callers are told to wait 1 second, and up to so many as more of them are refused."""


@dataclass(slots=True)
class _Crowd:
    """What was seen of an account, as of `seen_at`; the longer ago, the less it counts."""

    seen_at: float
    wanted: float = 0.0
    done: float = 0.0

    def chance_of_refusal(self) -> float:
        """Return how likely a try is to be refused now."""
        now = time.monotonic()
        remembered = math.exp((self.seen_at - now) / MEMORY_SECONDS)
        self.seen_at, self.wanted, self.done = now, self.wanted * remembered, self.done * remembered
        useless = self.wanted - WANTED_PER_DONE * self.done - WANTED_FREE
        return max(0.0, useless / (self.wanted + 1))


class Admission:
    """What one process knows of the accounts that its callers lost races over."""

    def __init__(self) -> None:
        """Know of none."""
        self._crowds: OrderedDict[str, _Crowd] = OrderedDict()

    def enter(self, account_id: str) -> None:
        """Let a try begin.

        Raises:
            BusyError: it would most likely be in vain; nothing was asked or written.
        """
        crowd = self._crowds.get(account_id)
        if crowd is not None and jitter(1) < crowd.chance_of_refusal():
            crowd.wanted += 1
            raise self.busy(account_id)

    def lost(self, account_id: str) -> None:
        """Note that somebody else came first."""
        crowd = self._crowds.setdefault(account_id, _Crowd(time.monotonic()))
        self._crowds.move_to_end(account_id)
        if len(self._crowds) > CROWDS_MAX:
            self._crowds.popitem(last=False)
        crowd.wanted += 1

    def done(self, account_id: str) -> None:
        """Note that a try came through."""
        crowd = self._crowds.get(account_id)
        if crowd is not None:
            crowd.wanted += 1
            crowd.done += 1

    def busy(self, account_id: str) -> BusyError:
        """Return the refusal of a caller, who is to come again later the more are refused."""
        crowd = self._crowds.get(account_id)
        chance = 0.0 if crowd is None else crowd.chance_of_refusal()
        return BusyError(retry_after=1 + int(jitter(RETRY_AFTER_SECONDS_MAX * chance)))


def jitter(most: float) -> float:
    """Return a number between 0 and `most`, by chance."""
    return random.uniform(0, most)  # noqa: S311 - jitter is no secret

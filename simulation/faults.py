"""Faults of the network, DynamoDB and Lambda, each with its rate."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from random import Random


class Died(BaseException):
    """A function's process died in the middle of its work. The product cannot catch this."""


class Fault(StrEnum):
    """What can go wrong, or happen in an unexpected way."""

    REQUEST_LOST = "request lost"
    ANSWER_LOST = "response lost after the effect"
    EFFECT_LATE = "effect after the caller gave up"
    DIES_BEFORE = "function dies before a call"
    DIES_AFTER = "function dies after a call"
    VERSION_RACE = "version race"
    CONFLICT = "TransactionConflict"
    THROTTLE = "throttle"
    IN_PROGRESS = "TransactionInProgress"
    PARTLY_TAKEN = "batch accepted in part"
    SENT_TWICE = "submitted twice at once"
    SENT_AGAIN = "resubmitted hours later"
    CALLER_LOST = "response to the caller lost"
    SKEW = "skewed clock of a process"
    CLOCK_JUMP = "jump of a process's clock"
    STREAM_REPEATED = "stream batch repeated"
    STREAM_SPLIT = "stream batch split"
    STREAM_LATE = "stream batch late"
    QUEUE_TWICE = "queue message delivered twice"
    OUT_OF_TIME = "worker out of time"
    WEBHOOK_TWICE = "webhook delivered again"
    WEBHOOK_SHUFFLED = "webhook out of order"
    WEBHOOK_LATE = "webhook three days late"
    SWEEP_TWICE = "two sweeps at once"


RATES = {
    Fault.REQUEST_LOST: 0.02,
    Fault.ANSWER_LOST: 0.025,
    Fault.EFFECT_LATE: 0.012,
    Fault.DIES_BEFORE: 0.008,
    Fault.DIES_AFTER: 0.012,
    Fault.VERSION_RACE: 0.04,
    Fault.CONFLICT: 0.04,
    Fault.THROTTLE: 0.02,
    Fault.IN_PROGRESS: 0.02,
    Fault.PARTLY_TAKEN: 0.1,
    Fault.SENT_TWICE: 0.1,
    Fault.SENT_AGAIN: 0.06,
    Fault.CALLER_LOST: 0.06,
    Fault.SKEW: 0.5,
    Fault.CLOCK_JUMP: 0.03,
    Fault.STREAM_REPEATED: 0.2,
    Fault.STREAM_SPLIT: 0.2,
    Fault.STREAM_LATE: 0.2,
    Fault.QUEUE_TWICE: 0.1,
    Fault.OUT_OF_TIME: 0.4,
    Fault.WEBHOOK_TWICE: 0.3,
    Fault.WEBHOOK_SHUFFLED: 0.3,
    Fault.WEBHOOK_LATE: 0.15,
    Fault.SWEEP_TWICE: 0.3,
}
"""How often each happens where it can: per service call, request, batch or process."""

TO_A_READ = (
    Fault.REQUEST_LOST,
    Fault.ANSWER_LOST,
    Fault.DIES_BEFORE,
    Fault.DIES_AFTER,
    Fault.THROTTLE,
)
TO_A_WRITE = (*TO_A_READ, Fault.EFFECT_LATE)
TO_A_TRANSACTION = (*TO_A_WRITE, Fault.VERSION_RACE, Fault.CONFLICT, Fault.IN_PROGRESS)
"""The faults of each kind of call."""


class Faults:
    """Draws faults at their rates, and counts those that were injected.

    None is drawn once `over` is set. A fault is counted where it takes place; some that are drawn
    find nothing to disturb.
    """

    def __init__(self, without: Collection[Fault]) -> None:
        """Draw all faults except those in `without`."""
        self.rates = {fault: 0.0 if fault in without else rate for fault, rate in RATES.items()}
        self.injected: Counter[Fault] = Counter()
        self.over = False

    def drawn(self, fault: Fault, random: Random) -> bool:
        """Return whether a fault should happen now."""
        drawn = random.random()  # whatever the phase, so that the next draw is the same
        return not self.over and drawn < self.rates[fault]

    def happens(self, fault: Fault, random: Random) -> bool:
        """Return whether a fault happens now, and count it if it does."""
        if self.drawn(fault, random):
            self.count(fault)
            return True
        return False

    def one_of(self, faults: tuple[Fault, ...], random: Random) -> Fault | None:
        """Return the one of several faults that should happen now, if any."""
        drawn = random.random()
        if self.over:
            return None
        for fault in faults:
            drawn -= self.rates[fault]
            if drawn < 0:
                return fault
        return None

    def count(self, fault: Fault) -> None:
        """Count a fault that has been injected."""
        self.injected[fault] += 1

"""Crossings: an account runs low, runs out, or has credits again; each is told once."""

from enum import StrEnum


class Threshold(StrEnum):
    """A bound that available credits crossed."""

    LOW = "low"
    DEPLETED = "depleted"
    RECOVERED = "recovered"


def thresholds_crossed(before: int, after: int, low_credits: int) -> list[Threshold]:
    """Return the bounds that available credits crossed in one posting.

    It is about the account before and after all of a posting, so a month's turn, which takes the
    old allowance and brings the new one, crosses only what the two together cross. A posting that
    falls through both bounds crosses both: who waits for one need not know of the other.
    """
    crossed = []
    if before > low_credits >= after:
        crossed.append(Threshold.LOW)
    if before > 0 >= after:
        crossed.append(Threshold.DEPLETED)
    if before <= 0 < after:
        crossed.append(Threshold.RECOVERED)
    return crossed

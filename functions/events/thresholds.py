"""Thresholds: an account runs low, runs out, or has credits again; each is reported once."""

from enum import StrEnum


class Threshold(StrEnum):
    """A threshold that available credits can cross."""

    LOW = "low"
    DEPLETED = "depleted"
    RECOVERED = "recovered"


def thresholds_crossed(before: int, after: int, low_credits: int) -> list[Threshold]:
    """Return the thresholds that available credits crossed in one posting.

    It compares the account before and after the whole posting. So a new month, which removes the
    old allowance and adds the new one, crosses only what both together cross. A posting that falls
    below both thresholds crosses both, so a listener for one need not know the other.
    """
    crossed = []
    if before > low_credits >= after:
        crossed.append(Threshold.LOW)
    if before > 0 >= after:
        crossed.append(Threshold.DEPLETED)
    if before <= 0 < after:
        crossed.append(Threshold.RECOVERED)
    return crossed

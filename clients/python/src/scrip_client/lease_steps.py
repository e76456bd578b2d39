"""A lease's terms, its slices, and the steps that it takes: each is one call to Scrip."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from scrip_client.calls import Call
    from scrip_client.models import Catalog, HoldPosting, HoldState, Posting


@dataclass(frozen=True, kw_only=True)
class LeaseSpec:
    """What to lease: how many credits at a time, and how often to capture."""

    account_id: str
    feature: str | None
    slice_credits: int
    capture_seconds: float
    capture_uses: int
    expires_in: int


class CountResult(Enum):
    """Whether a use was counted, and whether a step became due by that."""

    NO_ROOM = auto()
    COUNTED = auto()
    STEP_DUE = auto()


@dataclass(kw_only=True)
class Slice:
    """A hold, and how many of its credits are `left` to capture.

    `ends_at` and `expires_at` are the same instant, by the driver's clock and by Scrip's. A slice
    `is_at_limit` if it cannot be extended any more.
    """

    hold_id: str
    left: int
    ends_at: float
    expires_at: datetime
    is_at_limit: bool = False


@dataclass(frozen=True, kw_only=True)
class Uses:
    """A sum of uses: their credits, their number and their units."""

    credits: int = 0
    number: int = 0
    units: int = 0

    def __add__(self, more: Uses) -> Uses:
        """Return the sum of both."""
        return Uses(
            credits=self.credits + more.credits,
            number=self.number + more.number,
            units=self.units + more.units,
        )

    def part(self, credits_: int) -> Uses:
        """Return the part that costs `credits_`."""
        return Uses(
            credits=credits_,
            number=self.number * credits_ // self.credits,
            units=self.units * credits_ // self.credits,
        )

    def __sub__(self, part: Uses) -> Uses:
        """Return the uses without a part."""
        return Uses(
            credits=self.credits - part.credits,
            number=self.number - part.number,
            units=self.units - part.units,
        )


@dataclass(frozen=True, kw_only=True)
class ReadPrice:
    """Read the feature's current price."""

    call: Call[Catalog]


@dataclass(frozen=True, kw_only=True)
class HoldSlice:
    """Hold another slice, for a waiting use of `wanted` credits; 0 if none waits yet."""

    call: Call[HoldPosting]
    credits: int
    wanted: int
    begun: float


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Charge uses to a slice, or to the account if the slice is gone."""

    call: Call[Posting]
    uses: Uses
    slice: Slice | None
    ends: bool


@dataclass(frozen=True, kw_only=True)
class Extend:
    """Extend a slice's life."""

    call: Call[HoldState]
    slice: Slice
    begun: float


@dataclass(frozen=True, kw_only=True)
class Release:
    """Give back what is left of a slice."""

    call: Call[Posting]
    slice: Slice


Step = ReadPrice | HoldSlice | Capture | Extend | Release

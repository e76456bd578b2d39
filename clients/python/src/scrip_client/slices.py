"""The arithmetic of a lease: what is held, what is counted, and what to ask of Scrip next.

Nothing is sent here, nobody waits, and the time is an argument: whoever drives it asks for the next
step, makes its call, and tells what came of that, one step at a time. Counting may go on meanwhile,
from any thread.

    credits held = room + counted + under way
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from copy import copy
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import TYPE_CHECKING, Any

from scrip_client import calls
from scrip_client.errors import (
    ApiError,
    HoldEndedError,
    HoldExceededError,
    HoldNotFoundError,
    InsufficientCreditsError,
    NotPaidError,
    ScripError,
    ServerError,
    is_of_scrip,
)
from scrip_client.keys import is_of_app

if TYPE_CHECKING:
    from datetime import datetime

    from scrip_client.calls import Call
    from scrip_client.models import Catalog, Feature, Held, HoldPosting, HoldState, Posting

NEVER = float("inf")

GONE = (HoldEndedError, HoldNotFoundError, HoldExceededError)
"""A hold does not have what was counted on it: it expired, or somebody else ended or used it."""

logger = logging.getLogger("scrip_client")


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is leased: how many credits at a time, and how often they are captured."""

    account_id: str
    feature: str | None
    slice_credits: int
    capture_seconds: float
    capture_uses: int
    expires_in: int


class Counted(Enum):
    """What became of a use: no room for it, or counted, and then something may be due."""

    NOT = auto()
    WELL = auto()
    DUE = auto()


@dataclass(kw_only=True)
class Slice:
    """A hold, and the credits of it that are not captured.

    `ends_at` is by the driver's clock, and `expires_at` is the same instant by Scrip's. One that
    `is_bounded` cannot be extended any more.
    """

    hold_id: str
    left: int
    ends_at: float
    expires_at: datetime
    is_bounded: bool = False


@dataclass(frozen=True, kw_only=True)
class Uses:
    """Uses together: their credits, how many they are, and of how many units."""

    credits: int = 0
    number: int = 0
    units: int = 0

    def __add__(self, more: Uses) -> Uses:
        """Return all of them together."""
        return Uses(
            credits=self.credits + more.credits,
            number=self.number + more.number,
            units=self.units + more.units,
        )

    def part(self, credits_: int) -> Uses:
        """Return the part that costs so many credits."""
        return Uses(
            credits=credits_,
            number=self.number * credits_ // self.credits,
            units=self.units * credits_ // self.credits,
        )

    def __sub__(self, part: Uses) -> Uses:
        """Return the rest."""
        return Uses(
            credits=self.credits - part.credits,
            number=self.number - part.number,
            units=self.units - part.units,
        )


@dataclass(frozen=True, kw_only=True)
class ReadPrice:
    """Read what the feature costs now."""

    call: Call[Catalog]


@dataclass(frozen=True, kw_only=True)
class TakeSlice:
    """Hold another slice, for a use of `wanted` credits that waits for it (0: before one does)."""

    call: Call[HoldPosting]
    credits: int
    wanted: int
    begun: float


@dataclass(frozen=True, kw_only=True)
class Capture:
    """Charge uses to a slice; to the account when the slice is gone."""

    call: Call[Posting]
    uses: Uses
    slice: Slice | None
    ends: bool


@dataclass(frozen=True, kw_only=True)
class Extend:
    """Let a slice live longer."""

    call: Call[HoldState]
    slice: Slice
    begun: float


@dataclass(frozen=True, kw_only=True)
class Release:
    """Give back what is left of a slice."""

    call: Call[Posting]
    slice: Slice


Step = ReadPrice | TakeSlice | Capture | Extend | Release


class Slices:
    """The slices of one lease. Instants are seconds of any clock that never goes back."""

    def __init__(self, terms: Terms) -> None:
        """Hold nothing yet."""
        self.terms = terms
        self._lock = threading.Lock()
        self._slices: deque[Slice] = deque()
        self._price: Feature | None = None
        self._is_price_due = terms.feature is not None
        self._room = 0
        self._counted = Uses()
        self._under_way: Capture | None = None
        self._unpaid = Uses()
        self._taking: TakeSlice | None = None
        self._good_until = NEVER
        self._counted_at = -NEVER
        self._is_told = False
        self._is_closing = False
        self._refusal: ScripError | None = None
        self._refused_until = -NEVER
        self._patient_until = -NEVER

    @property
    def room(self) -> int:
        """How many credits can still be counted before another slice is held."""
        return self._room

    @property
    def is_closing(self) -> bool:
        """Whether nothing more is counted."""
        return self._is_closing

    @property
    def uncaptured(self) -> Uses:
        """The uses that were counted and are not known to be charged."""
        return self._counted + self._under_way.uses if self._under_way else self._counted

    @property
    def not_paid(self) -> NotPaidError | None:
        """What to raise for the uses that were counted and can never be charged."""
        if not self._unpaid.credits:
            return None
        return NotPaidError(self.terms.account_id, self._unpaid.credits)

    def cost(self, units: int) -> int | None:
        """Return the credits that a use costs by itself; None while its price is not known."""
        if self.terms.feature is None:
            return units
        return self._price.price(units) if self._price else None

    def count(self, units: int, now: float) -> Counted:
        """Count a use if there is room for it.

        No more than a slice is ever counted without being charged, but for a use that is larger
        than that.

        Raises:
            RuntimeError: the lease is closed.
        """
        with self._lock:
            if self._is_closing:
                raise RuntimeError("the lease is closed")
            cost = self.cost(units)
            if cost is None or cost > self._room or now >= self._good_until:
                return Counted.NOT
            uncaptured = self.uncaptured.credits
            if uncaptured and uncaptured + cost > self.terms.slice_credits:
                return Counted.NOT
            self._room -= cost
            self._counted += Uses(credits=cost, number=1, units=units)
            self._counted_at = now
            is_due = (
                self._counted.number >= self.terms.capture_uses
                or 2 * (uncaptured + cost) >= self.terms.slice_credits
                or self._is_slice_due(now, 0)
            )
            if not is_due or self._is_told:
                return Counted.WELL
            self._is_told = True
            return Counted.DUE

    def refusal(self, units: int, now: float) -> ScripError | None:
        """Return why a use for which there is no room is refused for now, if it is."""
        with self._lock:
            if self._refusal is None or now >= self._refused_until:
                return None
            if not isinstance(self._refusal, InsufficientCreditsError):
                return copy(self._refusal)
            wanted = self.cost(units) or 0
            available = self._refusal.available + self._room
            if wanted <= available:
                return None
            told = {"required": wanted, "available": available, "shortfall": wanted - available}
            return InsufficientCreditsError(402, {**self._refusal.problem, **told})

    def close(self) -> None:
        """Count nothing more; the steps that are left charge for it and give back the rest."""
        with self._lock:
            self._is_closing = True

    def next_step(self, now: float, waiting: int | None = None) -> Step | None:
        """Return what to ask of Scrip now, None if nothing; `waiting` units wait for room.

        What was asked and not answered is asked again, with its key.
        """
        with self._lock:
            self._is_told = False
            if self._under_way is not None:
                return self._under_way
            if self._is_closing:
                return self._charging() or self._releasing()
            wanted = 0 if waiting is None else self.cost(waiting) or 1
            return (
                self._renewing(now)
                or self._pricing()
                or self._taking_slice(now, wanted)
                or self._charging()
            )

    def answered(self, step: Step, answer: Any) -> None:
        """Know what came of a step."""
        with self._lock:
            if not isinstance(self._refusal, ApiError):
                self._refusal = None
            match step:
                case ReadPrice():
                    self._learn_price(answer)
                case TakeSlice(begun=begun):
                    self._taking = self._refusal = None
                    self._add(answer, begun)
                case Capture(slice=None):
                    self._under_way = None
                case Capture(slice=Slice() as part) if not is_of_app(answer.entry, part.hold_id):
                    # Somebody else has ended the hold by just such a capture.
                    self._charge_without(part, step)
                case Capture(slice=part, uses=uses, ends=ends):
                    assert part is not None
                    self._under_way = None
                    part.left -= uses.credits
                    if ends or not part.left:
                        self._drop(part)
                case Extend(slice=part, begun=begun):
                    self._live_on(part, answer.hold, begun)
                case Release(slice=part):
                    self._drop(part)
            self._recount()

    def failed(self, step: Step, error: ScripError, now: float) -> bool:
        """Know that Scrip refused a step, or did not answer; return whether to go on at once."""
        with self._lock:
            is_refused = _is_refusal(error)
            match step:
                case Capture(slice=Slice() as part) if isinstance(error, GONE):
                    self._charge_without(part, step)
                case Capture() if is_refused:
                    logger.error(
                        "%s credits of %s uses stay unpaid on account %s: %s",
                        step.uses.credits,
                        step.uses.number,
                        self.terms.account_id,
                        error,
                    )
                    self._unpaid += step.uses
                    self._under_way = None
                    if step.slice:
                        self._drop(step.slice)
                case TakeSlice() if is_refused:
                    self._taking = None
                    self._refuse_slice(step, error, now)
                case Extend(slice=part) if is_refused:
                    self._drop(part)
                case Release(slice=part):
                    self._drop(part)
                case _:
                    self._refuse(error, now)
                    return False
            self._recount()
            return True

    def _is_slice_due(self, now: float, wanted: int) -> bool:
        """Whether another slice is to be held: for whoever waits, or before this one is used up."""
        if wanted > self._room:
            return True
        return 2 * self._room < self.terms.slice_credits and now >= self._patient_until

    def _renewing(self, now: float) -> Step | None:
        """Extend a slice at half its life.

        Let it go if nobody has used the lease meanwhile, or if it is bounded and all is charged.
        """
        life = self.terms.expires_in
        for part in self._slices:
            if now < part.ends_at - life / 2:
                continue
            account_id, hold_id = self.terms.account_id, part.hold_id
            is_idle = self._counted_at < part.ends_at - life and not self._counted.number
            if is_idle or part.is_bounded:
                release = Release(call=calls.release_hold(account_id, hold_id), slice=part)
                return self._charging() or release
            call = calls.extend_hold(account_id, hold_id, expires_in=life)
            return Extend(call=call, slice=part, begun=now)
        return None

    def _pricing(self) -> Step | None:
        return ReadPrice(call=calls.catalog()) if self._is_price_due else None

    def _taking_slice(self, now: float, wanted: int) -> Step | None:
        is_used = self._counted_at > now - self.terms.expires_in / 2
        if not self._is_slice_due(now, wanted) or not (wanted or is_used):
            return None
        # What was not answered may be held: asked again with its key, it is held once.
        if self._taking and now < self._taking.begun + self.terms.expires_in / 2:
            self._taking = replace(self._taking, wanted=wanted)
            return self._taking
        self._taking = self._slice_of(max(self.terms.slice_credits, wanted), wanted, now)
        return self._taking

    def _slice_of(self, credits_: int, wanted: int, now: float) -> TakeSlice:
        """Return the step that holds so many credits, or the units of the feature that they buy."""
        use: calls.Use = {"amount": credits_}
        if self.terms.feature is not None:
            units = credits_ * self._price.per // self._price.cost if self._price else 1
            use = {"quantity": max(1, units)}
        call = calls.open_hold(
            self.terms.account_id,
            self.terms.feature,
            expires_in=self.terms.expires_in,
            **use,
        )
        return TakeSlice(call=call, credits=credits_, wanted=wanted, begun=now)

    def _charging(self) -> Step | None:
        """Charge what is counted to the oldest slice, as far as that goes."""
        if not self._counted.number:
            return None
        uses, part = self._counted, self._slices[0] if self._slices else None
        if part and uses.credits > part.left:
            # A use may lie across two slices: what is charged in all is right.
            uses = uses.part(part.left)
        self._counted -= uses
        if part is None:
            call = self._consume(uses)
            self._under_way = Capture(call=call, uses=uses, slice=None, ends=False)
            return self._under_way
        ends = self._is_closing or uses.credits == part.left
        call = calls.capture_hold(
            self.terms.account_id,
            part.hold_id,
            amount=uses.credits,
            final=ends,
            metadata=self._metadata(uses),
        )
        self._under_way = Capture(call=call, uses=uses, slice=part, ends=ends)
        return self._under_way

    def _consume(self, uses: Uses) -> Call[Posting]:
        """Return the call that charges uses without a hold."""
        metadata = self._metadata(uses)
        if self.terms.feature is not None:
            metadata["feature"] = self.terms.feature
        return calls.consume(self.terms.account_id, amount=uses.credits, metadata=metadata)

    def _metadata(self, uses: Uses) -> dict[str, Any]:
        metadata: dict[str, Any] = {"uses": uses.number}
        if self.terms.feature is not None:
            metadata["quantity"] = uses.units
        return metadata

    def _releasing(self) -> Step | None:
        if not self._slices:
            return None
        part = self._slices[0]
        return Release(
            call=calls.release_hold(self.terms.account_id, part.hold_id),
            slice=part,
        )

    def _learn_price(self, catalog: Catalog) -> None:
        named = {feature.feature_id: feature for feature in catalog.features}
        self._price = named.get(self.terms.feature or "")
        self._is_price_due = False

    def _add(self, posting: HoldPosting, begun: float) -> None:
        hold = posting.hold
        assert hold.expires_at is not None
        life = (hold.expires_at - posting.entry.recorded_at).total_seconds()
        part = Slice(
            hold_id=hold.hold_id,
            left=hold.left,
            ends_at=begun + min(life, self.terms.expires_in),
            expires_at=hold.expires_at,
        )
        self._slices.append(part)
        known = self._price.version if self._price else None
        self._is_price_due = posting.entry.feature_version != known

    def _live_on(self, part: Slice, hold: Held, begun: float) -> None:
        """Know until when a slice lives now: no hold outlives its bound, whatever extends it."""
        assert hold.expires_at is not None
        gained = (hold.expires_at - part.expires_at).total_seconds()
        part.ends_at = min(part.ends_at + gained, begun + self.terms.expires_in)
        part.expires_at = hold.expires_at
        part.is_bounded = part.ends_at < begun + self.terms.expires_in / 2

    def _charge_without(self, part: Slice, step: Capture) -> None:
        """Charge uses to the account, as their slice has not paid for them."""
        self._drop(part)
        self._under_way = replace(step, call=self._consume(step.uses), slice=None)

    def _refuse_slice(self, step: TakeSlice, error: ScripError, now: float) -> None:
        """Take a smaller slice for a use that waits, if the account has enough for that."""
        self._patient_until = now + self.terms.capture_seconds
        if not step.wanted:
            return
        if isinstance(error, InsufficientCreditsError):
            reach, missing = error.available, step.wanted - self._room
            if missing <= reach < step.credits and self._buys_some(reach):
                self._taking = self._slice_of(reach, step.wanted, now)
                return
        self._refuse(error, now)

    def _buys_some(self, credits_: int) -> bool:
        return self._price is None or credits_ * self._price.per >= self._price.cost

    def _refuse(self, error: ScripError, now: float) -> None:
        """Refuse the uses that find no room for a while, so that Scrip is not asked for each."""
        self._refusal = error
        self._refused_until = now + self.terms.capture_seconds

    def _drop(self, part: Slice) -> None:
        if part in self._slices:
            self._slices.remove(part)

    def _recount(self) -> None:
        held = sum(part.left for part in self._slices)
        charged = self._under_way.uses.credits if self._under_way and self._under_way.slice else 0
        self._room = held - charged - self._counted.credits
        self._good_until = min((part.ends_at for part in self._slices), default=NEVER)


def _is_refusal(error: ScripError) -> bool:
    """Whether Scrip itself says no, and would say so again."""
    if not isinstance(error, ApiError) or isinstance(error, ServerError):
        return False
    return is_of_scrip(error.problem)

"""The state of a lease: what is held, what is counted, and which call to send next.

This module sends nothing, never waits, and takes the time as an argument. Its driver asks for the
next step, sends its call, and reports the outcome, one step at a time. Any thread may count uses
meanwhile.

    credits held = room + counted + being captured
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from copy import copy
from dataclasses import replace
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
    is_from_scrip,
)
from scrip_client.keys import is_by_app
from scrip_client.lease_steps import (
    Capture,
    CountResult,
    Extend,
    HoldSlice,
    ReadPrice,
    Release,
    Slice,
    Uses,
)

if TYPE_CHECKING:
    from scrip_client.calls import Call
    from scrip_client.lease_steps import LeaseSpec, Step
    from scrip_client.models import Catalog, Feature, Held, HoldPosting, Posting

NEVER = float("inf")

HOLD_GONE = (HoldEndedError, HoldNotFoundError, HoldExceededError)
"""The hold lacks the credits that were counted on it: it expired, or someone else used it."""

logger = logging.getLogger("scrip_client")


class Slices:
    """The slices of one lease. Times are in seconds, from any clock that never goes back."""

    def __init__(self, spec: LeaseSpec) -> None:
        """Take what to lease; nothing is held yet."""
        self.spec = spec
        self._lock = threading.Lock()
        self._slices: deque[Slice] = deque()
        self._price: Feature | None = None
        self._is_price_due = spec.feature is not None
        self._room = 0
        self._counted = Uses()
        self._capturing: Capture | None = None
        self._unpaid = Uses()
        self._opening: HoldSlice | None = None
        self._usable_until = NEVER
        self._last_use_at = -NEVER
        self._is_due_reported = False
        self._is_closing = False
        self._refusal: ScripError | None = None
        self._refused_until = -NEVER
        self._prefetch_from = -NEVER

    @property
    def room(self) -> int:
        """Credits that can still be counted before another slice is needed."""
        return self._room

    @property
    def is_closing(self) -> bool:
        """Whether the lease refuses further uses."""
        return self._is_closing

    @property
    def uncaptured(self) -> Uses:
        """The counted uses that are not certainly charged."""
        return self._counted + self._capturing.uses if self._capturing else self._counted

    @property
    def not_paid(self) -> NotPaidError | None:
        """The error to raise for counted uses that cannot be charged any more."""
        if not self._unpaid.credits:
            return None
        return NotPaidError(self.spec.account_id, self._unpaid.credits)

    def cost(self, units: int) -> int | None:
        """Return the credits that a single use costs; None while its price is unknown."""
        if self.spec.feature is None:
            return units
        return self._price.price(units) if self._price else None

    def count(self, units: int, now: float) -> CountResult:
        """Count a use if there is room for it.

        The counted uses that are not charged yet never exceed one slice, unless a single use does.

        Raises:
            RuntimeError: the lease is closed.
        """
        with self._lock:
            if self._is_closing:
                raise RuntimeError("the lease is closed")
            cost = self.cost(units)
            if cost is None or cost > self._room or now >= self._usable_until:
                return CountResult.NO_ROOM
            uncaptured = self.uncaptured.credits
            if uncaptured and uncaptured + cost > self.spec.slice_credits:
                return CountResult.NO_ROOM
            self._room -= cost
            self._counted += Uses(credits=cost, number=1, units=units)
            self._last_use_at = now
            is_due = (
                self._counted.number >= self.spec.capture_uses
                or 2 * (uncaptured + cost) >= self.spec.slice_credits
                or self._is_slice_due(now, 0)
            )
            if not is_due or self._is_due_reported:
                return CountResult.COUNTED
            self._is_due_reported = True
            return CountResult.STEP_DUE

    def refusal(self, units: int, now: float) -> ScripError | None:
        """Return the error to refuse a use with, if there is no room and no hope for now."""
        with self._lock:
            if self._refusal is None or now >= self._refused_until:
                return None
            if not isinstance(self._refusal, InsufficientCreditsError):
                return copy(self._refusal)
            wanted = self.cost(units) or 0
            available = self._refusal.available + self._room
            if wanted <= available:
                return None
            data = {"required": wanted, "available": available, "shortfall": wanted - available}
            return InsufficientCreditsError(402, {**self._refusal.problem, **data})

    def close(self) -> None:
        """Refuse further uses; the remaining steps charge what was counted and release the rest."""
        with self._lock:
            self._is_closing = True

    def next_step(self, now: float, waiting: int | None = None) -> Step | None:
        """Return the step to take now, None if nothing is due; `waiting` units wait for room.

        A step that got no answer is repeated, with its key.
        """
        with self._lock:
            self._is_due_reported = False
            if self._capturing is not None:
                return self._capturing
            if self._is_closing:
                release = self._release(self._slices[0]) if self._slices else None
                return self._capture() or release
            wanted = 0 if waiting is None else self.cost(waiting) or 1
            return (
                self._extend_or_release(now)
                or self._read_price()
                or self._hold_slice(now, wanted)
                or self._capture()
            )

    def answered(self, step: Step, answer: Any) -> None:
        """Record a step's answer."""
        with self._lock:
            if not isinstance(self._refusal, ApiError):
                self._refusal = None
            match step:
                case ReadPrice():
                    self._record_price(answer)
                case HoldSlice(begun=begun):
                    self._opening = self._refusal = None
                    self._add_slice(answer, begun)
                case Capture(slice=None):
                    self._capturing = None
                case Capture(slice=Slice() as part) if not is_by_app(answer.entry, part.hold_id):
                    # A user ended the hold with an identical capture.
                    self._charge_to_account(part, step)
                case Capture(slice=part, uses=uses, ends=ends):
                    assert part is not None
                    self._capturing = None
                    part.left -= uses.credits
                    if ends or not part.left:
                        self._drop(part)
                case Extend(slice=part, begun=begun):
                    self._record_extension(part, answer.hold, begun)
                case Release(slice=part):
                    self._drop(part)
            self._recount()

    def failed(self, step: Step, error: ScripError, now: float) -> bool:
        """Record that a step was refused or not answered; return whether to go on at once."""
        with self._lock:
            is_refused = _is_refusal(error)
            match step:
                case Capture(slice=Slice() as part) if isinstance(error, HOLD_GONE):
                    self._charge_to_account(part, step)
                case Capture() if is_refused:
                    logger.error(
                        "%s credits for %s uses remain unpaid on account %s: %s",
                        step.uses.credits,
                        step.uses.number,
                        self.spec.account_id,
                        error,
                    )
                    self._unpaid += step.uses
                    self._capturing = None
                    if step.slice:
                        self._drop(step.slice)
                case HoldSlice() if is_refused:
                    self._opening = None
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
        """Whether another slice is needed: for a waiting use, or before this one is used up."""
        if wanted > self._room:
            return True
        return 2 * self._room < self.spec.slice_credits and now >= self._prefetch_from

    def _extend_or_release(self, now: float) -> Step | None:
        """Extend a slice at half its life.

        If the lease was not used meanwhile, or the slice is at its limit, charge and release it.
        """
        life = self.spec.expires_in
        for part in self._slices:
            if now < part.ends_at - life / 2:
                continue
            is_idle = self._last_use_at < part.ends_at - life and not self._counted.number
            if is_idle or part.is_at_limit:
                return self._capture() or self._release(part)
            call = calls.extend_hold(self.spec.account_id, part.hold_id, expires_in=life)
            return Extend(call=call, slice=part, begun=now)
        return None

    def _read_price(self) -> Step | None:
        return ReadPrice(call=calls.catalog()) if self._is_price_due else None

    def _hold_slice(self, now: float, wanted: int) -> Step | None:
        is_used = self._last_use_at > now - self.spec.expires_in / 2
        if not self._is_slice_due(now, wanted) or not (wanted or is_used):
            return None
        # If its call was not answered, a slice may be held: repeated with its key, it is held once.
        if self._opening and now < self._opening.begun + self.spec.expires_in / 2:
            self._opening = replace(self._opening, wanted=wanted)
            return self._opening
        self._opening = self._hold_step(max(self.spec.slice_credits, wanted), wanted, now)
        return self._opening

    def _hold_step(self, credits_: int, wanted: int, now: float) -> HoldSlice:
        """Return the step that holds `credits_`, or the units of the feature that they buy."""
        use: calls.Use = {"amount": credits_}
        if self.spec.feature is not None:
            units = 1
            if self._price:
                assert self._price.cost is not None
                units = max(1, credits_ * self._price.per // self._price.cost)
            use = {"quantity": units}
        call = calls.open_hold(
            self.spec.account_id,
            self.spec.feature,
            expires_in=self.spec.expires_in,
            **use,
        )
        return HoldSlice(call=call, credits=credits_, wanted=wanted, begun=now)

    def _capture(self) -> Step | None:
        """Charge what was counted to the oldest slice, up to what it has left."""
        if not self._counted.number:
            return None
        uses, part, ends = self._counted, self._slices[0] if self._slices else None, False
        if part is None:
            call = self._consume(uses)
        else:
            if uses.credits > part.left:
                # A use may be split between two slices; the total is right.
                uses = uses.part(part.left)
            ends = self._is_closing or uses.credits == part.left
            call = calls.capture_hold(
                self.spec.account_id,
                part.hold_id,
                amount=uses.credits,
                final=ends,
                metadata=self._metadata(uses),
            )
        self._counted -= uses
        self._capturing = Capture(call=call, uses=uses, slice=part, ends=ends)
        return self._capturing

    def _consume(self, uses: Uses) -> Call[Posting]:
        """Return the call that charges uses to the account."""
        metadata = self._metadata(uses)
        if self.spec.feature is not None:
            metadata["feature"] = self.spec.feature
        return calls.consume(self.spec.account_id, amount=uses.credits, metadata=metadata)

    def _metadata(self, uses: Uses) -> dict[str, Any]:
        metadata: dict[str, Any] = {"uses": uses.number}
        if self.spec.feature is not None:
            metadata["quantity"] = uses.units
        return metadata

    def _release(self, part: Slice) -> Release:
        call = calls.release_hold(self.spec.account_id, part.hold_id)
        return Release(call=call, slice=part)

    def _record_price(self, catalog: Catalog) -> None:
        named = {feature.feature_id: feature for feature in catalog.features}
        price = named.get(self.spec.feature or "")
        if price is not None and price.cost is None:
            raise ValueError(
                f"{price.feature_id} has meters, which a lease cannot count: use a hold"
            )
        self._price = price
        self._is_price_due = False

    def _add_slice(self, posting: HoldPosting, begun: float) -> None:
        hold = posting.hold
        assert hold.expires_at is not None
        life = (hold.expires_at - posting.entry.recorded_at).total_seconds()
        part = Slice(
            hold_id=hold.hold_id,
            left=hold.left,
            ends_at=begun + min(life, self.spec.expires_in),
            expires_at=hold.expires_at,
        )
        self._slices.append(part)
        known = self._price.version if self._price else None
        self._is_price_due = posting.entry.feature_version != known

    def _record_extension(self, part: Slice, hold: Held, begun: float) -> None:
        """Record a slice's new end: no hold outlives its limit, whatever extends it."""
        assert hold.expires_at is not None
        gained = (hold.expires_at - part.expires_at).total_seconds()
        part.ends_at = min(part.ends_at + gained, begun + self.spec.expires_in)
        part.expires_at = hold.expires_at
        part.is_at_limit = part.ends_at < begun + self.spec.expires_in / 2

    def _charge_to_account(self, part: Slice, step: Capture) -> None:
        """Charge uses to the account, since their slice did not pay for them."""
        self._drop(part)
        self._capturing = replace(step, call=self._consume(step.uses), slice=None)

    def _refuse_slice(self, step: HoldSlice, error: ScripError, now: float) -> None:
        """Try a smaller slice for a waiting use, if the account has enough credits for that."""
        self._prefetch_from = now + self.spec.capture_seconds
        if not step.wanted:
            return
        if isinstance(error, InsufficientCreditsError):
            affordable, missing = error.available, step.wanted - self._room
            if missing <= affordable < step.credits and self._buys_some(affordable):
                self._opening = self._hold_step(affordable, step.wanted, now)
                return
        self._refuse(error, now)

    def _buys_some(self, credits_: int) -> bool:
        return self._price is None or credits_ >= self._price.price(1)

    def _refuse(self, error: ScripError, now: float) -> None:
        """Refuse uses that find no room for a while, without asking Scrip about each."""
        self._refusal = error
        self._refused_until = now + self.spec.capture_seconds

    def _drop(self, part: Slice) -> None:
        if part in self._slices:
            self._slices.remove(part)

    def _recount(self) -> None:
        held = sum(part.left for part in self._slices)
        charged = self._capturing.uses.credits if self._capturing and self._capturing.slice else 0
        self._room = held - charged - self._counted.credits
        self._usable_until = min((part.ends_at for part in self._slices), default=NEVER)


def _is_refusal(error: ScripError) -> bool:
    """Whether Scrip itself refused, and would do so again."""
    if not isinstance(error, ApiError) or isinstance(error, ServerError):
        return False
    return is_from_scrip(error.problem)

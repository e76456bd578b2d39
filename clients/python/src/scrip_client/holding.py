"""A hold: credits are set aside before a block, and the block is charged for what it used."""

from __future__ import annotations

import inspect
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Unpack

from scrip_client import calls
from scrip_client.caller import CallState
from scrip_client.charges import ONE_TRY, add_note, is_left, reason_of, warn_unpaid
from scrip_client.errors import (
    CostOutOfRangeError,
    HoldEndedError,
    HoldNotFoundError,
    HoldWithoutFeatureError,
    IdempotencyKeyReusedError,
    ScripError,
    UnavailableError,
    UnknownFeatureError,
    UnknownMeterError,
    UnknownUsageError,
)
from scrip_client.held_credits import HeldCredits, HoldSpec
from scrip_client.transport import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Line, Provider, Use
    from scrip_client.held_credits import Fields
    from scrip_client.models import Held, Posting
    from scrip_client.transport import AsyncTransport

EXTEND_AFTER = 0.5
"""A hold is extended after this part of its life."""

TRY_AGAIN_AFTER = 0.1
"""An extension that failed is repeated after this part of the hold's life."""

ESTIMATED: Mapping[str, Any] = {"metadata": {"estimated": True}}

UNPRICED = (
    CostOutOfRangeError,
    HoldWithoutFeatureError,
    UnknownFeatureError,
    UnknownMeterError,
    UnknownUsageError,
)
"""A use has no price, so it was refused."""

logger = logging.getLogger("scrip_client")


@dataclass(frozen=True)
class ReportedUse:
    """A use that a block has reported, as fields of the API.

    `fallback` are counts of meters to charge if the use has no price. It is charged `alone` once it
    has been refused together with others.
    """

    fields: Fields
    fallback: Mapping[str, int] | None = None
    alone: bool = False

    @property
    def counts(self) -> bool:
        """Whether anything was used. What a provider's usage says, only Scrip knows."""
        if "usage_of" in self.fields:
            return True
        usage = self.fields.get("usage", {})
        return any((*usage.values(), self.fields.get("quantity"), self.fields.get("amount")))

    def merged(self, more: ReportedUse) -> ReportedUse | None:
        """Return the sum of two uses, None if each needs an entry of its own."""
        one, other = self.fields, more.fields
        is_same = one.keys() == other.keys() and one.get("feature") == other.get("feature")
        if "usage_of" in other or not is_same:
            return None
        if "usage" in other:
            names = {**one["usage"], **other["usage"]}
            summed: Any = {n: one["usage"].get(n, 0) + other["usage"].get(n, 0) for n in names}
            return ReportedUse({**other, "usage": summed})
        [name] = other.keys() - ESTIMATED.keys() - {"feature"}
        return ReportedUse({**other, name: one[name] + other[name]})


@dataclass(frozen=True)
class Part:
    """Uses that are charged together. The `final` part ends the hold."""

    uses: tuple[ReportedUse, ...]
    suffix: str
    final: bool

    @property
    def fields(self) -> list[Fields]:
        """The uses as fields of the API."""
        return [use.fields for use in self.uses]


def hold(
    feature: str | None,
    account_id: str,
    *,
    lines: Iterable[Line] = (),
    expires_in: int = calls.HOLD_SECONDS,
    idempotency_key: str | None = None,
    fail_open: bool = False,
    **use: Unpack[Use],
) -> HoldSpec:
    """Set credits aside for a block: charge what the block uses, and give the rest back.

    If the credits cannot be held, the block does not run, and the errors of `open_hold` are
    raised. With `fail_open` the block runs even if Scrip is unavailable. A block that does not
    report its use is charged for all that was held; one that raises, for nothing; one that is left
    (a closed generator, a cancelled task, a client that disconnected), for what it has reported.
    The hold is extended while the block runs. Use a key of your own for a job that can be delivered
    twice: it is charged once. Without a `feature` (None), pass an `amount`, or several uses as
    `lines`: then the block reports `use(2, feature="search")`, and one that does not report its use
    is charged the price of all lines as one amount.

    Only what the app itself charged for the block counts as paid. If someone else ended the hold,
    the end of the block charges what is missing, or raises NotPaidError where that could charge
    twice.
    """
    held = tuple(lines)
    return HoldSpec(
        account_id=account_id,
        feature=feature,
        use=use,
        lines=held,
        expires_in=expires_in,
        call=calls.open_hold(
            account_id,
            feature,
            lines=held or None,
            expires_in=expires_in,
            idempotency_key=idempotency_key,
            **use,
        ),
        has_own_key=idempotency_key is not None,
        fail_open=fail_open,
    )


class BaseHold(HeldCredits):
    """What `Hold` and `AsyncHold` have in common: a hold from the start to the end of a block."""

    def __init__(self, caller: Caller, spec: HoldSpec) -> None:
        """Take what to hold; nothing is sent yet."""
        super().__init__(caller, spec)
        self.used: int | None = None
        self.held: Held | None = None
        self._transport = caller.transport
        self._signal = self._transport.signal()
        self._use_lock = threading.Lock()
        self._charge_lock = self._transport.lock()
        self._uses: list[ReportedUse] = []
        self._is_reported = False
        self._parts = count(1)
        self._part: Part | None = None
        self._has_charged = False
        self._is_entered = False
        self._is_over = False
        self._may_be_held = False

    @property
    def is_held(self) -> bool:
        """Whether credits are certainly held; with `fail_open` that may be unknown."""
        return self.held is not None

    def use(
        self,
        units: int | None = None,
        *,
        feature: str | None = None,
        usage: Mapping[str, Any] | None = None,
        usage_of: Provider | None = None,
        estimated: bool = False,
        fallback: Mapping[str, int] | None = None,
    ) -> None:
        """Add to what was used: units of the feature, or credits if there is none; or a `usage`.

        A hold with several lines needs to know of which `feature`, unless it is credits.
        Counts of meters add up. A provider's own usage object, of `usage_of`, is one model call and
        gets an entry of its own; counts of meters that are its `fallback` are charged, as
        estimated, if Scrip cannot price it. The entry of what is `estimated` says so in its
        metadata. Threads may share a hold. Nothing is sent: the end of the block, or `capture`,
        charges it.

        Raises:
            ValueError: not exactly one of `units` and `usage` is given, or a count is not a whole
                number from 0, or no line of the hold has the feature.
            RuntimeError: the block is over, so nothing would be charged.
        """
        if (units is None) == (usage is None):
            raise ValueError("pass either units or a usage")
        for count_ in [units] if usage is None else [] if usage_of else usage.values():
            if type(count_) is not int or count_ < 0:
                raise ValueError(f"units must be a whole number from 0, not {count_!r}")
        measure = self._feature(feature, needed=usage is not None)
        if usage is None:
            measure["amount" if (feature or self._spec.feature) is None else "quantity"] = units
        else:
            measure |= {"usage": dict(usage), **({"usage_of": usage_of} if usage_of else {})}
        use = ReportedUse({**measure, **(ESTIMATED if estimated else {})}, fallback)
        with self._use_lock:
            self._ensure_in_block()
            self._is_reported = True
            if units is not None:
                self.used = (self.used or 0) + units
            for place, earlier in enumerate(self._uses):
                if merged := earlier.merged(use):
                    self._uses[place] = merged
                    return
            self._uses.append(use)

    def _feature(self, feature: str | None, *, needed: bool) -> dict[str, Any]:
        """Return the feature of a use as fields of the API, without the hold's only one.

        Raises:
            ValueError: the hold is not for the feature, or has several.
        """
        if feature is None or feature == self._spec.feature:
            if needed and self._spec.lines:
                raise ValueError("say which feature of the hold the usage is of")
            return {}
        if all(line.get("feature") != feature for line in self._spec.lines):
            raise ValueError(f"this hold is not for the feature {feature!r}")
        return {"feature": feature}

    async def _begin(self) -> None:
        """Set the credits aside.

        Raises:
            RuntimeError: this hold has been entered before; nothing was sent.
            ScripError: the credits are not held, or a release has been attempted.
        """
        if self._is_entered:
            raise RuntimeError("a hold is for one block; create another for the next")
        self._is_entered = True
        try:
            posting = await self._open()
        except BaseException as exc:
            self._may_be_held = self._state.may_have_taken_effect
            if not (self._spec.fail_open and isinstance(exc, UnavailableError)):
                await self._undo(exc, CallState(ONE_TRY))
                raise
            logger.warning("Running a block without a hold on %s: %s", self.account_id, exc)
        else:
            self.held, self.account = posting.hold, posting.account
            self._transport.run_in_background(self._keep_open())

    async def _keep_open(self) -> None:
        """Extend the hold until the block is over."""
        life = float(self._spec.expires_in)
        pause = life * EXTEND_AFTER
        while not (self._is_over or self.is_charged):
            await self._signal.wait(pause)
            if self._is_over:
                return
            pause = life * EXTEND_AFTER
            try:
                await self._extend()
            except (HoldEndedError, HoldNotFoundError) as gone:
                if not self._is_over:
                    logger.warning("Continuing without a hold on %s: %s", self.account_id, gone)
                return
            except (ScripError, RuntimeError) as exc:
                logger.warning("Could not extend %s, will try again: %s", self._label, exc)
                pause = life * TRY_AGAIN_AFTER

    async def _capture_used(self) -> Posting | None:
        """Charge what was used and has not been charged yet; None if that is nothing.

        A repetition after a failure has the same key, so it counts once.
        """
        async with self._charge_lock:
            self._ensure_in_block()
            posting = None
            if self._part is not None:
                posting = await self._charge_part()
            # A use that is reported meanwhile is for the next capture. Those that were refused
            # together come again, alone.
            for uses in (self._groups, lambda: [use for use in self._uses if use.alone]):
                for _ in uses():
                    if self._part is None and self._begin_part():
                        posting = await self._charge_part() or posting
            return posting

    def _begin_part(self, *, ending: bool = False) -> Part | None:
        """Begin to charge uses that can be charged together; the last ones end the hold."""
        with self._use_lock:
            if self._part is None and (groups := self._groups()):
                final = ending and len(groups) == 1
                suffix = ".capture" if final else f".capture-{next(self._parts)}"
                self._part = Part(groups[0], suffix, final)
                self._uses = [use for group in groups[1:] for use in group]
        return self._part

    def _groups(self) -> list[tuple[ReportedUse, ...]]:
        """Return the uses that count, in groups that can be charged together."""
        groups: list[tuple[ReportedUse, ...]] = []
        for use in sorted(self._uses, key=lambda use: (not use.alone, "metadata" in use.fields)):
            if not use.counts:
                continue
            last = groups[-1] if groups else ()
            is_alike = bool(last) and last[0].fields.get("metadata") == use.fields.get("metadata")
            if is_alike and not use.alone and not last[0].alone and len(last) < calls.USES_MAX:
                groups[-1] = (*last, use)
            else:
                groups.append((use,))
        return groups

    async def _charge_part(self) -> Posting | None:
        """Charge the part that was begun last; None also if its uses have to be charged alone."""
        part = self._part
        assert part is not None
        try:
            posting = await self._charge_uses(part)
        except UnavailableError as exc:
            if part.final or not self._spec.fail_open:
                raise
            logger.warning("Nothing captured yet of %s: %s", self._label, exc)
            return None
        except UNPRICED:
            # Nothing was charged.
            self._part = None
            if len(part.uses) == 1:
                raise
            with self._use_lock:
                self._uses[:0] = [replace(use, alone=True) for use in part.uses]
            return None
        self._part, self._has_charged = None, True
        return posting

    async def _end(self, exc: BaseException | None) -> None:
        """Charge what was used and give back the rest, or everything if the block failed.

        If an earlier delivery was charged, a block that reports its use must have used as much.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what exceeds the hold cannot be charged;
                the hold itself was captured.
            NotPaidError: something else was charged.
            UnavailableError: it is unknown whether it was charged.
        """
        self._leave_block()
        # Another thread or a cancelled task may have a capture under way, which comes first.
        async with self._charge_lock:
            if exc is None:
                if not self.is_charged or self._is_reported:
                    await self._charge_rest()
            elif self._is_reported and is_left(exc):
                try:
                    await self._charge_rest()
                except ScripError as failure:
                    warn_unpaid(exc, failure)
            else:
                await self._release(reason_of(exc))

    async def _charge_rest(self) -> None:
        """Charge what was used and has not been charged yet, and give back the rest."""
        body, suffix = self._capture_body(None, final=True), ".capture"
        refusal, has_ended = None, False
        try:
            if not self._is_reported:
                await self._charge(None, suffix, final=True)
                return
            while part := self._begin_part(ending=True):
                body, suffix = self._capture_body(part.fields, final=part.final), part.suffix
                try:
                    await self._charge_part()
                    has_ended = part.final and not self._uses
                except UNPRICED as exc:
                    refusal = refusal or exc
                self._part = None  # With `fail_open`, this was its last try.
            if not has_ended:
                await self._release(suffix=".end" if self._has_charged else ".release")
            if refusal is not None:
                raise refusal
        except UnavailableError as exc:
            # A call that only reads has no key.
            key = exc.idempotency_key or self._key(suffix)
            message = (
                f"it is unknown whether {self._label} was captured: "
                f"capture it with {body} and the idempotency key {key}"
            )
            if not self._spec.fail_open:
                logger.exception("No answer; %s", message)
                add_note(exc, message)
                raise
            logger.warning("No answer; %s", message)

    async def _charge_uses(self, part: Part) -> Posting | None:
        """Charge the uses of a part, or the fallback of a single one that has no price."""
        try:
            return await self._charge(part.fields, part.suffix, final=part.final)
        except UNPRICED as exc:
            [use, *others] = part.uses
            if others or use.fallback is None:
                raise
            logger.error("Charging an estimate to %s, for its usage: %s", self._label, exc)  # noqa: TRY400 - the message says it all
            kept = {name: value for name, value in use.fields.items() if name == "feature"}
            estimate = {**kept, "usage": use.fallback, **ESTIMATED}
            return await self._charge([estimate], part.suffix, final=part.final)

    def abandon(self, close: Callable[[], Any]) -> None:
        """End the block where nobody can wait, as in a finalizer; `close` what it has read.

        What it has reported is charged.
        """
        ending = self._end_unattended(close)
        try:
            self._transport.run_later(ending)
        except RuntimeError as exc:
            ending.close()
            logger.warning("%s is left to expire: %s", self._label, exc)

    async def _end_unattended(self, close: Callable[[], Any]) -> None:
        # What is read may take long to close, or never do: the charge does not wait for it.
        try:
            await self._end(None)
        except (ScripError, RuntimeError) as exc:
            logger.error("Could not charge what was used of %s: %s", self._label, exc)  # noqa: TRY400 - nobody is at fault
        with suppress(Exception):
            closing = close()
            if inspect.isawaitable(closing):
                await closing

    async def _undo(self, exc: BaseException, state: CallState | None = None) -> None:
        """Release what may be held for a block that will not run.

        A hold with a key of the app's own stays: another delivery of the job may rely on it.
        """
        self._leave_block()
        if not self._spec.has_own_key:
            await self._release(reason_of(exc), state)

    async def _release(
        self,
        reason: str | None = None,
        state: CallState | None = None,
        suffix: str = ".release",
    ) -> None:
        """Release what may be held. If that fails, it is released when the hold expires."""
        if self.is_charged or not (self.is_held or self._may_be_held):
            return
        details = calls.Details() if reason is None else calls.Details(reason=reason)
        key, release = self._key(suffix), calls.release_hold
        try:
            released = await self._send_for_hold(release, state, idempotency_key=key, **details)
            self.account = released.account
        except (HoldEndedError, HoldNotFoundError, IdempotencyKeyReusedError):
            # It is over, perhaps by the same key.
            return
        except Exception as failure:  # noqa: BLE001 - the block's own exception is the one to raise
            logger.warning("Could not release %s, which will expire: %s", self._label, failure)

    def _ensure_in_block(self) -> None:
        if not self._is_entered or self._is_over:
            raise RuntimeError("a hold can be used and captured in its block only")

    def _leave_block(self) -> None:
        with self._use_lock:
            self._is_over = True
        self._signal.set()


class Hold(BaseHold):
    """A hold for a `with` block.

    `held` is what was set aside, `used` what `use` has added up, `entry` the last charge, and
    `account` what is left then; each is None until it is known. `is_charged` says that an earlier
    delivery of the job was charged, so this one is not.
    """

    def __enter__(self) -> Self:
        """Set the credits aside."""
        finish(self._begin())
        return self

    def __exit__(self, _: object, exc: BaseException | None, __: object) -> None:
        """Charge for what was used, or give everything back if the block raised."""
        finish(self._end(exc))

    def capture(self) -> Posting | None:
        """Charge now for what was used so far; the charge stays, even if the block raises later.

        None if there is nothing to charge, or it was charged already.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what exceeds the hold cannot be charged;
                the hold itself was captured.
            NotPaidError: something else was charged in its place.
            ScripError: the capture failed; repeated, it counts once.
            RuntimeError: the block is over.
        """
        return finish(self._capture_used())


class AsyncHold(BaseHold):
    """A hold for an `async with` block, with the attributes of `Hold`."""

    _transport: AsyncTransport

    async def __aenter__(self) -> Self:
        """Set the credits aside; if the task is cancelled meanwhile, release them."""
        await self._transport.run_or_undo(self._begin(), self._undo)
        return self

    async def __aexit__(self, _: object, exc: BaseException | None, __: object) -> None:
        """Charge for what was used, or give everything back if the block raised.

        This goes on if the task is cancelled; closing the client waits for it.
        """
        await self._transport.run_to_end(self._end(exc))

    async def capture(self) -> Posting | None:
        """Charge now for what was used so far, as `Hold.capture` does.

        The capture goes on if the task is cancelled.
        """
        return await self._transport.run_to_end(self._capture_used())

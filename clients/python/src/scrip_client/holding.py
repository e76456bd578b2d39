"""A hold: credits are set aside before a block, and the block is charged for what it used."""

from __future__ import annotations

import logging
import threading
from itertools import count
from typing import TYPE_CHECKING, Unpack

from scrip_client import calls
from scrip_client.caller import CallState
from scrip_client.charges import ONE_TRY, add_note, reason_of
from scrip_client.errors import (
    HoldEndedError,
    HoldNotFoundError,
    IdempotencyKeyReusedError,
    ScripError,
    UnavailableError,
)
from scrip_client.held_credits import HeldCredits, HoldSpec
from scrip_client.transport import finish

if TYPE_CHECKING:
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Use
    from scrip_client.models import Held, Posting
    from scrip_client.transport import AsyncTransport

EXTEND_AFTER = 0.5
"""A hold is extended after this part of its life."""

TRY_AGAIN_AFTER = 0.1
"""An extension that failed is repeated after this part of the hold's life."""

logger = logging.getLogger("scrip_client")


def hold(
    feature: str | None,
    account_id: str,
    *,
    expires_in: int = calls.HOLD_SECONDS,
    idempotency_key: str | None = None,
    fail_open: bool = False,
    **use: Unpack[Use],
) -> HoldSpec:
    """Set credits aside for a block: charge what the block uses, and give the rest back.

    If the credits cannot be held, the block does not run, and the errors of `open_hold` are
    raised. With `fail_open` the block runs even if Scrip is unavailable. A block that does not
    report its use is charged for all that was held; one that raises, for nothing. The hold is
    extended while the block runs. Use a key of your own for a job that can be delivered twice: it
    is charged once. Without a `feature` (None), pass an `amount`.

    Only what the app itself charged for the block counts as paid. If someone else ended the hold,
    the end of the block charges what is missing, or raises NotPaidError where that could charge
    twice.
    """
    return HoldSpec(
        account_id=account_id,
        feature=feature,
        use=use,
        expires_in=expires_in,
        call=calls.open_hold(
            account_id,
            feature,
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
        self._captured = 0
        self._parts = count(1)
        self._part: tuple[int, str] | None = None
        self._is_entered = False
        self._is_over = False
        self._may_be_held = False

    @property
    def is_held(self) -> bool:
        """Whether credits are certainly held; with `fail_open` that may be unknown."""
        return self.held is not None

    def use(self, units: int) -> None:
        """Add to what was used: units of the feature, or credits if there is none.

        Threads may share a hold. Nothing is sent: the end of the block, or `capture`, charges it.

        Raises:
            ValueError: `units` is not a whole number from 0.
            RuntimeError: the block is over, so nothing would be charged.
        """
        if type(units) is not int or units < 0:
            raise ValueError(f"units must be a whole number from 0, not {units!r}")
        with self._use_lock:
            self._ensure_in_block()
            self.used = (self.used or 0) + units

    async def _begin(self) -> None:
        """Set the credits aside.

        Raises:
            RuntimeError: this hold has been entered before; nothing was sent.
            ScripError: the credits are not held, or a release has been attempted.
        """
        if self._is_entered:
            raise RuntimeError("a hold is for one block; make another for the next")
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
                    logger.warning("Going on without a hold on %s: %s", self.account_id, gone)
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
            with self._use_lock:
                units = (self.used or 0) - self._captured
            if units:
                self._part = units, f".capture-{next(self._parts)}"
                posting = await self._charge_part()
            return posting

    async def _charge_part(self) -> Posting | None:
        """Charge the part that was begun last."""
        assert self._part is not None
        units, suffix = self._part
        try:
            posting = await self._charge(units, suffix, final=False)
        except UnavailableError as exc:
            if not self._spec.fail_open:
                raise
            logger.warning("Nothing captured yet of %s: %s", self._label, exc)
            return None
        self._part = None
        self._captured += units
        return posting

    async def _end(self, exc: BaseException | None) -> None:
        """Charge what was used and give back the rest, or everything if the block raised.

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
            if exc is not None:
                await self._release(reason_of(exc))
            elif not self.is_charged or self.used is not None:
                await self._charge_rest()

    async def _charge_rest(self) -> None:
        """Charge what was used and has not been charged yet, and give back the rest."""
        body, suffix = {}, ".capture"
        try:
            if self._part is not None:
                body, suffix = self._capture_body(self._part[0], final=False), self._part[1]
                await self._charge_part()
            units = None if self.used is None else self.used - self._captured
            body, suffix = self._capture_body(units, final=True), ".capture"
            if units == 0:
                await self._release()
            else:
                await self._charge(units, suffix, final=True)
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

    async def _undo(self, exc: BaseException, state: CallState | None = None) -> None:
        """Release what may be held for a block that will not run.

        A hold with a key of the app's own stays: another delivery of the job may rely on it.
        """
        self._leave_block()
        if not self._spec.has_own_key:
            await self._release(reason_of(exc), state)

    async def _release(self, reason: str | None = None, state: CallState | None = None) -> None:
        """Release what may be held. If that fails, it is released when the hold expires."""
        if self.is_charged or not (self.is_held or self._may_be_held):
            return
        details = calls.Details() if reason is None else calls.Details(reason=reason)
        key, release = self._key(".release"), calls.release_hold
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

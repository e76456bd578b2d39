"""A hold: credits that are set aside before a block, of which it pays for what it has used."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Unpack

from scrip_client import calls
from scrip_client.caller import Patience
from scrip_client.charges import ATTEMPTS_MAX, ONE_TRY, note, reason_of
from scrip_client.errors import (
    AccountFrozenError,
    EntryNotFoundError,
    HoldEndedError,
    HoldExceededError,
    HoldNotFoundError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    ScripError,
    TooManyAttemptsError,
    UnavailableError,
)
from scrip_client.keys import key_after
from scrip_client.wires import finish

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Call, Use
    from scrip_client.models import Balance, Entry, Held, HoldPosting, Posting
    from scrip_client.wires import AsyncWires, Wires

EXTEND_AFTER = 0.5
"""A hold is extended after so much of its life."""

TRY_AGAIN_AFTER = 0.1
"""If that fails it is tried again after so much more."""

logger = logging.getLogger("scrip_client")


@dataclass(frozen=True, kw_only=True)
class HoldOrder:
    """What is to be held, and for how long at a time.

    `is_named`: the app named it, and may have held under that name before.
    """

    account_id: str
    feature: str | None
    use: Use
    expires_in: int
    call: Call[HoldPosting]
    is_named: bool
    fail_open: bool


def hold(
    feature: str | None,
    account_id: str,
    *,
    expires_in: int = calls.HOLD_SECONDS,
    idempotency_key: str | None = None,
    fail_open: bool = False,
    **use: Unpack[Use],
) -> HoldOrder:
    """Set credits aside for a block: what it says it has used is charged, the rest given back.

    The block does not run unless the credits are held: it raises what `open_hold` raises. With
    `fail_open` it runs all the same when Scrip is unavailable. A block that says nothing of its use
    is charged for all that was held; one that raises, for nothing. The hold is extended while the
    block runs. A key of your own names the job: delivered again it is charged once. A `feature` of
    None wants an `amount`.
    """
    return HoldOrder(
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
        is_named=idempotency_key is not None,
        fail_open=fail_open,
    )


class HoldSteps:
    """What holds are and do, blocking or not."""

    def __init__(self, caller: Caller, order: HoldOrder, wires: Wires) -> None:
        """Know what is to be held; nothing is sent yet."""
        self.account_id = order.account_id
        self.used: int | None = None
        self.held: Held | None = None
        self.entry: Entry | None = None
        self.account: Balance | None = None
        self.is_charged = False
        self._caller = caller
        self._order = order
        self._call = order.call
        self._wires = wires
        self._bell = wires.bell()
        self._counting = threading.Lock()
        self._charging = wires.lock()
        self._captured = 0
        self._parts = count(1)
        self._part: tuple[int, str] | None = None
        self._is_entered = False
        self._is_over = False
        self._is_doubtful = False
        self._patience = caller.patience()

    @property
    def hold_id(self) -> str:
        """The hold's id: the idempotency key."""
        assert self._call.key is not None
        return self._call.key

    @property
    def is_held(self) -> bool:
        """Whether credits are held for sure: not when Scrip was unavailable (`fail_open`)."""
        return self.held is not None

    def use(self, units: int) -> None:
        """Say that so much more was used: units of the feature, or credits if there is none.

        Threads may share a hold. Nothing is sent; the block's end, or `capture`, charges it.

        Raises:
            ValueError: that is no whole number from 0.
            RuntimeError: the block is over, so nobody would charge for it.
        """
        with self._counting:
            self._check_block()
            self.used = (self.used or 0) + checked_units(units)

    async def _begin(self) -> None:
        """Set the credits aside.

        Raises:
            RuntimeError: this hold has been entered before; nothing was sent.
            ScripError: they are not held, or let go already.
        """
        if self._is_entered:
            raise RuntimeError("a hold is for one block; make another for another")
        self._is_entered = True
        try:
            posting = await self._opened()
        except BaseException as exc:
            self._is_doubtful = self._patience.may_have_taken_effect
            if not (self._order.fail_open and isinstance(exc, UnavailableError)):
                await self._let_go(exc, Patience(ONE_TRY))
                raise
            logger.warning("Going on without a hold on account %s: %s", self.account_id, exc)
        else:
            self.held, self.account = posting.hold, posting.account
            self._wires.aside(self._kept_open())

    async def _opened(self) -> HoldPosting:
        """Open the hold, go on with the one that is open under its name, or open the next.

        So a job that died or failed and is delivered again holds again, and one that was charged
        is not charged again.
        """
        name = self.hold_id
        for number in range(2, ATTEMPTS_MAX + 2):
            self._patience = self._caller.patience()
            posting = await self._caller.answer(self._call, self._patience)
            if not (self._order.is_named and posting.replayed):
                return posting
            try:
                await self._caller.answer(self._extension())
            except HoldEndedError as ended:
                self.is_charged = await self._is_paid(ended)
            else:
                return posting
            if self.is_charged:
                return posting
            self._call = replace(self._call, key=key_after(name, f".{number}"))
        raise TooManyAttemptsError(f"{name} was held and let go {ATTEMPTS_MAX} times")

    async def _is_paid(self, ended: HoldEndedError) -> bool:
        """Whether what the hold was for has been charged: by its end, or after that."""
        for entry_id in (ended.ended_by, self._key(".capture.late")):
            if entry_id is None:
                continue
            with suppress(EntryNotFoundError):
                found = await self._caller.answer(calls.entry(self.account_id, entry_id))
                if found.type == "usage" and found.refunded < (found.cost or 0):
                    return True
        return False

    async def _kept_open(self) -> None:
        """Extend the hold until the block is over."""
        life = float(self._order.expires_in)
        pause = life * EXTEND_AFTER
        while not (self._is_over or self.is_charged):
            await self._bell.wait(pause)
            if self._is_over:
                return
            pause = life * EXTEND_AFTER
            try:
                await self._caller.answer(self._extension())
            except (HoldEndedError, HoldNotFoundError) as gone:
                if not self._is_over:
                    logger.warning("Going on without a hold on %s: %s", self.account_id, gone)
                return
            except (ScripError, RuntimeError) as exc:
                logger.warning("Could not extend %s, and will try again: %s", self._name, exc)
                pause = life * TRY_AGAIN_AFTER

    async def _part_paid(self) -> Posting | None:
        """Charge for what has been used and not been charged yet; None if that is nothing.

        Asked again after it failed it has the same key, so it counts once.
        """
        async with self._charging:
            self._check_block()
            if self.is_charged:
                return None
            posting = None
            if self._part is not None:
                posting = await self._last_part()
            with self._counting:
                units = (self.used or 0) - self._captured
            if units:
                self._part = units, f".capture-{next(self._parts)}"
                posting = await self._last_part()
            return posting

    async def _last_part(self) -> Posting | None:
        assert self._part is not None
        units, suffix = self._part
        try:
            posting = await self._paid(units, suffix, final=False)
        except UnavailableError as exc:
            if not self._order.fail_open:
                raise
            logger.warning("Nothing captured yet of %s: %s", self._name, exc)
            return None
        self._part = None
        self._captured += units
        return posting

    async def _end(self, exc: BaseException | None) -> None:
        """Charge for what was used and give back the rest, or all of it if the block raised.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken;
                the hold itself was captured.
            UnavailableError: nobody knows whether it was.
        """
        self._stop_keeping()
        # A capture that another thread or a cancelled task has begun comes first.
        async with self._charging:
            if self.is_charged:
                return
            if exc is not None:
                await self._release(reason_of(exc))
                return
            await self._charge_rest()

    async def _charge_rest(self) -> None:
        """Charge for what was used and not been charged yet, and give back the rest."""
        asked = {}
        try:
            if self._part is not None:
                asked = self._asked(self._part[0], final=False)
                await self._last_part()
            units = None if self.used is None else self.used - self._captured
            asked = self._asked(units, final=True)
            if units == 0:
                await self._release()
            else:
                await self._paid(units, ".capture", final=True)
        except UnavailableError as away:
            told = (
                f"nobody knows whether {self._name} was captured: "
                f"capture it with {asked} and the idempotency key {away.idempotency_key}"
            )
            if not self._order.fail_open:
                logger.exception("No answer; %s", told)
                note(away, told)
                raise
            logger.warning("No answer; %s", told)

    async def _paid(self, units: int | None, suffix: str, *, final: bool) -> Posting | None:
        """Charge for some units, or for all that is held; None if another delivery was charged."""
        key, asked = self._key(suffix), self._asked(units, final=final)
        try:
            return await self._posted(
                calls.capture_hold(self.account_id, self.hold_id, idempotency_key=key, **asked),
            )
        except HoldNotFoundError:
            # It was never opened: `fail_open`.
            return await self._charged_late(units, suffix)
        except HoldEndedError as ended:
            if await self._is_paid(ended):
                return None
            return await self._charged_late(units, suffix)
        except IdempotencyKeyReusedError:
            if final and self._order.is_named:
                return None
            raise
        except (AccountFrozenError, HoldExceededError, InsufficientCreditsError) as refusal:
            return await self._paid_in_part(refusal, suffix)

    async def _paid_in_part(
        self,
        refusal: AccountFrozenError | HoldExceededError | InsufficientCreditsError,
        suffix: str,
    ) -> Posting:
        """Charge for all that is held, as what is above it cannot be had together with it."""
        told = _told(self._order.use)
        key = self._key(f"{suffix}.held")
        # Earlier parts may have left nothing of it.
        with suppress(HoldExceededError):
            await self._posted(
                calls.capture_hold(self.account_id, self.hold_id, idempotency_key=key, **told),
            )
        if isinstance(refusal, HoldExceededError):
            # The plan gave the hold for nothing, and is not unlimited any more.
            above = refusal.amount - refusal.left
            key = self._key(f"{suffix}.above")
            return await self._posted(
                calls.consume(self.account_id, amount=above, idempotency_key=key, **told),
            )
        note(refusal, f"{self._name} was captured whole; what was used above it is not paid")
        raise refusal

    async def _charged_late(self, units: int | None, suffix: str) -> Posting:
        """Charge for what was used though there is no hold any more, once."""
        use = {**self._order.use, **self._measured(units)}
        key = self._key(f"{suffix}.late")
        return await self._posted(
            calls.consume(self.account_id, self._order.feature, idempotency_key=key, **use),
        )

    async def _let_go(self, exc: BaseException, patience: Patience | None = None) -> None:
        """Release what may be held for a block that will not run.

        What has a name stays: another delivery of the job may be running on it.
        """
        self._stop_keeping()
        if not self._order.is_named:
            await self._release(reason_of(exc), patience)

    async def _release(self, reason: str | None = None, patience: Patience | None = None) -> None:
        """Release what may be held. If that fails it happens by itself when the hold expires."""
        if not self.is_held and not self._is_doubtful:
            return
        told = calls.Told() if reason is None else calls.Told(reason=reason)
        key = self._key(".release")
        release = calls.release_hold(self.account_id, self.hold_id, idempotency_key=key, **told)
        try:
            self.account = (await self._caller.answer(release, patience)).account
        except (HoldEndedError, HoldNotFoundError, IdempotencyKeyReusedError):
            # It is over, perhaps by the same key.
            return
        except Exception as failure:  # noqa: BLE001 - what the block raised stays the news
            logger.warning("Could not release %s, which will expire: %s", self._name, failure)

    async def _posted(self, call: Call[Posting]) -> Posting:
        posting = await self._caller.answer(call)
        self.entry, self.account = posting.entry, posting.account
        return posting

    def _check_block(self) -> None:
        if not self._is_entered or self._is_over:
            raise RuntimeError("a hold counts and captures in its block only")

    def _stop_keeping(self) -> None:
        with self._counting:
            self._is_over = True
        self._bell.ring()

    def _extension(self) -> Call[Posting]:
        seconds = self._order.expires_in
        return calls.extend_hold(self.account_id, self.hold_id, expires_in=seconds)

    def _measured(self, units: int | None) -> dict[str, Any]:
        """Return units as the API names them; nothing for all that is held."""
        if units is None:
            return {}
        return {"amount" if self._order.feature is None else "quantity": units}

    def _asked(self, units: int | None, *, final: bool) -> dict[str, Any]:
        """Return what a capture is asked for."""
        how = {"final": final, "excess": "available"}
        return {**self._measured(units), **how, **_told(self._order.use)}

    def _key(self, suffix: str) -> str:
        return key_after(self.hold_id, suffix)

    @property
    def _name(self) -> str:
        return f"hold {self.hold_id} of account {self.account_id}"


class Hold(HoldSteps):
    """A hold for the length of a `with` block.

    `held` is what was set aside, `used` what `use` has said so far, `entry` what was charged last
    and `account` what is left then; None as long as there is none. `is_charged`: an earlier
    delivery of the job was charged, so this one is not.
    """

    def __enter__(self) -> Self:
        """Set the credits aside."""
        finish(self._begin())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Charge for what was used, or give all of it back if the block raised."""
        finish(self._end(exc))

    def capture(self) -> Posting | None:
        """Charge now for what has been used so far; that stays, whatever the block raises later.

        None if there is nothing to charge for.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken;
                the hold itself was captured.
            ScripError: it failed; asked again it counts once.
            RuntimeError: the block is over.
        """
        return finish(self._part_paid())


class AsyncHold(HoldSteps):
    """A hold for the length of an `async with` block.

    `held` is what was set aside, `used` what `use` has said so far, `entry` what was charged last
    and `account` what is left then; None as long as there is none. `is_charged`: an earlier
    delivery of the job was charged, so this one is not.
    """

    _wires: AsyncWires

    async def __aenter__(self) -> Self:
        """Set the credits aside; if that is cancelled, release them as soon as they are."""
        await self._wires.begin(self._begin(), self._let_go)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Charge for what was used, or give all of it back if the block raised.

        It goes on when the task is cancelled meanwhile; the client waits for it when it is closed.
        """
        await asyncio.shield(self._wires.start(self._end(exc)))

    async def capture(self) -> Posting | None:
        """Charge now for what has been used so far; that stays, whatever the block raises later.

        None if there is nothing to charge for. It goes on when the task is cancelled meanwhile.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken;
                the hold itself was captured.
            ScripError: it failed; asked again it counts once.
            RuntimeError: the block is over.
        """
        return await asyncio.shield(self._wires.start(self._part_paid()))


def checked_units(units: int) -> int:
    """Return units that were used.

    Raises:
        ValueError: that is no whole number from 0.
    """
    if type(units) is not int or units < 0:
        raise ValueError(f"what is used is a whole number from 0, unlike {units!r}")
    return units


def _told(use: Use) -> dict[str, Any]:
    """Return what the ledger keeps of a use beside how much it is."""
    return {name: told for name, told in use.items() if name not in {"quantity", "amount"}}

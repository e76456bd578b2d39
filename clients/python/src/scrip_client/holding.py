"""A hold: credits that are set aside before a block, of which it pays for what it has used."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar, Unpack

from scrip_client import calls
from scrip_client.caller import Patience
from scrip_client.charges import ATTEMPTS_MAX, ONE_TRY, note, reason_of
from scrip_client.errors import (
    AccountFrozenError,
    EntryNotFoundError,
    HoldEndedError,
    HoldExceededError,
    HoldNotFoundError,
    HoldNotYoursError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    NotPaidError,
    ScripError,
    TooManyAttemptsError,
    UnavailableError,
)
from scrip_client.keys import USER_PREFIX, is_of_app, key_after
from scrip_client.wires import finish

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Call, Use
    from scrip_client.models import Balance, Entry, Held, HoldPosting, HoldState, OneEntry, Posting
    from scrip_client.wires import AsyncWires, Wires

EXTEND_AFTER = 0.5
"""A hold is extended after so much of its life."""

TRY_AGAIN_AFTER = 0.1
"""If that fails it is tried again after so much more."""

Answer = TypeVar("Answer")

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

    Only what the app itself has charged for the block counts as paid. If somebody else has ended
    the hold, the block's end charges what is missing, or raises NotPaidError where that could
    charge twice.
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
        self._hold_id: str | None = None
        self._cost: int | None = None
        self._wires = wires
        self._bell = wires.bell()
        self._counting = threading.Lock()
        self._charging = wires.lock()
        self._captured = 0
        self._parts = count(1)
        self._part: tuple[int, str] | None = None
        self._counted = Counter[str]()
        self._is_entered = False
        self._is_over = False
        self._is_doubtful = False
        self._patience = caller.patience()

    @property
    def hold_id(self) -> str:
        """The hold's id: the idempotency key, as far as is known."""
        return self._hold_id or self._name

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
        name = self._name
        for number in range(2, ATTEMPTS_MAX + 2):
            self._patience = self._caller.patience()
            posting = await self._caller.answer(self._call, self._patience)
            self._hold_id, self._cost = posting.hold.hold_id, posting.entry.cost
            if not (self._order.is_named and posting.replayed):
                return posting
            try:
                await self._extended()
            except HoldEndedError as ended:
                self.is_charged = await self._is_paid(ended)
            else:
                return posting
            if self.is_charged:
                return posting
            self._call = replace(self._call, key=key_after(name, f".{number}"))
            self._hold_id = self._cost = None
        raise TooManyAttemptsError(f"{name} was held and let go {ATTEMPTS_MAX} times")

    async def _is_paid(self, ended: HoldEndedError) -> bool:
        """Whether an earlier delivery has charged what the hold was for: by its end, or after that.

        Raises:
            NotPaidError: somebody else has charged another amount to it.
        """
        end = None
        if ended.ended_by is not None:
            end = await self._caller.answer(calls.entry(self.account_id, ended.ended_by))
            if not self._counts(end):
                end = None
            elif end.cost == self._cost or end.entry_id in {
                self._entry_id(".capture"),
                self._entry_id(".capture.held"),
            }:
                return True
        with suppress(EntryNotFoundError):
            late = calls.entry(self.account_id, self._entry_id(".capture.late"))
            if self._counts(await self._caller.answer(late)):
                return True
        if end is not None:
            raise self._not_paid(self._cost or 0, end)
        return False

    def _counts(self, found: OneEntry) -> bool:
        """Whether an entry says that the app charged for a use, and did not give that back."""
        is_charge = found.type == "usage" and is_of_app(found, self.hold_id)
        return is_charge and found.refunded < (found.cost or 0)

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
                await self._extended()
            except (HoldEndedError, HoldNotFoundError) as gone:
                if not self._is_over:
                    logger.warning("Going on without a hold on %s: %s", self.account_id, gone)
                return
            except (ScripError, RuntimeError) as exc:
                logger.warning("Could not extend %s, and will try again: %s", self._label, exc)
                pause = life * TRY_AGAIN_AFTER

    async def _part_paid(self) -> Posting | None:
        """Charge for what has been used and not been charged yet; None if that is nothing.

        Asked again after it failed it has the same key, so it counts once.
        """
        async with self._charging:
            self._check_block()
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
            logger.warning("Nothing captured yet of %s: %s", self._label, exc)
            return None
        self._part = None
        self._captured += units
        return posting

    async def _end(self, exc: BaseException | None) -> None:
        """Charge for what was used and give back the rest, or all of it if the block raised.

        What an earlier delivery was charged for has been paid; a block that says what it used all
        the same is checked against that.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken;
                the hold itself was captured.
            NotPaidError: something else than that was charged.
            UnavailableError: nobody knows whether it was.
        """
        self._stop_keeping()
        # A capture that another thread or a cancelled task has begun comes first.
        async with self._charging:
            if exc is not None:
                await self._release(reason_of(exc))
            elif not self.is_charged or self.used is not None:
                await self._charge_rest()

    async def _charge_rest(self) -> None:
        """Charge for what was used and not been charged yet, and give back the rest."""
        asked, suffix = {}, ".capture"
        try:
            if self._part is not None:
                asked, suffix = self._asked(self._part[0], final=False), self._part[1]
                await self._last_part()
            units = None if self.used is None else self.used - self._captured
            asked, suffix = self._asked(units, final=True), ".capture"
            if units == 0:
                await self._release()
            else:
                await self._paid(units, suffix, final=True)
        except UnavailableError as away:
            # What only reads has no key.
            key = away.idempotency_key or self._key(suffix)
            told = (
                f"nobody knows whether {self._label} was captured: "
                f"capture it with {asked} and the idempotency key {key}"
            )
            if not self._order.fail_open:
                logger.exception("No answer; %s", told)
                note(away, told)
                raise
            logger.warning("No answer; %s", told)

    async def _paid(self, units: int | None, suffix: str, *, final: bool) -> Posting | None:
        """Charge for some units, or for all that is held; None if that has been charged already.

        Raises:
            NotPaidError: something else was charged in its place.
        """
        try:
            return await self._took(self._key(suffix), **self._asked(units, final=final))
        except HoldNotFoundError:
            # It was never opened: `fail_open`.
            return await self._charged_late(units, suffix)
        except HoldEndedError as ended:
            return await self._charged_missing(ended.ended_by, units, suffix, final=final)
        except IdempotencyKeyReusedError as reused:
            found = await self._caller.answer(calls.entry(self.account_id, reused.entry_id))
            self._count(found, await self._price(units), self.hold_id)
            return None
        except (AccountFrozenError, InsufficientCreditsError) as refusal:
            # Earlier parts may have left nothing of it.
            with suppress(HoldExceededError):
                await self._took(self._key(f"{suffix}.held"), **self._told)
            note(refusal, f"{self._label} was captured whole; what was used above it is not paid")
            raise

    async def _took(self, key: str, **asked: Any) -> Posting:
        posting = await self._of_hold(calls.capture_hold, idempotency_key=key, **asked)
        return await self._kept(posting)

    async def _charged_missing(
        self, ended_by: str | None, units: int | None, suffix: str, *, final: bool
    ) -> Posting | None:
        """Charge for what the hold's end has not paid; None if it has paid all of it.

        A release, an expiry and whatever a user's token has captured pay for nothing.

        Raises:
            NotPaidError: it has paid more than was asked for, or a part of it was given back.
        """
        if ended_by is None:
            return await self._charged_late(units, suffix)
        found = await self._caller.answer(calls.entry(self.account_id, ended_by))
        if not self._counts(found):
            return await self._charged_late(units, suffix)
        price, left = await self._price(units), self._left_of(found)
        if found.refunded or (final and left > price):
            raise self._not_paid(price, found)
        paid, posting = min(price, left), None
        if paid < price:
            posting = await self._charged_late(units, suffix, paid=paid)
        self._counted[ended_by] += paid
        return posting

    async def _charged_late(
        self, units: int | None, suffix: str, *, paid: int = 0
    ) -> Posting | None:
        """Charge for what was used, less what is paid of it, though there is no hold; once.

        None if another delivery has.

        Raises:
            NotPaidError: the key was used for something else.
        """
        feature, use = self._order.feature, {**self._told, **self._measured(units)}
        if paid:
            feature, use = None, {**self._told, "amount": await self._price(units) - paid}
        key = self._key(f"{suffix}.late")
        call = calls.consume(self.account_id, feature, idempotency_key=key, **use)
        try:
            return await self._kept(await self._caller.answer(call))
        except IdempotencyKeyReusedError as reused:
            found = await self._caller.answer(calls.entry(self.account_id, reused.entry_id))
            self._count(found, await self._price(units) - paid, None)
            return None

    async def _kept(self, posting: Posting) -> Posting:
        """Keep what was charged, also if that was before: then it counts if it was by the app.

        Raises:
            NotPaidError: it was not, or was given back, or counts already.
        """
        if posting.replayed:
            found = await self._caller.answer(calls.entry(self.account_id, posting.entry.entry_id))
            self._count(found, found.cost or 0, posting.entry.hold_id)
        self.entry, self.account = posting.entry, posting.account
        return posting

    def _count(self, found: OneEntry, price: int, hold_id: str | None) -> None:
        """Count what was charged before as paid, if it is as much as is asked for now.

        Raises:
            NotPaidError: it is not.
        """
        if found.hold_id != hold_id or found.refunded or self._left_of(found) != price:
            raise self._not_paid(price, found)
        self._counted[found.entry_id] += price

    def _left_of(self, found: OneEntry) -> int:
        """Return what an entry has paid of what the block asks for, and was not counted yet."""
        if not self._counts(found):
            return 0
        return (found.cost or 0) - found.refunded - self._counted[found.entry_id]

    def _not_paid(self, price: int, found: OneEntry) -> NotPaidError:
        paid = self._left_of(found)
        return NotPaidError(self.account_id, price, paid, found.entry_id, self.hold_id)

    async def _price(self, units: int | None) -> int:
        """Return what units cost now, or what all that is held did when it was held."""
        if units is None and self._cost is not None:
            return self._cost
        measured = self._measured(units)
        if self._order.feature is None:
            price: int = measured["amount"]
            return price
        asked = calls.quote(self.account_id, self._order.feature, **measured)
        return (await self._caller.answer(asked)).cost

    async def _let_go(self, exc: BaseException, patience: Patience | None = None) -> None:
        """Release what may be held for a block that will not run.

        What has a name stays: another delivery of the job may be running on it.
        """
        self._stop_keeping()
        if not self._order.is_named:
            await self._release(reason_of(exc), patience)

    async def _release(self, reason: str | None = None, patience: Patience | None = None) -> None:
        """Release what may be held. If that fails it happens by itself when the hold expires."""
        if self.is_charged or not (self.is_held or self._is_doubtful):
            return
        told = calls.Told() if reason is None else calls.Told(reason=reason)
        key, release = self._key(".release"), calls.release_hold
        try:
            released = await self._of_hold(release, patience, idempotency_key=key, **told)
            self.account = released.account
        except (HoldEndedError, HoldNotFoundError, IdempotencyKeyReusedError):
            # It is over, perhaps by the same key.
            return
        except Exception as failure:  # noqa: BLE001 - what the block raised stays the news
            logger.warning("Could not release %s, which will expire: %s", self._label, failure)

    async def _of_hold(
        self,
        make: Callable[..., Call[Answer]],
        patience: Patience | None = None,
        **asked: Any,
    ) -> Answer:
        """Ask something of the hold, whose id is not certain if its opening was not answered."""
        try:
            return await self._caller.answer(make(self.account_id, self.hold_id, **asked), patience)
        except HoldNotYoursError:
            if self._hold_id is not None:
                raise
            # The token is a user's, so the hold is named as theirs are.
            self._hold_id = f"{USER_PREFIX}{self._name}"
            return await self._caller.answer(make(self.account_id, self.hold_id, **asked), patience)

    async def _extended(self) -> HoldState:
        return await self._of_hold(calls.extend_hold, expires_in=self._order.expires_in)

    def _check_block(self) -> None:
        if not self._is_entered or self._is_over:
            raise RuntimeError("a hold counts and captures in its block only")

    def _stop_keeping(self) -> None:
        with self._counting:
            self._is_over = True
        self._bell.ring()

    def _measured(self, units: int | None) -> dict[str, Any]:
        """Return units as the API names them, or all that was to be held."""
        if self._order.feature is None:
            return {"amount": self._order.use.get("amount") if units is None else units}
        return {"quantity": self._order.use.get("quantity", 1) if units is None else units}

    def _asked(self, units: int | None, *, final: bool) -> dict[str, Any]:
        """Return what a capture is asked for.

        All that is held is asked for as an amount, so that it is paid also if somebody else has
        captured a part of it.
        """
        measured = self._measured(units)
        if units is None and self._cost is not None:
            measured = {"amount": self._cost}
        return {**measured, "final": final, "excess": "available", **self._told}

    @property
    def _told(self) -> dict[str, Any]:
        """What the ledger keeps of a use beside how much it is."""
        use = self._order.use
        return {name: told for name, told in use.items() if name not in {"quantity", "amount"}}

    def _key(self, suffix: str) -> str:
        return key_after(self._name, suffix)

    def _entry_id(self, suffix: str) -> str:
        """Return the id of the entry that a key of this hold names."""
        prefix = USER_PREFIX if self.hold_id.startswith(USER_PREFIX) else ""
        return prefix + self._key(suffix)

    @property
    def _name(self) -> str:
        """The idempotency key: what the hold is called, without a user's prefix."""
        assert self._call.key is not None
        return self._call.key

    @property
    def _label(self) -> str:
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

        None if there is nothing to charge for, or it has been charged already.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken;
                the hold itself was captured.
            NotPaidError: something else was charged in its place.
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

        None if there is nothing to charge for, or it has been charged already. It goes on when the
        task is cancelled meanwhile.

        Raises:
            InsufficientCreditsError, AccountFrozenError: what is above the hold cannot be taken;
                the hold itself was captured.
            NotPaidError: something else was charged in its place.
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

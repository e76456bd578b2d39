"""A charge: credits that are taken before a block, and given back when the block raises."""

from __future__ import annotations

import asyncio
import logging
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Unpack

from scrip_client import calls
from scrip_client.caller import Patience
from scrip_client.errors import (
    AlreadyRefundedError,
    EntryNotFoundError,
    IdempotencyKeyReusedError,
    NotPaidError,
    TooManyAttemptsError,
    UnavailableError,
)
from scrip_client.keys import is_of_app, key_after
from scrip_client.retries import Retries
from scrip_client.wires import finish

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Call, Use
    from scrip_client.models import Balance, Entry, Posting
    from scrip_client.wires import AsyncWires

ATTEMPTS_MAX = 20
"""How often one name can be charged and refunded in turn."""

REASON_LENGTH_MAX = 256

ONE_TRY = Retries(tries_max=1, deadline_seconds=5.0)
"""What is worth a try where the caller has waited long enough already."""

logger = logging.getLogger("scrip_client")


@dataclass(frozen=True, kw_only=True)
class Order:
    """What is to be charged.

    `is_named`: the app named it, and may have charged under that name before.
    """

    account_id: str
    call: Call[Posting]
    is_named: bool
    fail_open: bool


def charge(
    feature: str | None,
    account_id: str,
    *,
    idempotency_key: str | None = None,
    fail_open: bool = False,
    **use: Unpack[Use],
) -> Order:
    """Charge for a block: taken before it, given back if it raises.

    The block does not run unless the credits were taken: it raises what `consume` raises. With
    `fail_open` it runs all the same when Scrip is unavailable. A key of your own names the job:
    delivered again it is charged once, and again only if it was given back. If a user's token has
    charged under that name, it raises NotPaidError. A `feature` of None wants an `amount`.
    """
    return Order(
        account_id=account_id,
        call=calls.consume(account_id, feature, idempotency_key=idempotency_key, **use),
        is_named=idempotency_key is not None,
        fail_open=fail_open,
    )


class ChargeSteps:
    """What charges are and do, blocking or not."""

    def __init__(self, caller: Caller, order: Order) -> None:
        """Know what is to be charged; nothing is taken yet."""
        self.account_id = order.account_id
        self.entry: Entry | None = None
        self.account: Balance | None = None
        self._caller = caller
        self._order = order
        self._call = order.call
        self._is_entered = False
        self._is_doubtful = False
        self._patience = caller.patience()
        self._parts = count(1)
        self._unanswered: dict[tuple[int | None, str], Call[Posting]] = {}

    @property
    def is_charged(self) -> bool:
        """Whether the credits were taken for sure: not when Scrip was unavailable (`fail_open`)."""
        return self.entry is not None

    @property
    def entry_id(self) -> str:
        """The id of the entry: the idempotency key, as far as is known."""
        return self.entry.entry_id if self.entry else self._key

    @property
    def _key(self) -> str:
        assert self._call.key is not None
        return self._call.key

    async def _begin(self) -> None:
        """Take the credits.

        Raises:
            RuntimeError: this charge has been entered before; nothing was sent.
            ScripError: they were not taken, or are asked back already.
        """
        if self._is_entered:
            raise RuntimeError("a charge is for one block; make another for another")
        self._is_entered = True
        try:
            self._keep(await self._taken())
        except BaseException as exc:
            self._is_doubtful = self._patience.may_have_taken_effect
            if not (self._order.fail_open and isinstance(exc, UnavailableError)):
                await self._ask_back(exc, Patience(ONE_TRY))
                raise
            # Another delivery may have charged under the same name.
            self._is_doubtful |= self._order.is_named
            logger.warning("Going on uncharged on account %s: %s", self.account_id, exc)

    async def _taken(self) -> Posting:
        """Take the credits under the charge's key, or the next one if those were given back.

        So a job that failed, was refunded and is delivered again is charged again.

        Raises:
            NotPaidError: a user's token has taken them, under a key that is the app's.
        """
        name = self._key
        for number in range(2, ATTEMPTS_MAX + 2):
            self._patience = self._caller.patience()
            posting = await self._caller.answer(self._call, self._patience)
            if not (self._order.is_named and posting.replayed):
                return posting
            entry_id = posting.entry.entry_id
            found = await self._caller.answer(calls.entry(self.account_id, entry_id))
            if found.cost is None or found.refunded < found.cost:
                if not is_of_app(found, entry_id):
                    raise NotPaidError(self.account_id, found.cost or 0, 0, entry_id)
                return posting
            self._call = replace(self._call, key=key_after(name, f".{number}"))
        raise TooManyAttemptsError(f"{name} was charged and refunded {ATTEMPTS_MAX} times")

    async def _part(self, amount: int | None, reason: str) -> Posting | None:
        """Refund a part; None if there was nothing to refund it from.

        Asked again after it failed it has the same key, so it counts once.
        """
        if not self.is_charged and not self._is_doubtful:
            return None
        refund = self._unanswered.pop((amount, reason), None)
        if refund is None:
            refund = self._refund(reason, f".refund-{next(self._parts)}", amount)
        try:
            posting = await self._caller.answer(refund)
        except BaseException as exc:
            self._unanswered[amount, reason] = refund
            if self.is_charged or not isinstance(exc, EntryNotFoundError | UnavailableError):
                raise
            logger.warning(
                "Nothing refunded of entry %s of account %s, which may not be there, "
                "with the idempotency key %s: %s",
                self.entry_id,
                self.account_id,
                refund.key,
                exc,
            )
            return None
        self.account = posting.account
        return posting

    async def _ask_back(self, exc: BaseException, patience: Patience | None = None) -> None:
        """Give back what may have been taken for a block that will not run.

        What has a name stays: another delivery of the job may have run on it, or will.
        """
        if not self._order.is_named:
            await self._give_back(exc, patience)

    async def _give_back(self, exc: BaseException, patience: Patience | None = None) -> None:
        """Refund what has not been refunded yet, because of an exception; that one stays the news.

        If it fails, or the charge may still arrive, the exception gets a note and the log says what
        is to be refunded by hand.
        """
        if not self.is_charged and not self._is_doubtful:
            return
        refund = self._refund(reason_of(exc), ".refund")
        by_hand = (
            f"refund entry {self.entry_id} of account {self.account_id} "
            f"with the idempotency key {refund.key}"
        )
        try:
            await self._refunded(refund, patience)
        except EntryNotFoundError:
            told = f"nothing was taken yet; if the charge still arrives, {by_hand}"
            logger.warning("No answer to a charge; %s", told)
            note(exc, told)
        except BaseException as failure:
            told = f"credits may still be taken: {by_hand}"
            if isinstance(failure, IdempotencyKeyReusedError):
                told += ", which is taken: choose another"
            logger.exception("Could not refund; %s", told)
            note(exc, told)
            if not isinstance(failure, Exception):
                raise

    async def _refunded(self, refund: Call[Posting], patience: Patience | None) -> None:
        """Refund what has not been refunded yet.

        Raises:
            IdempotencyKeyReusedError: the key was used for something else than that.
        """
        try:
            self.account = (await self._caller.answer(refund, patience)).account
        except AlreadyRefundedError:
            return
        except IdempotencyKeyReusedError as reused:
            # Another delivery may have given it back, for another reason.
            asked = calls.entry(self.account_id, reused.entry_id)
            if (await self._caller.answer(asked, patience)).refunds != self.entry_id:
                raise

    def _refund(self, reason: str, suffix: str, amount: int | None = None) -> Call[Posting]:
        return calls.refund(
            self.account_id,
            self.entry_id,
            reason,
            amount,
            idempotency_key=key_after(self._key, suffix),
        )

    def _keep(self, posting: Posting) -> None:
        self.entry, self.account = posting.entry, posting.account


class Charge(ChargeSteps):
    """A charge for the length of a `with` block.

    `entry` is what was taken and `account` what is left; both are None when nothing is known to
    have been taken (`is_charged`).
    """

    def __enter__(self) -> Self:
        """Take the credits."""
        finish(self._begin())
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back what has not been given back yet, if the block raised."""
        if exc is not None:
            finish(self._give_back(exc))

    def refund(self, amount: int | None = None, *, reason: str) -> Posting | None:
        """Give back some credits, or all that are left; None if none were taken.

        Raises:
            RefundTooLargeError: so many are not left.
            ScripError: it failed.
        """
        return finish(self._part(amount, reason))


class AsyncCharge(ChargeSteps):
    """A charge for the length of an `async with` block.

    `entry` is what was taken and `account` what is left; both are None when nothing is known to
    have been taken (`is_charged`).
    """

    def __init__(self, caller: Caller, order: Order, wires: AsyncWires) -> None:
        """Know what is to be charged, and what outlives a task that is cancelled."""
        super().__init__(caller, order)
        self._wires = wires

    async def __aenter__(self) -> Self:
        """Take the credits; if that is cancelled, give them back as soon as they are taken."""
        await self._wires.begin(self._begin(), self._ask_back)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give back what has not been given back yet, if the block raised.

        It goes on when the task is cancelled meanwhile; the client waits for it when it is closed.
        """
        if exc is not None:
            await asyncio.shield(self._wires.start(self._give_back(exc)))

    async def refund(self, amount: int | None = None, *, reason: str) -> Posting | None:
        """Give back some credits, or all that are left; None if none were taken.

        Raises:
            RefundTooLargeError: so many are not left.
            ScripError: it failed.
        """
        return await self._part(amount, reason)


def note(exc: BaseException, told: str) -> None:
    """Tell more on an exception. A frozen one takes no notes; the log has it, too."""
    with suppress(Exception):
        exc.add_note(f"scrip: {told}")


def reason_of(exc: BaseException) -> str:
    """Return an exception's type and message as a reason: one line, printable, not too long."""
    lines = traceback.format_exception_only(exc)
    # A SyntaxError's own line follows after those that show where it is, which are indented.
    first = next((line for line in lines if not line.startswith(" ")), lines[0])
    printable = "".join(letter if letter.isprintable() else " " for letter in first)
    return " ".join(printable.split())[:REASON_LENGTH_MAX]

"""A charge: credits are taken before a block, and given back if the block raises."""

from __future__ import annotations

import asyncio
import inspect
import logging
import sys
import traceback
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import count
from typing import TYPE_CHECKING, Any, Unpack

from scrip_client import calls
from scrip_client.caller import CallState
from scrip_client.errors import (
    AlreadyRefundedError,
    EntryNotFoundError,
    IdempotencyKeyReusedError,
    NotPaidError,
    TooManyAttemptsError,
    UnavailableError,
)
from scrip_client.keys import derived_key, is_by_app
from scrip_client.retries import Retries
from scrip_client.transport import finish

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Call, Use
    from scrip_client.errors import ScripError
    from scrip_client.models import Balance, Entry, Posting
    from scrip_client.transport import AsyncTransport

ATTEMPTS_MAX = 20
"""How often one key can be charged and refunded in turn."""

REASON_LENGTH_MAX = 256
"""As much of an exception's message as every version of Scrip takes."""

RETURNED_AN_ERROR = "the work returned an error"
"""The reason of a refund that `refund_if` asked for."""

ONE_TRY = Retries(tries_max=1, deadline_seconds=5.0)
"""For undoing a call that has already used up its own time."""

logger = logging.getLogger("scrip_client")


@dataclass(frozen=True, kw_only=True)
class ChargeSpec:
    """What to charge. With a key of the app's own, another delivery may have charged already."""

    account_id: str
    call: Call[Posting]
    has_own_key: bool
    fail_open: bool
    refund_if: Callable[[], object] | None


def charge(
    feature: str | None,
    account_id: str,
    *,
    idempotency_key: str | None = None,
    fail_open: bool = False,
    refund_if: Callable[[], object] | None = None,
    **use: Unpack[Use],
) -> ChargeSpec:
    """Charge for a block: take the credits before it, and give them back if it raises.

    If the credits cannot be taken, the block does not run, and the errors of `consume` are raised.
    A generator that is left (closed, cancelled, or by a client that disconnected) stays charged,
    unlike one that fails. `refund_if` is asked at the end of a block that did not raise: if it
    returns true, the credits are given back, too. With `fail_open` the block runs even if Scrip is
    unavailable. Use a key of your own for a job that can be delivered twice: it is charged once,
    and again only after a refund. NotPaidError is raised if a user's token has charged under that
    key. Without a `feature` (None), pass an `amount`.
    """
    return ChargeSpec(
        account_id=account_id,
        call=calls.consume(account_id, feature, idempotency_key=idempotency_key, **use),
        has_own_key=idempotency_key is not None,
        fail_open=fail_open,
        refund_if=refund_if,
    )


class BaseCharge:
    """What `Charge` and `AsyncCharge` have in common."""

    def __init__(self, caller: Caller, spec: ChargeSpec) -> None:
        """Take what to charge; nothing is sent yet."""
        self.account_id = spec.account_id
        self.entry: Entry | None = None
        self.account: Balance | None = None
        self._caller = caller
        self._transport = caller.transport
        self._spec = spec
        self._call = spec.call
        self._state = caller.new_state()
        self._is_entered = False
        self._is_in_generator = False
        self._may_be_charged = False
        self._parts = count(1)
        self._failed_refunds: dict[tuple[int | None, str], Call[Posting]] = {}

    @property
    def is_charged(self) -> bool:
        """Whether the credits were certainly taken; with `fail_open` that may be unknown."""
        return self.entry is not None

    @property
    def entry_id(self) -> str:
        """The entry's id, or the idempotency key while the id is unknown."""
        return self.entry.entry_id if self.entry else self._key

    @property
    def _key(self) -> str:
        assert self._call.key is not None
        return self._call.key

    async def _begin(self) -> None:
        """Take the credits.

        Raises:
            RuntimeError: this charge has been entered before; nothing was sent.
            ScripError: the credits were not taken, or a refund has been attempted.
        """
        if self._is_entered:
            raise RuntimeError("a charge is for one block; create another for the next")
        self._is_entered = True
        try:
            posting = await self._consume()
        except BaseException as exc:
            self._may_be_charged = self._state.may_have_taken_effect
            if not (self._spec.fail_open and isinstance(exc, UnavailableError)):
                await self._undo(exc, CallState(ONE_TRY))
                raise
            # Another delivery may have charged under the same key.
            self._may_be_charged |= self._spec.has_own_key
            logger.warning("Running a block uncharged on account %s: %s", self.account_id, exc)
        else:
            self.entry, self.account = posting.entry, posting.account

    async def _consume(self) -> Posting:
        """Charge under the key, or under the next one if that charge was refunded.

        So a job that failed, was refunded and is delivered again is charged again.

        Raises:
            NotPaidError: a user's token has charged under the app's key.
            TooManyAttemptsError: every key has been charged and refunded.
        """
        first_key = self._key
        for number in range(2, ATTEMPTS_MAX + 2):
            self._state = self._caller.new_state()
            posting = await self._caller.send(self._call, self._state)
            if not (self._spec.has_own_key and posting.replayed):
                return posting
            entry_id = posting.entry.entry_id
            found = await self._caller.send(calls.entry(self.account_id, entry_id))
            if found.cost is None or found.refunded < found.cost:
                if not is_by_app(found, entry_id):
                    raise NotPaidError(self.account_id, found.cost or 0, 0, entry_id)
                return posting
            self._call = replace(self._call, key=derived_key(first_key, f".{number}"))
        raise TooManyAttemptsError(f"{first_key} was charged and refunded {ATTEMPTS_MAX} times")

    async def _refund_part(self, amount: int | None, reason: str) -> Posting | None:
        """Refund a part; None if there was nothing to refund.

        A repetition after a failure has the same key, so it counts once.
        """
        if not self.is_charged and not self._may_be_charged:
            return None
        refund = self._failed_refunds.pop((amount, reason), None)
        if refund is None:
            refund = self._refund_call(reason, f".refund-{next(self._parts)}", amount)
        try:
            posting = await self._caller.send(refund)
        except BaseException as exc:
            self._failed_refunds[amount, reason] = refund
            if self.is_charged or not isinstance(exc, EntryNotFoundError | UnavailableError):
                raise
            logger.warning(
                "Nothing was refunded of entry %s of account %s, which may not exist, "
                "with the idempotency key %s: %s",
                self.entry_id,
                self.account_id,
                refund.key,
                exc,
            )
            return None
        self.account = posting.account
        return posting

    async def _undo(self, exc: BaseException, state: CallState | None = None) -> None:
        """Refund what may have been taken for a block that will not run.

        A charge with a key of the app's own stays: another delivery of the job may rely on it.
        """
        if not self._spec.has_own_key:
            await self._refund_rest(exc, state)

    async def _end(self, exc: BaseException | None) -> None:
        """Refund what has not been refunded yet, unless the block did its work or was left."""
        if exc is None:
            if self._spec.refund_if is not None and self._spec.refund_if():
                await self._refund_rest(None)
            return
        is_cancelled_work = isinstance(exc, asyncio.CancelledError) and not self._is_in_generator
        if is_cancelled_work or not is_left(exc):
            await self._refund_rest(exc)

    async def _refund_rest(self, exc: BaseException | None, state: CallState | None = None) -> None:
        """Refund all that is left, because of the exception that is about to be raised, if any.

        If that fails, or if the charge may still arrive, a note on the exception and the log say
        what to refund by hand.
        """
        if not self.is_charged and not self._may_be_charged:
            return
        reason = RETURNED_AN_ERROR if exc is None else reason_of(exc)
        refund = self._refund_call(reason, ".refund")
        by_hand = (
            f"refund entry {self.entry_id} of account {self.account_id} "
            f"with the idempotency key {refund.key}"
        )
        try:
            await self._send_refund(refund, state)
        except EntryNotFoundError:
            message = f"nothing was taken yet; if the charge still arrives, {by_hand}"
            logger.warning("A charge got no response: %s", message)
            add_note(exc, message)
        except BaseException as failure:
            message = f"credits may still be taken: {by_hand}"
            if isinstance(failure, IdempotencyKeyReusedError):
                message += ", which is taken: choose another"
            logger.exception("Could not refund; %s", message)
            add_note(exc, message)
            if not isinstance(failure, Exception):
                raise

    async def _send_refund(self, refund: Call[Posting], state: CallState | None) -> None:
        """Refund all that is left.

        Raises:
            IdempotencyKeyReusedError: the key belongs to something other than such a refund.
        """
        try:
            self.account = (await self._caller.send(refund, state)).account
        except AlreadyRefundedError:
            return
        except IdempotencyKeyReusedError as reused:
            # Another delivery may have refunded it, for another reason.
            found = await self._caller.send(calls.entry(self.account_id, reused.entry_id), state)
            if found.refunds != self.entry_id:
                raise

    def _refund_call(self, reason: str, suffix: str, amount: int | None = None) -> Call[Posting]:
        key = derived_key(self._key, suffix)
        return calls.refund(self.account_id, self.entry_id, reason, amount, idempotency_key=key)


class Charge(BaseCharge):
    """A charge for a `with` block.

    `entry` is what was taken and `account` what is left; both are None unless it is certain that
    the credits were taken (`is_charged`).
    """

    def __enter__(self) -> Self:
        """Take the credits."""
        finish(self._begin())
        return self

    def __exit__(self, _: object, exc: BaseException | None, __: object) -> None:
        """Refund what has not been refunded yet, if the block failed."""
        finish(self._end(exc))

    def refund(self, amount: int | None = None, *, reason: str) -> Posting | None:
        """Give back some credits, or all that are left; None if none were taken.

        Raises:
            RefundTooLargeError: fewer credits are left.
            ScripError: the refund failed.
        """
        return finish(self._refund_part(amount, reason))


class AsyncCharge(BaseCharge):
    """A charge for an `async with` block, with the attributes of `Charge`."""

    _transport: AsyncTransport

    def __aenter__(self) -> Coroutine[Any, Any, Self]:
        """Take the credits; if the task is cancelled meanwhile, refund them."""
        # A task that is cancelled did not finish its work; one that is in a generator is left.
        block = sys._getframe(1).f_code  # noqa: SLF001 - the public way is slow
        self._is_in_generator = bool(block.co_flags & inspect.CO_ASYNC_GENERATOR)
        return self._enter()

    async def _enter(self) -> Self:
        await self._transport.run_or_undo(self._begin(), self._undo)
        return self

    async def __aexit__(self, _: object, exc: BaseException | None, __: object) -> None:
        """Refund what has not been refunded yet, if the block failed.

        The refund goes on if the task is cancelled; closing the client waits for it.
        """
        await self._transport.run_to_end(self._end(exc))

    async def refund(self, amount: int | None = None, *, reason: str) -> Posting | None:
        """Give back some credits, or all that are left; None if none were taken.

        Raises:
            RefundTooLargeError: fewer credits are left.
            ScripError: the refund failed.
        """
        return await self._refund_part(amount, reason)


def is_left(exc: BaseException) -> bool:
    """Whether an exception says that someone stopped reading a stream, and not that it failed.

    A generator was closed, a task was cancelled, or Starlette found the client disconnected.
    """
    if isinstance(exc, GeneratorExit | asyncio.CancelledError):
        return True
    return any(kind.__qualname__ == "ClientDisconnect" for kind in type(exc).__mro__)


def add_note(exc: BaseException | None, message: str) -> None:
    """Add a note to an exception, unless it accepts none: the log has the message, too."""
    with suppress(Exception):
        if exc is not None:
            exc.add_note(f"scrip: {message}")


def warn_unpaid(exc: BaseException, failure: ScripError) -> None:
    """Say that what was delivered is not paid, while the exception that ended it goes on."""
    logger.error("Could not charge for what was delivered: %s", failure)
    add_note(exc, f"what was delivered could not be charged: {failure}")


def reason_of(exc: BaseException) -> str:
    """Return an exception's type and message as a refund's reason: one short, printable line."""
    lines = traceback.format_exception_only(exc)
    # A SyntaxError's message comes after indented lines that show where it is.
    first = next((line for line in lines if not line.startswith(" ")), lines[0])
    printable = "".join(letter if letter.isprintable() else " " for letter in first)
    return " ".join(printable.split())[:REASON_LENGTH_MAX]

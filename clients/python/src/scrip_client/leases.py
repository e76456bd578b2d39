"""A lease: slices of an account's credits that are counted here, and charged many uses at once."""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Any

from scrip_client.errors import ScripError, UnavailableError
from scrip_client.slices import Counted, Slices, Terms
from scrip_client.wires import finish

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Call
    from scrip_client.slices import Step
    from scrip_client.wires import AsyncWires, Wires

SLICE_CREDITS = 1_000
CAPTURE_SECONDS = 1.0
CAPTURE_SECONDS_MAX = 86_400
"""As long as a hold can live."""

CAPTURE_USES = 1_000
EXPIRES_IN = 60

STEPS_MAX = 100
"""How many steps one use waits for at most, and how many are taken at a time."""

logger = logging.getLogger("scrip_client")


def lease(
    feature: str | None,
    account_id: str,
    *,
    slice_credits: int = SLICE_CREDITS,
    capture_seconds: float = CAPTURE_SECONDS,
    capture_uses: int = CAPTURE_USES,
    expires_in: int = EXPIRES_IN,
) -> Terms:
    """Use an account thousands of times a second: hold slices of its credits, and count here.

    Another slice is held before one is used up; what was counted is captured every
    `capture_seconds` or `capture_uses`, all of it in one entry. A process that dies leaves at most
    one slice's worth of uses uncharged, and what it held comes back within `expires_in` seconds.
    Each use of a `feature` costs what it would cost alone; with None, uses are of credits.

    Raises:
        ValueError: that is no slice, or no time.
    """
    whole = (slice_credits, capture_uses, expires_in)
    if any(type(number) is not int or number < 1 for number in whole):
        raise ValueError("a lease needs whole numbers of credits, uses and seconds, from 1")
    if not 0 < capture_seconds <= CAPTURE_SECONDS_MAX:
        raise ValueError(f"a lease is captured every {CAPTURE_SECONDS_MAX} seconds at least")
    return Terms(
        account_id=account_id,
        feature=feature,
        slice_credits=slice_credits,
        capture_seconds=capture_seconds,
        capture_uses=capture_uses,
        expires_in=expires_in,
    )


class LeaseSteps:
    """What leases are and do, blocking or not."""

    def __init__(self, caller: Caller, terms: Terms, wires: Wires) -> None:
        """Know what is leased; nothing is held yet."""
        self.account_id = terms.account_id
        self._caller = caller
        self._terms = terms
        self._wires = wires
        self._slices = Slices(terms)
        self._lock = wires.lock()
        self._bell = wires.bell()
        self._process = os.getpid()
        self._is_begun = False
        self._is_closed = False

    async def _use(self, units: int) -> None:
        if type(units) is not int or units < 1:
            raise ValueError(f"a use is of a whole number from 1, unlike {units!r}")
        if self._process != os.getpid():
            raise RuntimeError("a lease is of one process; make another after the fork")
        for _ in range(STEPS_MAX):
            counted = self._slices.count(units, monotonic())
            if counted is Counted.DUE:
                self._bell.ring()
            if counted is not Counted.NOT:
                return
            await self._make_room(units)
        raise UnavailableError(f"others were faster on the lease of account {self.account_id}")

    async def _make_room(self, units: int) -> None:
        """Take one step towards room for a use, or let another have taken it.

        Raises:
            ScripError: there will be none for now.
        """
        self._wires.check()
        before = self._slices.room
        async with self._lock:
            self._begin()
            if self._slices.room > before:
                return
            refusal = self._slices.refusal(units, monotonic())
            if refusal is not None:
                raise refusal
            step = self._slices.next_step(monotonic(), waiting=units)
            if step is not None:
                await self._is_taken(step)

    def _begin(self) -> None:
        """Begin to work in the background."""
        if not self._is_begun:
            self._is_begun = True
            self._wires.aside(self._work())

    async def _work(self) -> None:
        """Take the steps that are due, until the lease is closed, or the client."""
        try:
            while not self._is_closed:
                await self._bell.wait(self._terms.capture_seconds)
                async with self._lock:
                    is_done = await self._take_all()
                    self._is_closed = is_done and self._slices.is_closing
        except RuntimeError as exc:
            logger.warning("The lease of account %s ends: %s", self.account_id, exc)
        finally:
            if not self._is_closed:
                self._tell_what_is_left()

    async def _take_all(self) -> bool:
        """Take the steps that are due; return whether there is nothing left to do."""
        for _ in range(STEPS_MAX):
            step = self._slices.next_step(monotonic())
            if step is None:
                return True
            if not await self._is_taken(step):
                return False
        return False

    async def _is_taken(self, step: Step) -> bool:
        """Take a step; return whether Scrip answered."""
        call: Call[Any] = step.call
        try:
            answer = await self._caller.answer(call)
        except ScripError as exc:
            is_settled = self._slices.failed(step, exc, monotonic())
            if not is_settled:
                logger.warning("The lease of account %s waits: %s", self.account_id, exc)
            return is_settled
        self._slices.answered(step, answer)
        return True

    async def _close(self) -> None:
        """Charge for what was counted and give back the rest.

        Raises:
            NotPaidError: some of it can never be charged.
            UnavailableError: nobody knows whether all was charged; it may be tried again.
        """
        if self._is_closed or self._process != os.getpid():
            return
        self._slices.close()
        async with self._lock:
            self._is_closed = self._is_closed or await self._take_all()
        self._bell.ring()
        if not self._is_closed:
            raise UnavailableError(self._left)
        if self._slices.not_paid:
            raise self._slices.not_paid

    def _tell_what_is_left(self) -> None:
        logger.warning("%s; close it", self._left)

    @property
    def _left(self) -> str:
        left = self._slices.uncaptured
        return (
            f"the lease of account {self.account_id} is open, "
            f"with {left.credits} credits of {left.number} uses that are not known to be charged"
        )


class Lease(LeaseSteps):
    """A lease for threads, which may share it. It is a context manager, or call `close`."""

    def consume(self, units: int = 1) -> None:
        """Count a use of so many units of the feature, or credits if there is none.

        It returns at once while there is room; otherwise it holds another slice first.

        Raises:
            InsufficientCreditsError: the account does not have so much; the use was not counted.
            ScripError: there is no room, and no more can be held now; it was not counted.
            ValueError: that is no whole number from 1.
            RuntimeError: the lease is closed, or another process's.
        """
        finish(self._use(units))

    def close(self) -> None:
        """Charge for what was counted, and give back the rest.

        Raises:
            NotPaidError: `expected` credits of uses can never be charged; the log says why.
            UnavailableError: nobody knows whether all was charged. It goes on being tried while the
                client is open, and `close` may be called again.
        """
        finish(self._close())
        atexit.unregister(self._leave)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _begin(self) -> None:
        if not self._is_begun:
            atexit.register(self._leave)
        super()._begin()

    def _leave(self) -> None:
        """Close what nobody has closed before the program ends."""
        if self._process == os.getpid() and not self._is_closed:
            self._tell_what_is_left()
            try:
                self.close()
            except (ScripError, RuntimeError) as exc:
                logger.warning("Could not close the lease of account %s: %s", self.account_id, exc)


class AsyncLease(LeaseSteps):
    """A lease for the tasks of one event loop. It is an async context manager, or call `aclose`."""

    _wires: AsyncWires

    async def consume(self, units: int = 1) -> None:
        """Count a use of so many units of the feature, or credits if there is none.

        It returns at once while there is room; otherwise it holds another slice first.

        Raises:
            InsufficientCreditsError: the account does not have so much; the use was not counted.
            ScripError: there is no room, and no more can be held now; it was not counted.
            ValueError: that is no whole number from 1.
            RuntimeError: the lease is closed, or another process's.
        """
        await self._use(units)

    async def aclose(self) -> None:
        """Charge for what was counted, and give back the rest, also if the task is cancelled.

        Raises:
            NotPaidError: `expected` credits of uses can never be charged; the log says why.
            UnavailableError: nobody knows whether all was charged. It goes on being tried while the
                client is open, and `aclose` may be called again.
        """
        await asyncio.shield(self._wires.start(self._close()))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

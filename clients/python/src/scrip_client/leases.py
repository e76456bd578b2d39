"""A lease: slices of an account's credits, counted in the app and charged many uses at a time."""

from __future__ import annotations

import atexit
import logging
import os
from time import monotonic
from typing import TYPE_CHECKING, Any

from scrip_client.errors import ScripError, UnavailableError
from scrip_client.lease_steps import CountResult, LeaseSpec
from scrip_client.slices import Slices
from scrip_client.transport import finish

if TYPE_CHECKING:
    from typing import Self

    from scrip_client.caller import Caller
    from scrip_client.calls import Call
    from scrip_client.lease_steps import Step
    from scrip_client.transport import AsyncTransport

SLICE_CREDITS = 1_000
CAPTURE_SECONDS = 1.0
CAPTURE_SECONDS_MAX = 86_400
"""A hold lives at most a day."""

CAPTURE_USES = 1_000
EXPIRES_IN = 60

STEPS_MAX = 100
"""How many steps a use waits for, and how many are taken in one turn."""

logger = logging.getLogger("scrip_client")


def lease(
    feature: str | None,
    account_id: str,
    *,
    slice_credits: int = SLICE_CREDITS,
    capture_seconds: float = CAPTURE_SECONDS,
    capture_uses: int = CAPTURE_USES,
    expires_in: int = EXPIRES_IN,
) -> LeaseSpec:
    """Use an account thousands of times a second: hold slices of its credits, and count uses here.

    The next slice is held before one is used up. What was counted is captured every
    `capture_seconds`, or after `capture_uses` uses, in a single entry. If the process dies, at most
    one slice's worth of uses remains uncharged, and held credits come back within `expires_in`
    seconds. Each use of a `feature` costs what it would cost alone; with None, uses are credits.

    Raises:
        ValueError: a number is out of range.
    """
    numbers = (slice_credits, capture_uses, expires_in)
    if any(type(number) is not int or number < 1 for number in numbers):
        raise ValueError("a lease needs at least 1 credit, use and second, in whole numbers")
    if not 0 < capture_seconds <= CAPTURE_SECONDS_MAX:
        raise ValueError(
            f"a lease needs capture_seconds above 0, and {CAPTURE_SECONDS_MAX} at most"
        )
    return LeaseSpec(
        account_id=account_id,
        feature=feature,
        slice_credits=slice_credits,
        capture_seconds=capture_seconds,
        capture_uses=capture_uses,
        expires_in=expires_in,
    )


class BaseLease:
    """What `Lease` and `AsyncLease` have in common."""

    def __init__(self, caller: Caller, spec: LeaseSpec) -> None:
        """Take what to lease; nothing is held yet."""
        self.account_id = spec.account_id
        self._caller = caller
        self._transport = caller.transport
        self._spec = spec
        self._slices = Slices(spec)
        self._lock = self._transport.lock()
        self._signal = self._transport.signal()
        self._process = os.getpid()
        self._is_begun = False
        self._is_closed = False

    async def _use(self, units: int) -> None:
        if type(units) is not int or units < 1:
            raise ValueError(f"units must be a whole number from 1, not {units!r}")
        if self._process != os.getpid():
            raise RuntimeError("a lease belongs to one process; create another after a fork")
        for _ in range(STEPS_MAX):
            result = self._slices.count(units, monotonic())
            if result is CountResult.STEP_DUE:
                self._signal.set()
            if result is not CountResult.NO_ROOM:
                return
            await self._make_room(units)
        raise UnavailableError(f"other uses took all the credits in the lease of {self.account_id}")

    async def _make_room(self, units: int) -> None:
        """Take one step towards room for a use, unless another thread or task has.

        Raises:
            ScripError: there will be none for now.
        """
        self._transport.ensure_usable()
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
                await self._take(step)

    def _begin(self) -> None:
        """Start the background work, once."""
        if not self._is_begun:
            self._is_begun = True
            self._transport.run_in_background(self._work())

    async def _work(self) -> None:
        """Take the steps that are due, until the lease or the client is closed."""
        try:
            while not self._is_closed:
                await self._signal.wait(self._spec.capture_seconds)
                async with self._lock:
                    is_done = await self._take_all()
                    self._is_closed = is_done and self._slices.is_closing
        except RuntimeError as exc:
            logger.warning("The lease of account %s ends: %s", self.account_id, exc)
        finally:
            if not self._is_closed:
                self._warn_open()

    async def _take_all(self) -> bool:
        """Take the steps that are due; return whether none is left."""
        for _ in range(STEPS_MAX):
            step = self._slices.next_step(monotonic())
            if step is None:
                return True
            if not await self._take(step):
                return False
        return False

    async def _take(self, step: Step) -> bool:
        """Take a step; return whether Scrip answered."""
        call: Call[Any] = step.call
        try:
            answer = await self._caller.send(call)
        except ScripError as exc:
            is_settled = self._slices.failed(step, exc, monotonic())
            if not is_settled:
                logger.warning("The lease of account %s waits: %s", self.account_id, exc)
            return is_settled
        self._slices.answered(step, answer)
        return True

    async def _close(self) -> None:
        """Charge what was counted and give back the rest.

        Raises:
            NotPaidError: some of it cannot be charged any more.
            UnavailableError: it is unknown whether all was charged; `close` may be called again.
        """
        if self._is_closed or self._process != os.getpid():
            return
        self._slices.close()
        async with self._lock:
            self._is_closed = self._is_closed or await self._take_all()
        self._signal.set()
        if not self._is_closed:
            raise UnavailableError(self._open_label)
        if self._slices.not_paid:
            raise self._slices.not_paid

    def _warn_open(self) -> None:
        logger.warning("%s; close it", self._open_label)

    @property
    def _open_label(self) -> str:
        uses = self._slices.uncaptured
        return (
            f"the lease of account {self.account_id} is open; "
            f"{uses.credits} credits for {uses.number} uses may not be charged yet"
        )


class Lease(BaseLease):
    """A lease, which threads may share. Use it as a context manager, or call `close`."""

    def consume(self, units: int = 1) -> None:
        """Count a use: `units` of the feature, or credits if there is none.

        It returns at once while there is room; otherwise it holds another slice first.

        Raises:
            InsufficientCreditsError: the account has too few credits; the use was not counted.
            ScripError: no more can be held for now; the use was not counted.
            ValueError: `units` is not a whole number from 1, or the feature has meters.
            RuntimeError: the lease is closed, or belongs to another process.
        """
        finish(self._use(units))

    def close(self) -> None:
        """Charge what was counted, and give back the rest.

        Raises:
            NotPaidError: `expected` credits of uses cannot be charged; the log has the reason.
            UnavailableError: it is unknown whether all was charged. The client keeps trying while
                it is open, and `close` may be called again.
        """
        finish(self._close())
        atexit.unregister(self._close_at_exit)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        if not self._is_begun:
            atexit.register(self._close_at_exit)
        super()._begin()

    def _close_at_exit(self) -> None:
        """Close a lease that is still open when the program ends."""
        if self._process == os.getpid() and not self._is_closed:
            self._warn_open()
            try:
                self.close()
            except (ScripError, RuntimeError) as exc:
                logger.warning("Could not close the lease of account %s: %s", self.account_id, exc)


class AsyncLease(BaseLease):
    """A lease for the tasks of one event loop. It is an async context manager, or call `aclose`."""

    _transport: AsyncTransport

    async def consume(self, units: int = 1) -> None:
        """Count a use, as `Lease.consume` does."""
        await self._use(units)

    async def aclose(self) -> None:
        """Charge what was counted and give back the rest, as `Lease.close` does.

        This goes on if the task is cancelled.
        """
        await self._transport.run_to_end(self._close())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

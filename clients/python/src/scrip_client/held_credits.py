"""The credits of one hold: opened, extended, charged and released, no matter who ends the hold.

An app is paid exactly what it asked for, or gets an exception. Only entries that a service or an
admin created count as paid; what a user's own token captured does not.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import product
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from scrip_client import calls
from scrip_client.charges import ATTEMPTS_MAX, add_note
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
    TooManyAttemptsError,
)
from scrip_client.keys import USER_PREFIX, derived_key, is_by_app
from scrip_client.models import Posting

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from scrip_client.caller import Caller, CallState
    from scrip_client.calls import Call, Line, Use
    from scrip_client.models import Balance, Entry, HoldPosting, HoldState, OneEntry

Answer = TypeVar("Answer")

Fields: TypeAlias = "Mapping[str, Any]"
"""A `Use`, as fields of the API; with its feature if the hold has several lines."""

Uses: TypeAlias = "Sequence[Fields] | None"
"""What to charge together, with the same details; None for all that is held."""

logger = logging.getLogger("scrip_client")


@dataclass(frozen=True, kw_only=True)
class HoldSpec:
    """What to hold, and for how long. With a key of the app's own, the hold may exist already."""

    account_id: str
    feature: str | None
    use: Use
    lines: tuple[Line, ...]
    expires_in: int
    call: Call[HoldPosting]
    has_own_key: bool
    fail_open: bool


@dataclass(frozen=True)
class Found:
    """The entries that one call wrote, of which answers name the first."""

    first: OneEntry
    others: list[OneEntry] = field(default_factory=list)

    @property
    def cost(self) -> int:
        """The credits that they have taken."""
        return sum(entry.cost or 0 for entry in (self.first, *self.others))

    @property
    def refunded(self) -> int:
        """The credits of these that were refunded."""
        return sum(entry.refunded for entry in (self.first, *self.others))


class HeldCredits:
    """A hold as the API sees it. Charges have a suffix, which makes their key of the hold's."""

    def __init__(self, caller: Caller, spec: HoldSpec) -> None:
        """Take what to hold; nothing is sent yet."""
        self.account_id = spec.account_id
        self.entry: Entry | None = None
        self.account: Balance | None = None
        self.is_charged = False
        self._caller = caller
        self._spec = spec
        self._call = spec.call
        self._state = caller.new_state()
        self._hold_id: str | None = None
        self._cost: int | None = None
        self._counted = Counter[str]()
        self._earlier: list[str] = []

    @property
    def hold_id(self) -> str:
        """The hold's id, or the idempotency key while the id is unknown."""
        return self._hold_id or self._name

    async def _open(self) -> HoldPosting:
        """Open the hold; or continue the one that is open under its key; or open the next.

        So a job that died or failed and is delivered again holds again, and one that was charged
        is not charged again (`is_charged`).
        """
        first_key = self._name
        for number in range(2, ATTEMPTS_MAX + 2):
            self._state = self._caller.new_state()
            posting = await self._caller.send(self._call, self._state)
            self._hold_id = posting.hold.hold_id
            entries = posting.entries or (posting.entry,)
            self._cost = sum(entry.cost or 0 for entry in entries)
            if not (self._spec.has_own_key and posting.replayed):
                return posting
            try:
                await self._extend()
            except HoldEndedError as ended:
                self.is_charged = await self._was_charged(ended)
            else:
                return posting
            if self.is_charged:
                return posting
            self._earlier.append(self._name)
            self._call = replace(self._call, key=derived_key(first_key, f".{number}"))
            self._hold_id = self._cost = None
        raise TooManyAttemptsError(f"{first_key} was held and given back {ATTEMPTS_MAX} times")

    async def _was_charged(self, ended: HoldEndedError) -> bool:
        """Whether an earlier delivery charged what the hold was for, and came to its end.

        Raises:
            NotPaidError: someone else charged another amount to the hold.
        """
        end = None
        if ended.ended_by == self._entry_id(".end"):
            return True
        if ended.ended_by is not None:
            end = await self._find(ended.ended_by)
            if not self._is_payment(end):
                end = None
            elif end.cost == self._cost or ended.ended_by in {
                self._entry_id(".capture"),
                self._entry_id(".capture.held"),
            }:
                return True
        with suppress(EntryNotFoundError):
            if self._is_payment(await self._find(self._entry_id(".capture.late"))):
                return True
        if end is not None:
            raise self._not_paid(self._cost or 0, end)
        return False

    async def _extend(self) -> HoldState:
        return await self._send_for_hold(calls.extend_hold, expires_in=self._spec.expires_in)

    async def _charge(self, uses: Uses, suffix: str, *, final: bool) -> Posting | None:
        """Charge for uses, or for all that is held, even if the hold has ended.

        None if that was charged already.

        Raises:
            NotPaidError: something else was charged in its place.
        """
        body, paid = self._capture_body(uses, final=final), await self._paid_earlier(suffix)
        if paid:
            missing = await self._price(uses) - paid
            if missing <= 0:
                return None
            body = {**self._details(uses), "amount": missing, "excess": body["excess"]}
            body["final"] = final
        try:
            return await self._capture(suffix, **body)
        except HoldNotFoundError:
            # It was never opened: `fail_open`.
            return await self._charge_without_hold(uses, suffix, paid=paid)
        except HoldEndedError as ended:
            return await self._charge_missing(ended.ended_by, uses, suffix, final=final, paid=paid)
        except IdempotencyKeyReusedError as reused:
            found = await self._find(reused.entry_id)
            self._count(found, await self._price(uses) - paid, self.hold_id)
            return None
        except (AccountFrozenError, InsufficientCreditsError) as refusal:
            # Earlier parts may have used up the hold.
            with suppress(HoldExceededError):
                await self._capture(f"{suffix}.held", **self._details(uses))
            add_note(refusal, f"{self._label} was captured in full; what exceeds it is not paid")
            raise

    async def _paid_earlier(self, suffix: str) -> int:
        """Return what earlier deliveries, none of which came to its end, paid for the same part."""
        paid = 0
        for name, late in product(self._earlier, ("", ".late")):
            with suppress(EntryNotFoundError):
                paid += self._uncounted(await self._find(self._entry_id(suffix + late, name)))
        return paid

    async def _capture(self, suffix: str, **body: Any) -> Posting:
        key = self._key(suffix)
        posting = await self._send_for_hold(calls.capture_hold, idempotency_key=key, **body)
        return await self._accept(posting)

    async def _charge_missing(
        self, ended_by: str | None, uses: Uses, suffix: str, *, final: bool, paid: int
    ) -> Posting | None:
        """Charge what the entry that ended the hold has not paid; None if it has paid everything.

        A release, an expiry and a capture by a user's token pay nothing.

        Raises:
            NotPaidError: it has paid more than requested, or was refunded in part.
        """
        if ended_by is None:
            return await self._charge_without_hold(uses, suffix, paid=paid)
        found = await self._find(ended_by)
        if not self._is_payment(found):
            return await self._charge_without_hold(uses, suffix, paid=paid)
        price, uncounted = await self._price(uses) - paid, self._uncounted(found)
        if found.refunded or (final and uncounted > price):
            raise self._not_paid(price, found)
        counted, posting = min(price, uncounted), None
        if counted < price:
            posting = await self._charge_without_hold(uses, suffix, paid=paid + counted)
        self._counted[ended_by] += counted
        return posting

    async def _charge_without_hold(
        self, uses: Uses, suffix: str, *, paid: int = 0
    ) -> Posting | None:
        """Charge the account for uses, less what is paid; None if another delivery has.

        Raises:
            NotPaidError: the key belongs to something else.
        """
        lines, details = self._lines(uses), self._details(uses)
        if paid or (uses is None and len(lines) > 1):
            lines = [{"amount": await self._price(uses) - paid}]
        key = self._key(f"{suffix}.late")
        charged: list[Any] = [{**line, **details} for line in lines]
        try:
            if len(charged) == 1:
                call = calls.consume(self.account_id, idempotency_key=key, **charged[0])
                return await self._accept(await self._caller.send(call))
            batch = calls.consume_batch(self.account_id, charged, idempotency_key=key)
            posted = await self._caller.send(batch)
            return await self._accept(
                Posting(
                    entry=posted.entries[0],
                    balance_before=posted.balance_before,
                    account=posted.account,
                    replayed=posted.replayed,
                )
            )
        except IdempotencyKeyReusedError as reused:
            found = await self._find(reused.entry_id)
            self._count(found, await self._price(uses) - paid, None)
            return None

    async def _accept(self, posting: Posting) -> Posting:
        """Accept a charge; a replayed one only if the app made it.

        Raises:
            NotPaidError: a user made it, or it was refunded, or it counts already.
        """
        if posting.replayed:
            found = await self._find(posting.entry.entry_id)
            self._count(found, found.cost, posting.entry.hold_id)
        self.entry, self.account = posting.entry, posting.account
        return posting

    def _count(self, found: Found, price: int, hold_id: str | None) -> None:
        """Count an earlier charge as paid, if it is exactly what is requested now.

        Raises:
            NotPaidError: it is not.
        """
        if found.first.hold_id != hold_id or found.refunded or self._uncounted(found) != price:
            raise self._not_paid(price, found)
        self._counted[found.first.entry_id] += price

    def _uncounted(self, found: Found) -> int:
        """Return the credits that entries have paid and that have not been counted yet."""
        if not self._is_payment(found):
            return 0
        return found.cost - found.refunded - self._counted[found.first.entry_id]

    def _is_payment(self, found: Found) -> bool:
        """Whether entries are uses that the app charged and has not refunded in full."""
        is_charge = found.first.type == "usage" and is_by_app(found.first, self.hold_id)
        return is_charge and found.refunded < found.cost

    def _not_paid(self, price: int, found: Found) -> NotPaidError:
        paid, entry_id = self._uncounted(found), found.first.entry_id
        return NotPaidError(self.account_id, price, paid, entry_id, self.hold_id)

    async def _find(self, entry_id: str) -> Found:
        """Return all entries of the call whose first entry this is."""
        found = Found(await self._caller.send(calls.entry(self.account_id, entry_id)))
        if found.first.type == "usage":
            with suppress(EntryNotFoundError):
                for number in range(2, calls.USES_MAX + 1):
                    other = calls.entry(self.account_id, f"{entry_id}~{number}")
                    found.others.append(await self._caller.send(other))
        return found

    async def _price(self, uses: Uses) -> int:
        """Return what uses cost now, or (None) what the hold's credits cost when it opened."""
        if uses is None and self._cost is not None:
            return self._cost
        return sum([await self._price_of(line) for line in self._lines(uses)])

    async def _price_of(self, line: Fields) -> int:
        if line.get("feature") is None:
            price: int = line["amount"]
            return price
        return (await self._caller.send(calls.quote(self.account_id, **line))).cost

    async def _send_for_hold(
        self,
        make: Callable[..., Call[Answer]],
        state: CallState | None = None,
        **body: Any,
    ) -> Answer:
        """Send a call about the hold, whose id is a guess while its opening is unanswered."""
        try:
            return await self._caller.send(make(self.account_id, self.hold_id, **body), state)
        except HoldNotYoursError:
            if self._hold_id is not None:
                raise
            # The token is a user's, so the id has a user's prefix.
            self._hold_id = f"{USER_PREFIX}{self._name}"
            return await self._caller.send(make(self.account_id, self.hold_id, **body), state)

    def _lines(self, uses: Uses) -> list[dict[str, Any]]:
        """Return uses without details, and with their features; None means all that was held."""
        lines: Sequence[Fields] = self._spec.lines or [self._spec.use] if uses is None else uses
        own = {} if self._spec.feature is None else {"feature": self._spec.feature}
        names = {"feature", *calls.MEASURES}
        return [
            {**own, **{name: value for name, value in line.items() if name in names}}
            for line in lines
        ]

    def _details(self, uses: Uses) -> dict[str, Any]:
        """Return the `Details` of uses: those of the hold, and what the first use adds."""
        held: Fields = self._spec.use
        details = {name: value for name, value in held.items() if name not in calls.MEASURES}
        more = uses[0].get("metadata") if uses else None
        metadata = {**(held.get("metadata") or {}), **(more or {})}
        return {**details, **({"metadata": metadata} if metadata else {})}

    def _capture_body(self, uses: Uses, *, final: bool) -> dict[str, Any]:
        """Return the fields of a capture.

        All that is held is captured as an amount, so that the app is paid in full even if someone
        else captured a part.
        """
        lines = self._lines(uses)
        body: dict[str, Any] = {"lines": lines}
        if uses is None and self._cost is not None:
            body = {"amount": self._cost}
        elif len(lines) == 1 and not self._spec.lines:
            body = {name: value for name, value in lines[0].items() if name != "feature"}
        return {**self._details(uses), **body, "final": final, "excess": "available"}

    def _key(self, suffix: str) -> str:
        return derived_key(self._name, suffix)

    def _entry_id(self, suffix: str, name: str | None = None) -> str:
        """Return the id of the entry that a key of this hold, or of an earlier one, creates."""
        prefix = USER_PREFIX if self.hold_id.startswith(USER_PREFIX) else ""
        return prefix + derived_key(name or self._name, suffix)

    @property
    def _name(self) -> str:
        """The idempotency key: the hold's id without a user's prefix."""
        assert self._call.key is not None
        return self._call.key

    @property
    def _label(self) -> str:
        return f"hold {self.hold_id} of account {self.account_id}"

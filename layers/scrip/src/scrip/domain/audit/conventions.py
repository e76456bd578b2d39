"""What the types and IDs of entries mean, stated again so that the audit shares no rule."""

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from scrip.domain.commands import CaptureHold, HoldLine
from scrip.domain.entries import Entry, EntryType, iso
from scrip.domain.grants import GrantKind

NEW_CREDITS = frozenset(
    {
        *(EntryType.SIGNUP, EntryType.PURCHASE, EntryType.PLAN),
        *(EntryType.ADMIN_GRANT, EntryType.PROMO, EntryType.REFERRAL),
    },
)
"""The types that bring new credits."""

GAINS = NEW_CREDITS | {EntryType.ROLLOVER, EntryType.REFUND, EntryType.RESET}
"""The types that may raise a balance."""

LOSSES = frozenset(
    {EntryType.USAGE, EntryType.EXPIRY, EntryType.ADMIN_DEDUCT, EntryType.CLAWBACK},
)
"""The types that may lower a balance. All others move credits only within the account."""

INTO_GRANTS = GAINS | {EntryType.RELEASE}
"""The types whose allocations go into grants; those of all others come out of them."""

ADMIN_TYPES = frozenset(
    {
        *(EntryType.ADMIN_GRANT, EntryType.PROMO, EntryType.REFERRAL, EntryType.ADMIN_DEDUCT),
        *(EntryType.RESET, EntryType.FREEZE, EntryType.UNFREEZE),
    },
)
"""The types that only an admin's command writes, with an audit record."""

ORIGINS = {kind: frozenset({kind.value}) for kind in GrantKind} | {
    GrantKind.ADMIN: frozenset({EntryType.ADMIN_GRANT}),
    # What was owed for a month and comes back after its end lives as what is refunded does.
    GrantKind.REFUND: frozenset({EntryType.REFUND, EntryType.PLAN}),
}
"""The types of the entries that bring a grant of each kind."""

CLAWBACK = ":clawback:"
"""In the ID of a clawback: after the ID of the payment, or that of one of its terms."""

MOVED = ":moved:"
"""In the ID of the entry that books a payment which has moved: after the payment's ID, before how
often it had moved."""

RESTORED = ":restored:"
"""In the ID of a purchase that restores what was taken back: after the payment's ID."""

UNKNOWN_PAYMENT = "unknown:payment"
"""The payment of a term if a version before 0.3.0 did not keep it."""

EXPIRY = "expiry:"
"""The start of the ID of an expiry."""

OPENED = ":opened"
"""The end of the ID of an entry that opens a dispute's hold, after the hold's ID."""

PERIOD = "period:"
"""The start of the ID of a plan entry that the clock wrote."""

RELEASE = "release:"
"""The start of the ID of a release that no command on the hold asked for."""

ROLLED_OVER = "rollover:"
"""The start of the ID of a rollover."""

USER = "user:"
"""The start of the ID of a hold that a user's token opened."""


def moved(entry: Entry) -> int:
    """Return the sum of an entry's allocations: positive into grants, negative out of them."""
    total = sum(allocation.amount for allocation in entry.allocations)
    return total if entry.type in INTO_GRANTS else -total


def is_capture(entry: Entry) -> bool:
    """Return whether an entry spends held credits."""
    return entry.type is EntryType.USAGE and entry.hold_id is not None


def is_requested_plan(entry: Entry) -> bool:
    """Return whether a plan entry was requested; the clock requests nothing."""
    return entry.type is EntryType.PLAN and entry.request_hash is not None


def is_clock_plan(entry: Entry) -> bool:
    """Return whether the clock wrote a plan entry at the start of a period."""
    return entry.type is EntryType.PLAN and entry.request_hash is None


def period_part(entry: Entry, zone: ZoneInfo) -> str:
    """Return what follows the start of the period in the ID of the clock's plan entry.

    The start is a local day, or an instant after which the ID may name what was paid.
    """
    name = entry.entry_id.removeprefix(PERIOD)
    day = entry.effective_at.astimezone(zone).date().isoformat()
    return "" if name == day else name.removeprefix(iso(entry.effective_at))


def ends_hold(entries: Sequence[Entry]) -> bool:
    """Return whether a command ended a hold with these entries; the clock's ends are not recorded.

    They are a release, or all that a capture wrote: only the hash of its request shows whether they
    are all, and whether it was final.
    """
    entry = entries[0]
    if entry.type is EntryType.RELEASE:
        # What a capture leaves over and what expires is released under an ID of its own.
        return entry.hold_id is not None and not entry.entry_id.startswith(RELEASE)
    lines = tuple(
        HoldLine(feature=line.feature, quantity=line.quantity, usage=line.usage)
        if line.quantity or line.usage
        else HoldLine(amount=line.cost)
        for line in entries
    )
    asked: list[dict[str, Any]] = [{"lines": lines}]
    if len(entries) == 1:
        used = {"quantity": entry.quantity, "usage": entry.usage}
        asked += [used] if any(used.values()) else [{}, {"amount": entry.cost}]
    return is_capture(entry) and any(
        entry.request_hash
        == CaptureHold(
            account_id="",
            entry_id="",
            actor=entry.actor,
            reason=entry.reason,
            reference=entry.reference,
            metadata=entry.metadata,
            hold_id=entry.hold_id or "",
            final=True,
            excess=excess,
            **use,
        ).request_hash
        for use in asked
        for excess in (False, True)
    )


def payment_of(booking: str) -> str:
    """Return the ID of the payment that an entry books for an account."""
    payment_id, moved, times = booking.rpartition(MOVED)
    return payment_id if moved and times.isdecimal() else booking

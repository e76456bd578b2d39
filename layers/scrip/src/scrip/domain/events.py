"""Events: what is told to the outside when an entry was written or a bound was crossed."""

from dataclasses import dataclass

from scrip.domain.account import Account
from scrip.domain.entries import ActorType, Entry, EntryType, Json
from scrip.domain.thresholds import thresholds_crossed

EVENT_NAMES = {
    EntryType.SIGNUP: "credits.granted",
    EntryType.PURCHASE: "credits.granted",
    EntryType.PROMO: "credits.granted",
    EntryType.REFERRAL: "credits.granted",
    EntryType.ADMIN_GRANT: "credits.granted",
    EntryType.USAGE: "credits.consumed",
    EntryType.REFUND: "credits.refunded",
    EntryType.EXPIRY: "credits.expired",
    EntryType.PLAN: "credits.renewed",
    EntryType.ROLLOVER: "credits.renewed",
    EntryType.CLAWBACK: "credits.clawed_back",
    EntryType.ADMIN_DEDUCT: "credits.adjusted",
    EntryType.RESET: "credits.adjusted",
    EntryType.FREEZE: "credits.adjusted",
    EntryType.UNFREEZE: "credits.adjusted",
    EntryType.DEBT_SETTLED: "credits.adjusted",
    EntryType.HOLD: "hold.created",
    EntryType.RELEASE: "hold.released",
}
"""The event that tells of an entry, by the entry's type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an account; `name` says what, `detail` all of it."""

    name: str
    detail: Json


def entry_event(account_id: str, entry: Entry, correlation_id: str | None) -> Event:
    """Return the event that tells of an entry: the entry, whose it is, and what wrote it.

    The entry is as its user may see it, so that an app can forward the event to the user's page.
    """
    # An earlier version wrote an entry for each extension; the stream may still deliver some.
    extends = entry.type is EntryType.HOLD and entry.hold_id not in {None, entry.entry_id}
    name = "hold.extended" if extends else EVENT_NAMES[entry.type]
    return Event(name=name, detail=told(account_id, entry, correlation_id, ActorType.USER))


def told(account_id: str, entry: Entry, correlation_id: str | None, reader: ActorType) -> Json:
    """Return an entry as a kind of caller is shown it, with what wrote it: a request, a message."""
    whose = {"account_id": account_id, "correlation_id": correlation_id}
    return {**whose, **entry.shown_to(reader)}


def crossing_events(before: Account, after: Account, low_credits: int) -> list[Event]:
    """Return the events that tell of the bounds which one posting crossed.

    `seq` is that of the posting's last entry: with the account and the name it names the crossing.
    """
    return [
        Event(
            name=f"credits.{crossing}",
            detail={
                "account_id": after.account_id,
                "seq": after.seq_last,
                "available": after.available,
                "available_before": before.available,
                "low_credits": low_credits,
            },
        )
        for crossing in thresholds_crossed(before.available, after.available, low_credits)
    ]

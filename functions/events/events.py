"""Events that Scrip publishes: an entry was written or tampered with, a threshold crossed."""

from dataclasses import dataclass

from functions.events.thresholds import thresholds_crossed
from scrip.domain.account import Account
from scrip.domain.entries import ActorType, Entry, EntryType, Json

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
"""The name of the event for an entry, by the entry's type."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened to an account: a name and its details."""

    name: str
    detail: Json


def entry_event(account_id: str, entry: Entry, correlation_id: str | None) -> Event:
    """Return the event for an entry: the entry, its account, and what wrote it.

    The entry is in the form that its user may see, so an app can forward it to the user's page.
    """
    # An earlier version wrote an entry for each extension; the stream may still deliver some. Those
    # of a hold's lines are named after it, and no key has a ~.
    opens = entry.hold_id in {None, entry.entry_id.partition("~")[0]}
    extends = entry.type is EntryType.HOLD and not opens
    name = "hold.extended" if extends else EVENT_NAMES[entry.type]
    return Event(name=name, detail=detail_of(account_id, entry, correlation_id, ActorType.USER))


def detail_of(account_id: str, entry: Entry, correlation_id: str | None, reader: ActorType) -> Json:
    """Return an entry in the form for a kind of caller, with its account and what wrote it.

    `correlation_id` names the request or message that wrote it.
    """
    origin = {"account_id": account_id, "correlation_id": correlation_id}
    return {**origin, **entry.shown_to(reader)}


def tampering_event(account_id: str, entry_id: str, seq: int | None, *, is_removed: bool) -> Event:
    """Return the event for an entry that somebody edited or removed."""
    return Event(
        name="ledger.tampered",
        detail={
            "account_id": account_id,
            "entry_id": entry_id,
            "seq": seq,
            "change": "removed" if is_removed else "edited",
        },
    )


def crossing_events(before: Account, after: Account, low_credits: int) -> list[Event]:
    """Return the events for the thresholds that one posting crossed.

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

"""An account as it was and as it is: what is missing, what was edited, and what is only newer.

Scrip never deletes an item of an account, and changes no entry. So what existed then and is missing
now was deleted by hand, and an entry that differs was edited by hand: both are put back. Entries
booked since stay, whatever happens.

The account's own item, and others that change with it, may differ because the account was used.
They are put back only if nothing was booked since. If something was, and the account's item is
sound, it stays; if it is not, no earlier state has what was booked.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scrip.domain.entries import iso
from scrip.domain.errors import CorruptAccountError
from scrip.store.items import Wire, account_of, entry_of, from_wire
from scrip.store.keys import account_key, is_entry
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode

USAGE = "USAGE#"
"""The items of a day's usage, which follow the entries some time later."""

BESIDE = frozenset({"restored_at"})
"""Attributes of an entry's item that a restore itself writes."""

type Place = tuple[str, str]
"""The two parts of an item's key."""


class Finding(StrEnum):
    """What is the matter with an item."""

    MISSING = "missing"
    EDITED = "edited"
    CHANGED = "changed"
    NEW = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """An item that is not what it was."""

    place: Place
    finding: Finding
    was: Wire | None
    now: Wire | None

    @property
    def is_put_back(self) -> bool:
        """Whether the item of then is put back."""
        return self.finding in {Finding.MISSING, Finding.EDITED}

    @property
    def fields(self) -> dict[str, list[Any]]:
        """The attributes that differ: then, and now."""
        if self.was is None or self.now is None:
            return {}
        was, now = _as_json(from_wire(self.was)), _as_json(from_wire(self.now))
        names = sorted((was.keys() | now.keys()) - BESIDE)
        return {
            name: [was.get(name), now.get(name)] for name in names if was.get(name) != now.get(name)
        }

    def to_json(self) -> dict[str, Any]:
        """Return it as it is shown."""
        return {
            "item": self.place[1],
            "finding": self.finding,
            "put_back": self.is_put_back,
            "fields": self.fields,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """The differences of an account; `booked_since` are how many entries, and their credits."""

    differences: tuple[Difference, ...]
    booked_since: int
    credits_since: int


def compare(account_id: str, was: Mapping[Place, Wire], now: Mapping[Place, Wire]) -> Comparison:
    """Compare all items of an account and its ledger.

    Raises:
        CommandError: there was no such account then, it was damaged already, or what it is now
            cannot be had from then.
    """
    own = _own(account_id)
    if own not in was:
        raise CommandError(
            f"There was no account {account_id} then.",
            "Name the account by its ID, or choose another time.",
            exit_code=ExitCode.NOT_FOUND,
        )
    try:
        account = account_of(was[own])
    except CorruptAccountError as exc:
        raise CommandError(
            f"The account {account_id} was damaged already.", "Choose an earlier time."
        ) from exc
    since = []
    for place, wire in now.items():
        if place not in was and is_entry(place[0]):
            try:
                entry = entry_of(wire)
            except CorruptAccountError:
                continue  # inserted by hand
            if entry.seq > account.seq_last:
                since.append(entry)
    if since and not _is_sound(now.get(own)):
        newest = max(entry.recorded_at for entry in since)
        raise CommandError(
            f"The account {account_id} is damaged, and was used until {iso(newest)}: "
            "an earlier state lacks what was booked by then.",
            "Choose a time between that and the damage.",
            exit_code=ExitCode.REFUSED,
        )
    found = (
        _difference(place, was.get(place), now.get(place), is_used=bool(since))
        for place in sorted(was.keys() | now.keys(), key=_order)
    )
    return Comparison(
        differences=tuple(difference for difference in found if difference),
        booked_since=len(since),
        credits_since=sum(entry.amount for entry in since),
    )


def _difference(
    place: Place, was: Wire | None, now: Wire | None, *, is_used: bool
) -> Difference | None:
    if _without(was) == _without(now):
        return None
    if was is None:
        finding = Finding.NEW
    elif now is None:
        finding = Finding.MISSING
    elif is_entry(place[0]) or (not is_used and not place[1].startswith(USAGE)):
        finding = Finding.EDITED
    else:
        finding = Finding.CHANGED
    return Difference(place=place, finding=finding, was=was, now=now)


def _as_json(value: Any) -> Any:
    """Return a value of an item as JSON has it: hashes are bytes."""
    match value:
        case bytes():
            return value.hex()
        case dict():
            return {name: _as_json(part) for name, part in value.items()}
        case list():
            return [_as_json(part) for part in value]
    return value


def _without(wire: Wire | None) -> Any:
    return wire and {name: value for name, value in wire.items() if name not in BESIDE}


def _is_sound(wire: Wire | None) -> bool:
    if wire is None:
        return False
    try:
        account_of(wire)
    except CorruptAccountError:
        return False
    return True


def _own(account_id: str) -> Place:
    key = account_key(account_id)
    return key["pk"], key["sk"]


def _order(place: Place) -> tuple[bool, bool, str]:
    """The account comes last, after its ledger."""
    pk, sk = place
    return sk == "ACCOUNT", is_entry(pk), sk

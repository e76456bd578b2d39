"""The kinds of checks, and how they are registered.

A check is a generator that yields what is wrong. It is named for what is right.
"""

from collections.abc import Callable, Iterator

from scrip.domain.account import Account
from scrip.domain.audit.books import Books
from scrip.domain.audit.findings import Code
from scrip.domain.audit.tally import Tally
from scrip.domain.entries import Entry
from scrip.domain.payments import Payment

type AboutItem = tuple[str, str]
"""The item that is wrong, and a sentence that says how."""

type Check[Wrong, *Given] = Callable[[*Given], Iterator[Wrong]]


class Checks[Wrong, *Given]:
    """The checks of one kind, in the order of their definition, each with the code it reports."""

    def __init__(self) -> None:
        """Start without any."""
        self.registered: list[tuple[Code, Check[Wrong, *Given]]] = []

    def reporting(self, code: Code) -> Callable[[Check[Wrong, *Given]], Check[Wrong, *Given]]:
        """Register the decorated function as a check whose findings have this code."""

        def register(check: Check[Wrong, *Given]) -> Check[Wrong, *Given]:
            self.registered.append((code, check))
            return check

        return register

    def run(self, *given: *Given) -> Iterator[tuple[Code, Wrong]]:
        """Run all checks and yield what is wrong."""
        for code, check in self.registered:
            for wrong in check(*given):
                yield code, wrong


def compare(about: str, what: str, stored: object, by_entries: object) -> Iterator[AboutItem]:
    """Yield what is wrong unless the stored value is the one that the entries lead to."""
    if stored != by_entries:
        yield about, f"{what} is {stored}, but by the entries it is {by_entries}."


item_checks: Checks[AboutItem, Books] = Checks()
"""Checks of what is stored, before any entry is read."""

entry_checks: Checks[str, Tally, Entry] = Checks()
"""Checks of each entry against those before it, which the tally has. They yield sentences."""

step_checks: Checks[str, Tally, Entry] = Checks()
"""Checks of each entry that need the one directly before it: they do not run after a gap."""

account_checks: Checks[AboutItem, Tally, Account] = Checks()
"""Checks of the account against all its entries. Like the following, only if none is missing."""

record_checks: Checks[AboutItem, Tally] = Checks()
"""Checks of the records kept beside the entries, whether or not there is an account."""

payment_checks: Checks[AboutItem, Tally, Payment] = Checks()
"""Checks of each payment that exists and has an entry."""

"""What all checks have in common."""

from abc import ABC, abstractmethod
from collections.abc import Iterator

from scrip.domain.audit.books import Books
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.entries import Entry, EntryType

NEW_CREDITS = frozenset(
    {
        *(EntryType.SIGNUP, EntryType.PURCHASE, EntryType.PLAN),
        *(EntryType.ADMIN_GRANT, EntryType.PROMO, EntryType.REFERRAL),
    },
)
"""The types by which credits come that nobody had before."""

GAINS = NEW_CREDITS | {EntryType.ROLLOVER, EntryType.REFUND, EntryType.RESET}
"""The types by which a balance grows."""

LOSSES = frozenset(
    {EntryType.USAGE, EntryType.EXPIRY, EntryType.ADMIN_DEDUCT, EntryType.CLAWBACK},
)
"""The types by which a balance shrinks. All others move nothing or only within the account."""

INTO_GRANTS = GAINS | {EntryType.RELEASE}
"""The types whose allocations went into grants; those of all others came out of them."""


class Reporter:
    """What tells findings about one account."""

    def __init__(self, books: Books) -> None:
        """Know the account and what is kept beside its entries."""
        self.books = books

    def found(self, code: Code, about: str, sentence: str, entry: Entry | None = None) -> Finding:
        """Return a finding."""
        return Finding(
            code=code,
            account_id=self.books.account_id,
            about=about,
            sentence=sentence,
            entry_id=entry.entry_id if entry else None,
            seq=entry.seq if entry else None,
        )

    def found_in(self, entry: Entry, code: Code, sentence: str) -> Finding:
        """Return a finding about an entry."""
        return self.found(code, f"entry {entry.entry_id}", sentence, entry)


class Check(Reporter, ABC):
    """One promise, checked entry by entry and, once all were seen, against what stands beside."""

    @abstractmethod
    def take(self, entry: Entry) -> Iterator[Finding]:
        """Look at the next entry."""

    def close(self) -> Iterator[Finding]:
        """Compare what the entries came to. Only when every one of them was seen."""
        yield from ()


def is_capture(entry: Entry) -> bool:
    """Tell whether an entry spends what was held."""
    return entry.type is EntryType.USAGE and entry.hold_id is not None


def moved(entry: Entry) -> int:
    """Return what an entry's allocations came to: into grants, or below 0 out of them."""
    total = sum(allocation.amount for allocation in entry.allocations)
    return total if entry.type in INTO_GRANTS else -total

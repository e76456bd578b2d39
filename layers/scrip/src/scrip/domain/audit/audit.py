"""The audit: whether what the table holds of an account is what its entries say.

Nothing of the rules is used. The entries are added up anew, one after the other, as an outsider
would: what an entry says of itself, what it says of the one before, and what all of them together
leave in the account, in each grant, and in all that is kept beside them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby, islice

from scrip.domain.audit.books import Books, StoredEntry
from scrip.domain.audit.checks.account import Counters, Grants, Holds, Status
from scrip.domain.audit.checks.check import Check, Reporter
from scrip.domain.audit.checks.derived_records import (
    AdminChanges,
    HoldEnds,
    Names,
    Payments,
    Periods,
    Refunds,
    Usage,
)
from scrip.domain.audit.checks.ledger import Chain, Sums
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.payments import Payment

SAME_SEQ_MAX = 10
"""So many entries of one seq are looked at; more than one is wrong."""


def audit(
    books: Books,
    entries: Iterable[StoredEntry],
    find_payments: Callable[[Collection[str]], Mapping[str, Payment]],
    now: datetime,
) -> Iterator[Finding]:
    """Yield what is wrong with an account.

    `entries` come by seq. They are seen once and not kept: what grows with their number is only
    what is kept of refunded entries, payments and days of use. `find_payments` returns payments by
    their ids, as far as they are there; it is asked once, when all entries were seen.
    """
    items = Reporter(books)
    chain, sums = Chain(books), Sums(books)
    derived: list[Check] = [
        *(Grants(books), Holds(books), Counters(books), Status(books), Refunds(books)),
        *(Usage(books, now), Periods(books), Payments(books, find_payments)),
        *(AdminChanges(books), HoldEnds(books)),
    ]
    yield from _items(items)
    yield from Names(books).close()
    for seq, group in groupby(entries, key=lambda stored: stored.seq):
        same_seq = list(islice(group, SAME_SEQ_MAX))
        if books.account is not None and not 0 < seq <= books.account.seq_last:
            told = f"Its seq is {seq}, and the account's newest entry is {books.account.seq_last}."
            about = f"entry {same_seq[0].entry_id}"
            yield items.found(Code.ENTRY_BEYOND_ACCOUNT, about, told, same_seq[0].entry)
            if seq > 0:
                break  # whoever goes on adding entries would never let it come to an end
            continue
        yield from chain.numbered(same_seq)
        entry = chain.choose(same_seq)
        if entry is None:
            chain.skip(seq)
            continue
        # What follows on a gap cannot be checked against the entry before it.
        follows = chain.newest_hash is not None
        yield from chain.take(entry)
        if follows:
            yield from sums.take(entry)
        else:
            sums.resume(entry)
        for check in derived:
            yield from check.take(entry)
    yield from chain.end()
    if chain.is_whole:
        for check in (sums, *derived):
            yield from check.close()


def _items(items: Reporter) -> Iterator[Finding]:
    """Tell of items that are not there or nobody can read, whatever the entries say."""
    books = items.books
    for about in books.unreadable:
        yield items.found(Code.ITEM_UNREADABLE, about, "It cannot be read.")
    if books.account is None and "account" not in books.unreadable:
        told = "There are entries or other items of this account, and no account."
        yield items.found(Code.ACCOUNT_MISSING, "account", told)
    if books.unknown:
        told = f"It has attributes that Scrip did not write: {', '.join(sorted(books.unknown))}."
        yield items.found(Code.UNKNOWN_ATTRIBUTE, "account", told)
    for about, names in books.unknown_beside.items():
        told = f"It has attributes that Scrip did not write: {', '.join(sorted(names))}."
        yield items.found(Code.UNKNOWN_ATTRIBUTE, about, told)
    for entry_id in books.unnumbered:
        told = "It has no seq, so no list of entries shows it."
        yield items.found(Code.ENTRY_WITHOUT_SEQ, f"entry {entry_id}", told)

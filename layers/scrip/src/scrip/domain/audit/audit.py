"""The audit: whether what the table holds of an account is what its entries say.

It uses none of the ledger's rules. It adds the entries up one after the other, as an outsider
would, and checks what each says of itself, what it says of the one before, and what all of them
together leave in the account, in each grant, and in the records beside them.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain, groupby, islice

from scrip.domain.audit.books import Books, StoredEntry
from scrip.domain.audit.checkpoint import Checkpoint
from scrip.domain.audit.checks.check import (
    AboutItem,
    account_checks,
    entry_checks,
    item_checks,
    payment_checks,
    record_checks,
    step_checks,
)
from scrip.domain.audit.checks.items import unknown_attributes
from scrip.domain.audit.conventions import payment_of
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.audit.tally import Tally
from scrip.domain.entries import Entry, chain_hash
from scrip.domain.payments import Payment

SAME_SEQ_MAX = 10
"""The most entries of one seq that are read; more than one is wrong."""


type FindPayments = Callable[[Collection[str]], Mapping[str, Payment]]


def audit(
    books: Books,
    entries: Iterable[StoredEntry],
    find_payments: FindPayments,
    now: datetime,
) -> Iterator[Finding]:
    """Yield what is wrong with an account.

    `entries` come by seq, are read once and not kept. `find_payments` returns those payments, by
    their IDs, that exist; it is called at most once, after the last entry.
    """
    yield from audit_onto(Tally(books, now), entries, find_payments)


def audit_onto(
    tally: Tally, entries: Iterable[StoredEntry], find_payments: FindPayments
) -> Iterator[Finding]:
    """Yield what is wrong with an account whose first entries a tally may have added up already.

    Afterwards the tally has kept the next checkpoint, unless an entry was missing.
    """
    yield from audit_entries(tally, entries)
    payment_ids = payments_booked(tally)
    yield from audit_sums(tally, find_payments(payment_ids) if payment_ids else {})


def audit_entries(tally: Tally, entries: Iterable[StoredEntry]) -> Iterator[Finding]:
    """Yield what is wrong with an account's items and entries, and add the entries up."""
    books = tally.books
    for code, (about, sentence) in item_checks.run(books):
        yield books.finding(code, about, sentence)
    for found in _in_sequence(tally, entries):
        if isinstance(found, Finding):
            yield found
        else:
            if found.recorded_at >= tally.unsettled:
                tally.keep()
            yield from _audit_entry(tally, found)
            tally.add(found)
    tally.keep()
    account = books.account
    if account is not None and tally.hash not in {None, account.hash}:
        sentence = f"The account does not hold the hash of its newest entry, {account.seq_last}."
        yield books.finding(Code.NEWEST_HASH_WRONG, "account", sentence)


def payments_booked(tally: Tally) -> set[str]:
    """Return the IDs of the payments that the entries book."""
    return {payment_of(name) for name in tally.paid.keys() | tally.taken_back.keys()}


def audit_sums(tally: Tally, payments: Mapping[str, Payment]) -> Iterator[Finding]:
    """Yield what is wrong with the account and all records, by what the entries add up to.

    `payments` are at least those booked that exist. After a gap nothing is compared.
    """
    if not tally.is_whole:
        return
    tally.payments = {
        name: payments[payment_of(name)]
        for name in tally.paid.keys() | tally.taken_back.keys()
        if payment_of(name) in payments
    }
    for code, (about, sentence) in _audit_whole(tally):
        yield tally.books.finding(code, about, sentence)


def next_checkpoint(
    books: Books, entries: Sequence[StoredEntry], find_payments: FindPayments, now: datetime
) -> Checkpoint | None:
    """Return the next checkpoint of an account if its entries from the last one on are all right.

    None means that the account has to be audited whole, and not that something is wrong: newer
    entries can depend on more than a checkpoint keeps. What stands beside older entries is not
    looked at, because it grows without limit.
    """
    last = books.checkpoint
    if last is None or last.state is None or not entries:
        return None
    (first, *newer), names = entries, {stored.entry_id for stored in entries[1:]}
    if first.unknown or first.entry is None or chain_hash(first.entry) != last.hash:
        return None
    since = last.state.before.date()
    grants = last.state.origins.keys() | {f"g{stored.seq}" for stored in newer}
    near = replace(
        books,
        refunded={},
        hold_ends={hold: by for hold, by in books.hold_ends.items() if by in names},
        retired={name: grant for name, grant in books.retired.items() if name in grants},
        terms={},
        usage={day: usage for day, usage in books.usage.items() if day >= since},
        audited=books.audited & names,
    )
    tally = Tally(near, now)
    tally.resume(last.state, first.entry)
    return None if any(audit_onto(tally, newer, find_payments)) else tally.kept


def _audit_entry(tally: Tally, entry: Entry) -> Iterator[Finding]:
    """Check the next entry."""
    found = entry_checks.run(tally, entry)
    if tally.hash is not None:
        found = chain(found, step_checks.run(tally, entry))
    for code, sentence in found:
        yield tally.books.finding(code, f"entry {entry.entry_id}", sentence, entry)


def _audit_whole(tally: Tally) -> Iterator[tuple[Code, AboutItem]]:
    """Check the account and all records against the whole of the entries."""
    if tally.account is not None:
        yield from account_checks.run(tally, tally.account)
    yield from record_checks.run(tally)
    for name in sorted(tally.paid.keys() & tally.payments.keys()):
        if not tally.has_moved(name):
            yield from payment_checks.run(tally, tally.payments[name])


def _in_sequence(tally: Tally, entries: Iterable[StoredEntry]) -> Iterator[Finding | Entry]:
    """Yield one readable entry of each seq, and what is wrong with the sequence 1, 2, 3 ..."""
    books, account = tally.books, tally.account
    for seq, group in groupby(entries, key=lambda stored: stored.seq):
        first, *others = islice(group, SAME_SEQ_MAX)
        if account is not None and not 0 < seq <= account.seq_last:
            about = f"entry {first.entry_id}"
            sentence = f"Its seq is {seq}, but the account's newest entry is {account.seq_last}."
            yield books.finding(Code.ENTRY_BEYOND_ACCOUNT, about, sentence, first.entry)
            if seq > 0:
                break  # otherwise entries that keep being added would never let it end
            continue
        yield from _audit_seq(tally, [first, *others])
        yield from _missing_before(tally, seq)
        entry = _choose(tally, [first, *others])
        if entry is None:
            tally.skip(seq)
        else:
            yield entry
    if account is not None:
        yield from _missing_before(tally, account.seq_last + 1)


def _audit_seq(tally: Tally, same_seq: Sequence[StoredEntry]) -> Iterator[Finding]:
    """Check that a seq has one entry, which can be read."""
    books, seq = tally.books, same_seq[0].seq
    for stored in same_seq:
        about = f"entry {stored.entry_id}"
        if stored.entry is None:
            yield books.finding(Code.ITEM_UNREADABLE, about, f"Entry {seq} cannot be read.")
        if stored.unknown:
            sentence = unknown_attributes(stored.unknown)
            yield books.finding(Code.UNKNOWN_ATTRIBUTE, about, sentence, stored.entry)
    if len(same_seq) > 1:
        names = ", ".join(sorted(stored.entry_id for stored in same_seq))
        sentence = f"Several entries have seq {seq}: {names}."
        yield books.finding(Code.SEQ_REPEATED, f"seq {seq}", sentence)


def _missing_before(tally: Tally, seq: int) -> Iterator[Finding]:
    """Report the entries between the last one and a seq, and pass over them."""
    first, last = tally.seq + 1, seq - 1
    if first <= last:
        which = f"Entry {first} is" if first == last else f"Entries {first} to {last} are"
        yield tally.books.finding(Code.ENTRY_MISSING, f"seq {first}", f"{which} missing.")
        tally.skip(last)


def _choose(tally: Tally, same_seq: Sequence[StoredEntry]) -> Entry | None:
    """Return the readable entry of a seq, of several the one that continues the chain."""
    readable = [stored.entry for stored in same_seq if stored.entry]
    if len(readable) > 1:
        readable.sort(
            key=lambda entry: entry.previous_hash == tally.hash and entry.hash == chain_hash(entry)
        )
    return readable[-1] if readable else None

"""Checks of the entries by themselves: each as its hash says, none missing, sums that run."""

from collections.abc import Iterator, Sequence

from scrip.domain.audit.books import StoredEntry
from scrip.domain.audit.checks.check import GAINS, LOSSES, Check, is_capture, moved
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.entries import GENESIS_HASH, Entry, EntryType, chain_hash


class Chain(Check):
    """Entries count 1, 2, 3 ..., each holds the hash of the one before, the account the newest."""

    seq = 0
    newest_hash: bytes | None = GENESIS_HASH
    """Of the last entry seen; None where that could not be read."""
    is_whole = True
    """Whether every entry was there so far, and could be read."""

    def choose(self, same_seq: Sequence[StoredEntry]) -> Entry | None:
        """Return the entry of a seq, None if it cannot be read; of several the one that fits."""
        readable = [stored.entry for stored in same_seq if stored.entry]
        if len(readable) > 1:
            readable.sort(key=self._fits)
        return readable[-1] if readable else None

    def numbered(self, same_seq: Sequence[StoredEntry]) -> Iterator[Finding]:
        """Look at the entry, or entries, of the next seq."""
        seq = same_seq[0].seq
        for stored in same_seq:
            about = f"entry {stored.entry_id}"
            if stored.entry is None:
                yield self.found(Code.ITEM_UNREADABLE, about, f"Entry {seq} cannot be read.")
            if stored.unknown:
                names = ", ".join(sorted(stored.unknown))
                told = f"It has attributes that Scrip did not write: {names}."
                yield self.found(Code.UNKNOWN_ATTRIBUTE, about, told, stored.entry)
        if len(same_seq) > 1:
            names = ", ".join(sorted(stored.entry_id for stored in same_seq))
            told = f"The seq {seq} stands in several entries: {names}."
            yield self.found(Code.SEQ_REPEATED, f"seq {seq}", told)
        yield from self._missing_before(seq)

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Check the entry's own hash, and that it continues the chain."""
        if chain_hash(entry) != entry.hash:
            told = f"Entry {entry.seq} is not what its hash says: it was edited."
            yield self.found_in(entry, Code.ENTRY_HASH_WRONG, told)
        if self.newest_hash is not None and entry.previous_hash != self.newest_hash:
            told = f"Entry {entry.seq} does not hold the hash of the entry before it."
            yield self.found_in(entry, Code.CHAIN_BROKEN, told)
        self.seq, self.newest_hash = entry.seq, entry.hash

    def skip(self, seq: int) -> None:
        """Pass over an entry that cannot be read."""
        self.seq, self.newest_hash, self.is_whole = seq, None, False

    def end(self) -> Iterator[Finding]:
        """Check that the chain ends where the account says."""
        account = self.books.account
        if account is None:
            return
        yield from self._missing_before(account.seq_last + 1)
        if self.newest_hash is not None and account.hash != self.newest_hash:
            told = f"The account does not hold the hash of its newest entry, {account.seq_last}."
            yield self.found(Code.NEWEST_HASH_WRONG, "account", told)

    def _missing_before(self, seq: int) -> Iterator[Finding]:
        first, last = self.seq + 1, seq - 1
        if first <= last:
            told = f"Entry {first} is" if first == last else f"Entries {first} to {last} are"
            yield self.found(Code.ENTRY_MISSING, f"seq {first}", f"{told} missing.")
            self.skip(last)

    def _fits(self, entry: Entry) -> bool:
        return entry.previous_hash == self.newest_hash and entry.hash == chain_hash(entry)


class Sums(Check):
    """What each entry says of balance, held and debt follows from the one before, and from it."""

    balance = 0
    held = 0
    debt = 0

    def take(self, entry: Entry) -> Iterator[Finding]:
        """Check one entry against the sums of the one before."""
        held, debt = entry.held_after - self.held, entry.debt_after - self.debt
        if entry.balance_after != self.balance + entry.amount:
            told = f"It says a balance of {entry.balance_after} after {entry.amount:+}, "
            told += f"and before it was {self.balance}."
            yield self.found_in(entry, Code.BALANCE_WRONG, told)
        if not self._may_hold(entry, held):
            told = f"It says {entry.held_after} held, and before it was {self.held}."
            yield self.found_in(entry, Code.HELD_WRONG, told)
        if not self._may_owe(entry, debt):
            told = f"It says a debt of {entry.debt_after}, and before it was {self.debt}."
            yield self.found_in(entry, Code.DEBT_WRONG, told)
        # What a capture spends may come out of its hold or out of grants; both are allocations.
        explained = moved(entry) - debt + (0 if is_capture(entry) else held)
        if explained != entry.amount:
            told = f"It changes the balance by {entry.amount:+}; by what it says of grants, "
            told += f"holds and debt it would be {explained:+}."
            yield self.found_in(entry, Code.ENTRY_NOT_EXPLAINED, told)
        if not self._may_be(entry):
            told = f"An entry of the type {entry.type} cannot change a balance by {entry.amount:+}."
            yield self.found_in(entry, Code.TYPE_WRONG, told)
        self.resume(entry)

    def resume(self, entry: Entry) -> None:
        """Go on from what an entry says, so that one fault is not told of all that follow."""
        self.balance, self.held = entry.balance_after, entry.held_after
        self.debt = entry.debt_after

    def close(self) -> Iterator[Finding]:
        """Check that the account says what its newest entry says, and is the sum of its parts."""
        account = self.books.account
        if account is None:
            return
        if self.books.balance != account.balance:
            told = f"The balance is {self.books.balance}, and grants and holds less debt are "
            told += f"{account.balance}."
            yield self.found(Code.BALANCE_WRONG, "account", told)
        if self.books.balance != self.balance:
            told = f"The balance is {self.books.balance}, and by its entries {self.balance}."
            yield self.found(Code.BALANCE_WRONG, "account", told)
        if account.held != self.held:
            told = f"{account.held} credits are held, and by its entries {self.held}."
            yield self.found(Code.HELD_WRONG, "account", told)
        if account.debt != self.debt:
            told = f"The debt is {account.debt}, and by its entries {self.debt}."
            yield self.found(Code.DEBT_WRONG, "account", told)

    def _may_hold(self, entry: Entry, change: int) -> bool:
        match entry.type:
            case EntryType.HOLD | EntryType.RELEASE:
                return change == -moved(entry)
            case EntryType.USAGE if is_capture(entry):
                return moved(entry) <= change <= 0
            case EntryType.ADMIN_DEDUCT:
                return change in {0, -self.held}  # closing an account takes what is held, too
        return not change

    def _may_owe(self, entry: Entry, change: int) -> bool:
        match entry.type:
            case EntryType.USAGE | EntryType.CLAWBACK:
                return change >= 0
            case EntryType.DEBT_SETTLED:
                return change == moved(entry)
        return not change

    @staticmethod
    def _may_be(entry: Entry) -> bool:
        if entry.amount > 0:
            return entry.type in GAINS
        return not entry.amount or entry.type in LOSSES

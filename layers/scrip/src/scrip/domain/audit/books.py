"""Books: what the table holds of one account, as the audit reads it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from scrip.domain.account import Account
from scrip.domain.audit.checkpoint import Checkpoint
from scrip.domain.audit.findings import Code, Finding
from scrip.domain.entries import Entry
from scrip.domain.grants import Grant
from scrip.domain.terms import Term
from scrip.domain.usage import DayUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as it was found. `entry` is None if it cannot be read.

    `unknown` are the attributes that Scrip would not have written.
    """

    entry_id: str
    seq: int
    entry: Entry | None
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """An account with everything that is stored beside its entries.

    - `account`: None if it is missing, or if it is among the `unreadable` items.
    - `balance`: the stored one. `listed`: whether the directory lists the account by its anchor.
    - `refunded`: refunded totals by entry. `hold_ends`: by hold, the entry that ended it.
    - `retired` grants and `terms` have left the account's item, by ID. `usage`: by day.
    - `audited`: the entries that audit records name. `closings`: those that closed the account.
    - `names`: outside names, each with the account that it leads to.
    - `unnumbered`: entries without a seq.
    - `unknown`, `unknown_beside`: attributes that Scrip did not write, of the account and by item.
    - `digest`: that of the account's item. `checkpoint`: the last one, if there is one.
    """

    account_id: str
    account: Account | None
    balance: int | None = None
    listed: bool = True
    unknown: frozenset[str] = frozenset()
    refunded: Mapping[str, int] = field(default_factory=dict)
    hold_ends: Mapping[str, str] = field(default_factory=dict)
    retired: Mapping[str, Grant] = field(default_factory=dict)
    terms: Mapping[str, Term] = field(default_factory=dict)
    usage: Mapping[date, DayUsage] = field(default_factory=dict)
    audited: frozenset[str] = frozenset()
    closings: frozenset[str] = frozenset()
    names: Mapping[str, str | None] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    unknown_beside: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unnumbered: tuple[str, ...] = ()
    digest: bytes = b""
    checkpoint: Checkpoint | None = None

    def finding(self, code: Code, about: str, sentence: str, entry: Entry | None = None) -> Finding:
        """Return a finding about an item of the account, which may be an entry."""
        return Finding(
            code=code,
            account_id=self.account_id,
            about=about,
            sentence=sentence,
            entry_id=entry.entry_id if entry else None,
            seq=entry.seq if entry else None,
        )

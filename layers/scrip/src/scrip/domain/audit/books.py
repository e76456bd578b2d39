"""Books: what the table holds of one account, as the audit takes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from scrip.domain.account import Account
from scrip.domain.entries import Entry
from scrip.domain.grants import Grant
from scrip.domain.usage import DayUsage


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as it was found. `entry` is None where nobody can read it.

    `unknown` are the attributes that Scrip would not have written.
    """

    entry_id: str
    seq: int
    entry: Entry | None
    unknown: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """An account with all that is kept beside its entries.

    `account` is None where there is none, or nobody can read it: then it is among the `unreadable`
    items. `balance` is the one that is stored, and `listed` says whether the directory lists the
    account where its anchor puts it. `refunded` are the totals by entry, `hold_ends` the entries
    that are said to have ended holds, by the hold, `retired` the grants that have left the
    account's item, by their ids, `audited` the entries that audit records name, `closings` those of
    them that closed the account, `names` the outside names with the account that each leads to,
    `unnumbered` the entries that have no seq, and `unknown_beside` the attributes of items beside
    the account that Scrip did not write.
    """

    account_id: str
    account: Account | None
    balance: int | None = None
    listed: bool = True
    unknown: frozenset[str] = frozenset()
    refunded: Mapping[str, int] = field(default_factory=dict)
    hold_ends: Mapping[str, str] = field(default_factory=dict)
    retired: Mapping[str, Grant] = field(default_factory=dict)
    usage: Mapping[date, DayUsage] = field(default_factory=dict)
    audited: frozenset[str] = frozenset()
    closings: frozenset[str] = frozenset()
    names: Mapping[str, str | None] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()
    unknown_beside: Mapping[str, frozenset[str]] = field(default_factory=dict)
    unnumbered: tuple[str, ...] = ()

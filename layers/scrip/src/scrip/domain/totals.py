"""Totals: what all accounts' entries of one day come to."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from scrip.domain.entries import ActorType, Entry, EntryType
from scrip.domain.usage import Line, add_up, with_lines

LINES_MAX = 200
"""How many lines are kept: the largest. The rest counts as OTHER, by type."""

OTHER = "(other)"
"""The feature of lines that are not kept. No feature has this name."""

ACCOUNTS_MAX = 50
"""How many accounts are kept: those that used most."""

CURRENCIES_MAX = 20
"""How many currencies of sales are kept; further ones count as the one that nobody named."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sales:
    """What was paid in one currency: `money` in its smallest unit, by `count` payments."""

    count: int = 0
    money: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """What entries of one day come to: all of the day's, or a part of them.

    `accounts` are those that used most, each with all credits that it used that day. `sales` are by
    currency, and have what providers said of payments; what was refunded since is not deducted.
    """

    lines: tuple[Line, ...] = ()
    accounts: Mapping[str, int] = field(default_factory=dict)
    sales: Mapping[str, Sales] = field(default_factory=dict)

    def with_entries(self, entries: Iterable[Entry], used: Mapping[str, int]) -> "Totals":
        """Return the totals with entries added; `used` is what their accounts used that day."""
        entries = list(entries)
        paid = _added(one for entry in entries if (one := _sale(entry)))
        return self + Totals(lines=with_lines((), entries), accounts=used, sales=paid)

    def __add__(self, other: "Totals") -> "Totals":
        """Return the totals of both parts of the entries."""
        accounts = Counter(self.accounts) | Counter(other.accounts)  # the larger of both
        return Totals(
            lines=_largest(add_up([*self.lines, *other.lines])),
            accounts=dict(accounts.most_common(ACCOUNTS_MAX)),
            sales=_added([*self.sales.items(), *other.sales.items()]),
        )


def _largest(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    if len(lines) <= LINES_MAX:
        return lines
    ranked = sorted(lines, key=lambda line: (line.feature == OTHER, -line.credits, -line.count))
    kept, rest = ranked[: LINES_MAX - len(EntryType)], ranked[LINES_MAX - len(EntryType) :]
    return add_up([*kept, *(replace(line, feature=OTHER, model=None) for line in rest)])


def _sale(entry: Entry) -> tuple[str, Sales] | None:
    """Return what a provider's message said was paid, if the entry books a payment."""
    said = entry.metadata or {}
    money, currency = said.get("money"), said.get("currency")
    if entry.actor.type is not ActorType.WEBHOOK or not isinstance(money, int) or money <= 0:
        return None
    return currency if isinstance(currency, str) else "", Sales(count=1, money=money)


def _added(sales: Iterable[tuple[str, Sales]]) -> dict[str, Sales]:
    added: dict[str, Sales] = {}
    for currency, one in sales:
        known = currency if currency in added or len(added) < CURRENCIES_MAX else ""
        so_far = added.get(known, Sales())
        added[known] = Sales(count=so_far.count + one.count, money=so_far.money + one.money)
    return added

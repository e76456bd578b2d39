"""What all accounts did by day, and who ran out of credits: what the console's first page shows."""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from functools import reduce
from operator import add
from typing import Annotated, NotRequired, TypedDict, cast

from pydantic import Field

from scrip.domain.entries import EntryType
from scrip.domain.totals import Totals
from scrip.domain.usage import Line, used
from scrip.http.accounts import ListedAccount, UnreadableAccount
from scrip.http.answers import IsoDate, IsoInstant

ACCOUNTS_SHOWN = 50

GRANTED = frozenset(
    {
        EntryType.SIGNUP,
        EntryType.PLAN,
        EntryType.PROMO,
        EntryType.REFERRAL,
        EntryType.ADMIN_GRANT,
    }
)
"""Credits that came without a payment of their own; a plan may be paid for."""


class TypeTotal(TypedDict):
    """The totals of all entries of a type; `amount` is their change of balances."""

    type: EntryType
    count: int
    amount: int


class DayTotals(TypedDict):
    """A day (UTC), in credits.

    `used` is what `uses` uses cost, on unlimited plans what they would have cost. `granted` has
    sign-ups, plans, promos and admins' grants, `bought` purchases.
    """

    day: IsoDate
    granted: int
    bought: int
    used: int
    refunded: int
    expired: int
    uses: int
    types: list[TypeTotal]


class UseTotal(TypedDict):
    """The uses of the feature or model with this name; null if none was named."""

    feature: NotRequired[Annotated[str | None, Field(default=None)]]
    model: NotRequired[Annotated[str | None, Field(default=None)]]
    credits: int
    count: int
    refunded: int
    meters: dict[str, int]


class AccountTotal(TypedDict):
    """What an account used on the days when it was among the 50 that used the most."""

    account_id: str
    credits: int


class SalesTotal(TypedDict):
    """What was paid in a currency, in its smallest unit, before any refunds."""

    currency: str
    count: int
    money: int


_From = TypedDict("_From", {"from": IsoDate})


class TotalsAnswer(_From):
    """The totals of all accounts, a few seconds behind, from a day to another (not included)."""

    to: IsoDate
    days: list[DayTotals]
    features: list[UseTotal]
    models: list[UseTotal]
    accounts: list[AccountTotal]
    sales: list[SalesTotal]


class RanOut(TypedDict):
    """An account that ran out of credits, when, and how it is now."""

    ran_out_at: IsoInstant
    account: ListedAccount | UnreadableAccount


class RanOutAnswer(TypedDict):
    """Accounts that ran out on a day (UTC), latest first, each once. The end: `cursor: null`."""

    ran_out: list[RanOut]
    cursor: str | None


def totals_json(found: Mapping[date, Totals], from_: date, to: date) -> TotalsAnswer:
    """Return the totals of days."""
    days = [from_ + timedelta(days=n) for n in range((to - from_).days)]
    whole = reduce(add, found.values(), Totals())
    lines = [line for totals in found.values() for line in used(totals.lines)]
    accounts: dict[str, int] = {}
    for totals in found.values():
        for account_id, credits_used in totals.accounts.items():
            accounts[account_id] = accounts.get(account_id, 0) + credits_used
    top = sorted(accounts.items(), key=lambda one: -one[1])[:ACCOUNTS_SHOWN]
    return {
        "from": from_.isoformat(),
        "to": to.isoformat(),
        "days": [_day_json(day, found.get(day, Totals()).lines) for day in days],
        "features": _uses_json(lines, "feature"),
        "models": _uses_json(lines, "model"),
        "accounts": [{"account_id": one, "credits": credits_used} for one, credits_used in top],
        "sales": [
            {"currency": currency, "count": one.count, "money": one.money}
            for currency, one in sorted(whole.sales.items())
        ],
    }


def _day_json(day: date, lines: Iterable[Line]) -> DayTotals:
    types = {one: TypeTotal(type=one, count=0, amount=0) for one in EntryType}
    costs = dict.fromkeys(EntryType, 0)
    for line in lines:
        types[line.type]["count"] += line.count
        types[line.type]["amount"] += line.amount
        costs[line.type] += line.credits
    return {
        "day": day.isoformat(),
        "granted": sum(types[one]["amount"] for one in GRANTED),
        "bought": types[EntryType.PURCHASE]["amount"],
        "used": costs[EntryType.USAGE],
        "refunded": costs[EntryType.REFUND],
        "expired": -types[EntryType.EXPIRY]["amount"],
        "uses": types[EntryType.USAGE]["count"],
        "types": [total for total in types.values() if total["count"]],
    }


def _uses_json(lines: Iterable[Line], group: str) -> list[UseTotal]:
    """Return the uses by feature or by model, the most credits first."""
    totals: dict[str | None, UseTotal] = {}
    for line in lines:
        name: str | None = getattr(line, group)
        total = totals.setdefault(
            name,
            {
                **cast("UseTotal", {group: name}),
                "credits": 0,
                "count": 0,
                "refunded": 0,
                "meters": {},
            },
        )
        if line.type is EntryType.REFUND:
            total["refunded"] += line.credits
        else:
            total["credits"] += line.credits
            total["count"] += line.count
        total["meters"] = dict(Counter(total["meters"]) + Counter(line.meters))
    return sorted(totals.values(), key=lambda total: -total["credits"])

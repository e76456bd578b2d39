"""Grants: buckets of credits with an expiry each, and the order in which they are spent."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum

GRANTS_MAX = 50
"""The most live grants that commands give an account.

It limits the size of the account item and the entries of one posting: all grants may expire at
once, and a transaction has room for 100 items.
"""

RETURNED_MAX = 60
"""The most grants with which a refund restores a retired one, so that its expiry is kept.

Beyond that its credits join the refund grant that lives longest.
"""

ROLLED_OVER = "rollover:"
"""The prefix of the source of a grant whose credits have rolled over."""

REFUND_LIFE = timedelta(days=7)
"""How long refunded credits live if the grant that they came from has expired."""

NEVER = datetime.max.replace(tzinfo=UTC)


class GrantKind(StrEnum):
    """Where the credits of a grant came from."""

    ROLLOVER = "rollover"
    PLAN = "plan"
    SIGNUP = "signup"
    PROMO = "promo"
    REFERRAL = "referral"
    ADMIN = "admin"
    REFUND = "refund"
    PURCHASE = "purchase"


ALLOWANCES = frozenset({GrantKind.PLAN, GrantKind.ROLLOVER})
"""The kinds of what a plan brings."""

PASSING = ALLOWANCES | {GrantKind.REFUND}
"""The kinds that may expire by rule: allowances, and what is refunded of them."""

PRIORITIES = {
    GrantKind.ROLLOVER: 10,
    GrantKind.PLAN: 20,
    GrantKind.SIGNUP: 30,
    GrantKind.PROMO: 30,
    GrantKind.REFERRAL: 30,
    GrantKind.ADMIN: 40,
    GrantKind.REFUND: 40,
    GrantKind.PURCHASE: 50,
}
"""The priority of each kind; the lowest is spent first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A bucket of credits.

    An exhausted grant stays with its account until it expires, so that a refund finds it. `source`
    names what it comes from: the entry that created it or, if that is the allowance of a month, the
    month. An `ended` grant has expired, but holds still have credits of it.
    """

    grant_id: str
    kind: GrantKind
    amount: int
    remaining: int
    granted_at: datetime
    expires_at: datetime | None = None
    source: str
    ended: bool = False

    @property
    def lot_id(self) -> str:
        """What its credits come from, even if they have rolled over."""
        return self.source.removeprefix(ROLLED_OVER)

    @property
    def priority(self) -> int:
        """The priority of the grant's kind; the lowest is spent first."""
        return PRIORITIES[self.kind]

    @property
    def expires_at_or_never(self) -> datetime:
        """When it expires, or NEVER."""
        return self.expires_at or NEVER

    @property
    def spend_order(self) -> tuple[int, datetime, datetime, int, str]:
        """Sort key for spending; of two grants of one instant, the lower number comes first."""
        number = len(self.grant_id), self.grant_id
        return self.priority, self.expires_at_or_never, self.granted_at, *number


@dataclass(frozen=True, slots=True)
class Allocation:
    """Credits that an entry moved into or out of one grant; the entry's amount has the sign."""

    grant_id: str
    amount: int


def refund_expiry(now: datetime) -> datetime:
    """Return when credits expire that are given back now and whose own grant has expired.

    That is after a week, rounded up to the hour, so that the refunds of one bad hour share a grant.
    """
    end = now + REFUND_LIFE + timedelta(hours=1) - timedelta(microseconds=1)
    return end.replace(minute=0, second=0, microsecond=0)


def live_count(grants: Iterable[Grant]) -> int:
    """Return how many grants have not ended."""
    return sum(not grant.ended for grant in grants)


def draw(
    grants: Sequence[Grant],
    credits_wanted: int,
) -> tuple[tuple[Grant, ...], tuple[Allocation, ...]]:
    """Take credits out of grants in spending order, as far as they go.

    Returns the grants afterwards and what was taken from each, in that order.
    """
    allocations = []
    left = credits_wanted
    for grant in sorted(grants, key=lambda grant: grant.spend_order):
        taken = min(left, grant.remaining)
        if taken:
            allocations.append(Allocation(grant.grant_id, taken))
            left -= taken
    return _moved(grants, allocations, sign=-1), tuple(allocations)


def joined(*allocations: Allocation) -> tuple[Allocation, ...]:
    """Return allocations with those of one grant merged, in the order they were taken."""
    amounts = Counter[str]()
    for allocation in allocations:
        amounts[allocation.grant_id] += allocation.amount
    return tuple(Allocation(grant_id, amount) for grant_id, amount in amounts.items())


def withdraw(grants: Sequence[Grant], allocations: Iterable[Allocation]) -> tuple[Grant, ...]:
    """Take named credits out of named grants; they must hold them."""
    return _moved(grants, allocations, sign=-1)


def give_back(grants: Sequence[Grant], allocations: Iterable[Allocation]) -> tuple[Grant, ...]:
    """Put named credits back into the grants that they came from."""
    return _moved(grants, allocations, sign=1)


def _moved(
    grants: Sequence[Grant],
    allocations: Iterable[Allocation],
    *,
    sign: int,
) -> tuple[Grant, ...]:
    moved = Counter[str]()
    for allocation in allocations:
        moved[allocation.grant_id] += sign * allocation.amount
    return tuple(
        replace(grant, remaining=grant.remaining + moved[grant.grant_id])
        if moved[grant.grant_id]
        else grant
        for grant in grants
    )


def with_refund_until(
    grants: Sequence[Grant],
    expires_at: datetime,
) -> tuple[tuple[Grant, ...], datetime | None]:
    """Return grants with room for a refund grant, and the expiry that it must have.

    Without room, the longest-lived refund grant is extended to the expiry: the new grant is merged
    into it, and no credits expire earlier for that.
    """
    end = expires_at
    refunds = [grant for grant in grants if grant.kind is GrantKind.REFUND]
    if live_count(grants) >= GRANTS_MAX and refunds:
        longest = max(refunds, key=lambda grant: grant.expires_at_or_never)
        end = max(end, longest.expires_at_or_never)
        longer = replace(longest, expires_at=_or_none(end))
        grants = [longer if grant is longest else grant for grant in grants]
    return tuple(grants), _or_none(end)


def _or_none(end: datetime) -> datetime | None:
    """Return when a grant expires; None for NEVER."""
    return None if end == NEVER else end


def add(grants: Sequence[Grant], new: Grant) -> tuple[tuple[Grant, ...], str]:
    """Add a grant, merged into a live one with the same kind (so priority) and expiry.

    A purchase gets its own grant while there is room, because it may be disputed on its own. An
    allowance is merged only into what the same month brought.

    Returns the grants afterwards and the ID of the grant that holds the new credits.
    """
    alone = new.kind is GrantKind.PURCHASE and live_count(grants) < GRANTS_MAX
    by_source = new.kind in ALLOWANCES
    for index, grant in enumerate(grants):
        same = grant.source == new.source if by_source else grant.expires_at == new.expires_at
        if grant.kind is new.kind and same and not alone and not grant.ended:
            merged = replace(
                grant,
                amount=grant.amount + new.amount,
                remaining=grant.remaining + new.remaining,
            )
            return (*grants[:index], merged, *grants[index + 1 :]), grant.grant_id
    return (*grants, new), new.grant_id

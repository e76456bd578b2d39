"""Upcoming changes: what time alone will do to an account, if nothing else happens."""

from dataclasses import dataclass
from datetime import datetime

from scrip.domain.account import Account, AccountStatus
from scrip.domain.catalog import Catalog
from scrip.domain.clocks import AHEAD_MAX
from scrip.domain.entitlement import Entitlement, entitled
from scrip.domain.settle import changes, settled

CHANGES_MAX = 50
"""The most changes that are returned together."""

INSTANTS_MAX = 500
"""At how many instants it is looked for them: at some nothing visible happens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What happens at an instant: the account just before and then, and its plans. Credits."""

    at: datetime
    before: Account
    after: Account
    entitled_before: Entitlement
    entitled_after: Entitlement

    @property
    def begins_period(self) -> bool:
        """Whether a period begins."""
        return self.entitled_after.start != self.entitled_before.start

    @property
    def granted(self) -> int:
        """New credits."""
        return self.after.granted_total - self.before.granted_total

    @property
    def expired(self) -> int:
        """Credits that are lost; what rolls over is not."""
        return self.before.balance + self.granted - self.after.balance

    @property
    def released(self) -> int:
        """Credits that holds no longer hold; some of them may expire at once."""
        return self.before.held - self.after.held

    @property
    def is_visible(self) -> bool:
        """Whether anything happens that a user can notice."""
        return (
            self.begins_period
            or self.entitled_after.plan.plan_id != self.entitled_before.plan.plan_id
            or (self.granted, self.expired, self.released) != (0, 0, 0)
        )


def foreseen(account: Account, catalog: Catalog, at: datetime) -> tuple[Account, Entitlement]:
    """Return an account as it will be if nothing but time happens to it, and its entitlement."""
    after = settled(account, catalog, at)
    return after, entitled(after, catalog, at)


def upcoming(
    account: Account,
    catalog: Catalog,
    now: datetime,
    changes_max: int,
) -> tuple[Change, ...]:
    """Return the next changes of an account by time alone, the soonest first.

    `now` is the account's own time. None is further ahead than AHEAD_MAX.
    """
    found: list[Change] = []
    lived = foreseen(account, catalog, now)
    if account.status is AccountStatus.CLOSED:
        return ()
    for _ in range(INSTANTS_MAX):
        following = min(changes(lived[0]))
        if following > now + AHEAD_MAX or len(found) == changes_max:
            break
        before, lived = lived, foreseen(lived[0], catalog, following)
        change = Change(
            at=following,
            before=before[0],
            after=lived[0],
            entitled_before=before[1],
            entitled_after=lived[1],
        )
        if change.is_visible:
            found.append(change)
    return tuple(found)

"""The account: a balance, the grants that make it up, and where it is in its periods."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

from scrip.domain.grants import Grant
from scrip.domain.periods import boundary


class AccountStatus(StrEnum):
    """Whether an account may spend."""

    ACTIVE = "active"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account at one version. Credits; instants in UTC.

    `period` counts from 0 at the anchor. `granted_total` is all that ever came in by grants (what
    rolled over or was refunded is not counted again), `consumed_total` all usage less refunds,
    `used` the same within the current period. `seq_last` and `hash` are the newest entry's.
    """

    account_id: str
    version: int
    status: AccountStatus = AccountStatus.ACTIVE
    plan_id: str
    time_zone: str = "UTC"
    anchor: datetime
    period: int
    seq_last: int
    hash: bytes
    used: int = 0
    granted_total: int = 0
    consumed_total: int = 0
    debt: int = 0
    grants: tuple[Grant, ...] = ()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone in which its months are counted."""
        return ZoneInfo(self.time_zone)

    @property
    def spendable(self) -> int:
        """Credits in grants, whatever is owed."""
        return sum(grant.remaining for grant in self.grants)

    @property
    def held(self) -> int:
        """Credits set aside by open holds; there are none yet."""
        return 0

    @property
    def balance(self) -> int:
        """Live grants' remaining and what is held, less debt."""
        return self.spendable + self.held - self.debt

    @property
    def available(self) -> int:
        """What a consume can draw on."""
        return self.balance - self.held

    def begins(self, period: int) -> datetime:
        """Return the first instant of a period."""
        return boundary(self.anchor, self.zone, period)

    @property
    def period_end(self) -> datetime:
        """The first instant after the current period."""
        return self.begins(self.period + 1)

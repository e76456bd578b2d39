"""Payments: what was bought for which amount of money, and how much of it was returned."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class DisputeOutcome(StrEnum):
    """The state of a dispute."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A payment's dispute: its state and the disputed amount of money."""

    outcome: DisputeOutcome
    money: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that bought credits for one account. Money is in the currency's smallest unit.

    Providers report returned money in two ways: as a running total and refund by refund. Both only
    grow and neither is ahead of the truth, so the larger one counts, in whatever order they are
    reported. `taken` are the credits taken back out of the payment's grant, `owed` those that had
    been spent and became debt, `unspent` those that were set aside when their grant expired.
    """

    payment_id: str
    account_id: str
    version: int = 1
    grant_id: str
    credits: int
    money: int
    returned: int = 0
    refunds: Mapping[str, int] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    taken: int = 0
    owed: int = 0
    unspent: int = 0

    @property
    def money_back(self) -> int:
        """Money known to be returned, by refunds and by lost disputes."""
        lost = sum(
            dispute.money
            for dispute in self.disputes.values()
            if dispute.outcome is DisputeOutcome.LOST
        )
        return max(self.returned, sum(self.refunds.values())) + lost

    @property
    def credits_back(self) -> int:
        """Credits that the returned money had bought, rounded down.

        If the price of the payment is unknown, any part of it counts as the whole.
        """
        if not (self.returned or self.refunds or self._lost_any):
            return 0
        if not self.money:
            return self.credits
        return self.credits * min(self.money_back, self.money) // self.money

    @property
    def is_returned(self) -> bool:
        """Whether all of its money was returned."""
        return self.credits_back == self.credits and self.money_back >= self.money

    @property
    def left(self) -> int:
        """Its credits that were not taken back."""
        return self.credits - self.taken - self.owed

    @property
    def _lost_any(self) -> bool:
        return any(dispute.outcome is DisputeOutcome.LOST for dispute in self.disputes.values())

    def with_returned(self, total: int) -> "Payment":
        """Return the payment with a running total of returned money."""
        return replace(self, returned=max(self.returned, total))

    def with_refund(self, refund_id: str, money: int) -> "Payment":
        """Return the payment with one refund; of two amounts for it, the larger counts."""
        money = max(money, self.refunds.get(refund_id, 0))
        return replace(self, refunds={**self.refunds, refund_id: money})

    def with_dispute(self, dispute_id: str, outcome: DisputeOutcome, money: int) -> "Payment":
        """Return the payment with the state of a dispute; one that is closed stays closed."""
        known = self.disputes.get(dispute_id)
        if known is not None and known.outcome is not DisputeOutcome.OPEN:
            return self
        dispute = Dispute(outcome=outcome, money=money)
        return replace(self, disputes={**self.disputes, dispute_id: dispute})

"""Payments: what was bought with which money, and how much of the money went back since."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum


class DisputeOutcome(StrEnum):
    """How a dispute stands."""

    OPEN = "open"
    WON = "won"
    LOST = "lost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A payment's dispute: how it stands, and the money that it is about."""

    outcome: DisputeOutcome
    money: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that brought credits, of one account for ever. Money is in the smallest unit.

    Providers tell of returned money in two ways, as a running total and refund by refund. Each
    only ever grows and neither is ahead of the truth, so the larger of the two is what is known,
    in whatever order it was told. `taken` are the credits that were taken back out of its grant,
    `owed` those that had been spent and became debt, `unspent` those that were set aside when their
    grant expired and are gone since.
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
        """What is known to have gone back: by refunds, and by disputes that were lost."""
        lost = sum(
            dispute.money
            for dispute in self.disputes.values()
            if dispute.outcome is DisputeOutcome.LOST
        )
        return max(self.returned, sum(self.refunds.values())) + lost

    @property
    def credits_back(self) -> int:
        """Credits that the money which went back had bought, rounded down.

        Where nobody told what the payment cost, any part of it is the whole.
        """
        told = self.returned or self.refunds or self._lost_any
        if not told:
            return 0
        if not self.money:
            return self.credits
        return self.credits * min(self.money_back, self.money) // self.money

    @property
    def is_returned(self) -> bool:
        """Whether all of its money went back."""
        return self.credits_back == self.credits and self.money_back >= self.money

    @property
    def left(self) -> int:
        """Credits of it that were not taken back."""
        return self.credits - self.taken - self.owed

    @property
    def _lost_any(self) -> bool:
        return any(dispute.outcome is DisputeOutcome.LOST for dispute in self.disputes.values())

    def with_returned(self, total: int) -> "Payment":
        """Return the payment as it is once a running total of returned money is known."""
        return replace(self, returned=max(self.returned, total))

    def with_refund(self, refund_id: str, money: int) -> "Payment":
        """Return the payment as it is once one refund is known; of two amounts the larger."""
        money = max(money, self.refunds.get(refund_id, 0))
        return replace(self, refunds={**self.refunds, refund_id: money})

    def with_dispute(self, dispute_id: str, outcome: DisputeOutcome, money: int) -> "Payment":
        """Return the payment as it is once a dispute is known; one that is over stays over."""
        known = self.disputes.get(dispute_id)
        if known is not None and known.outcome is not DisputeOutcome.OPEN:
            return self
        dispute = Dispute(outcome=outcome, money=money)
        return replace(self, disputes={**self.disputes, dispute_id: dispute})

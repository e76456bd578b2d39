"""Payments: what was bought for which amount of money, and how much of it was returned."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from fractions import Fraction

from scrip.domain.naming import Rank

type Share = tuple[int, int]
"""A part of a payment's money, and the whole, in the same unit."""


class DisputeOutcome(StrEnum):
    """The state of a dispute. Of two that are reported, the later in this order counts.

    Money that a lost dispute took may be reinstated, so a dispute that was won stays so.
    """

    OPEN = "open"
    LOST = "lost"
    WON = "won"


class RefundStatus(StrEnum):
    """The state of a refund. Of two that are reported, the later in this order counts.

    A refund that has succeeded may still fail, days later, and then it is over.
    """

    PENDING = "pending"
    REQUIRES_ACTION = "requires_action"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


RETURNING = frozenset({RefundStatus.PENDING, RefundStatus.SUCCEEDED})
"""The statuses of a refund that returns money: the others wait for the customer, or have failed."""


UNNAMED = "-"
"""Stands for the charge that nobody named: a map in DynamoDB has no empty names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """A charge of a payment: its amount, if known, and the most that was ever refunded of it."""

    charged: int = 0
    total: int = 0
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund, perhaps of a known charge."""

    money: int
    currency: str = ""
    charge_id: str = ""
    status: RefundStatus = RefundStatus.SUCCEEDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Dispute:
    """A payment's dispute: its state and the disputed amount; without an amount, all of it."""

    outcome: DisputeOutcome
    money: int
    currency: str = ""
    charge_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A payment that bought credits for one account, perhaps with several charges.

    Money is in the smallest unit of its currency; `presented_money` is the same price in the
    currency that the payer saw. The empty string is the currency, and the charge, that nobody
    named. What was returned is known from messages that come in any order, twice, or not at all,
    so each keeps the largest or last that it ever said.

    `taken` are the credits taken back out of the payment's grant, `owed` those that had been spent
    and became debt, `unspent` those that were set aside when their grant expired, and `forgiven`
    those owed that nobody has to pay.

    `rank` is what named the account. `to` is the account that is to have the payment after its own
    has given it up; `moved` counts how often it has moved.
    """

    payment_id: str
    account_id: str
    rank: Rank = Rank.ACCOUNT
    to: str | None = None
    moved: int = 0
    version: int = 1
    grant_id: str
    credits: int
    money: int
    currency: str = ""
    presented_money: int = 0
    presented_currency: str = ""
    charges: Mapping[str, Charge] = field(default_factory=dict)
    refunds: Mapping[str, Refund] = field(default_factory=dict)
    disputes: Mapping[str, Dispute] = field(default_factory=dict)
    taken: int = 0
    owed: int = 0
    unspent: int = 0
    forgiven: int = 0

    @property
    def entry_id(self) -> str:
        """The name of the entry that booked it for its account."""
        return booking_of(self.payment_id, self.moved)

    @property
    def share_back(self) -> Share | None:
        """The share of its money that was returned, by refunds and lost disputes; None if none."""
        return self._share(self._back)

    @property
    def share_disputed(self) -> Share | None:
        """The share of its money in open disputes that was not returned; None if there is none."""
        return self._share(min(self._in_disputes(DisputeOutcome.OPEN), 1 - self._back))

    @property
    def money_back(self) -> int:
        """Money known to be returned, at most the price."""
        return int(self._back * self.money)

    @property
    def money_disputed(self) -> int:
        """Money in open disputes that was not returned."""
        part, whole = self.share_disputed or (0, 1)
        return self.money * part // whole

    @property
    def credits_back(self) -> int:
        """Credits that the returned money had bought, rounded down."""
        part, whole = self.share_back or (0, 1)
        return self.credits * part // whole

    @property
    def is_returned(self) -> bool:
        """Whether all of its money was returned."""
        return self._back == 1

    @property
    def left(self) -> int:
        """Its credits that were not taken back."""
        return self.credits - self.taken - self.owed

    @property
    def _back(self) -> Fraction:
        """The returned share.

        Each of three ways to count refunds may miss some and finds none that is not there, so the
        largest counts: refund by refund; by the totals of charges, less what of them has failed;
        and by the total of the payment itself. For an account that has given it up, all is back.
        """
        if self.to is not None:
            return Fraction(1)
        named = {name: charge for name, charge in self.charges.items() if name != UNNAMED}
        by_refund = self._refunded(self.refunds.values())
        by_charge = sum(
            (self._of_charge(charge_id, charge) for charge_id, charge in named.items()),
            Fraction(0),
        )
        idle = [one for one in self.refunds.values() if one.status not in RETURNING]
        own = self.charges.get(UNNAMED, Charge())
        in_all = self._value(own.total, own.currency) - sum(map(self._worth, idle), Fraction(0))
        refunded = max(by_refund, by_charge, in_all)
        return min(Fraction(1), refunded + self._in_disputes(DisputeOutcome.LOST))

    def _of_charge(self, charge_id: str, charge: Charge) -> Fraction:
        known = [one for one in self.refunds.values() if one.charge_id == charge_id]
        idle = sum((self._worth(one) for one in known if one.status not in RETURNING), Fraction(0))
        total = self._value(charge.total, charge.currency, charge_id)
        return max(self._refunded(known), total - idle)

    def _refunded(self, refunds: Iterable[Refund]) -> Fraction:
        returning = (self._worth(one) for one in refunds if one.status in RETURNING)
        return sum(returning, Fraction(0))

    def _in_disputes(self, outcome: DisputeOutcome) -> Fraction:
        found = (
            self._worth(dispute) if dispute.money else Fraction(1)
            for dispute in self.disputes.values()
            if dispute.outcome is outcome
        )
        return min(Fraction(1), sum(found, Fraction(0)))

    def _worth(self, part: Refund | Dispute) -> Fraction:
        return self._value(part.money, part.currency, part.charge_id)

    def _value(self, money: int, currency: str, charge_id: str = "") -> Fraction:
        """Return the share of the payment that an amount in a currency is.

        If the price in that currency is unknown, any part of it counts as the whole.
        """
        charge = self.charges.get(charge_id or UNNAMED)
        if not currency or not self.currency or currency == self.currency:
            price = self.money
        elif currency == self.presented_currency:
            price = self.presented_money
        else:
            price = charge.charged if charge and charge.currency == currency else 0
        return Fraction(money, price) if price else Fraction(bool(money))

    def _share(self, part: Fraction) -> Share | None:
        if not part:
            return None
        money = part * self.money
        return (int(money), self.money) if money and money.is_integer() else part.as_integer_ratio()

    def with_total(
        self,
        charge_id: str,
        total: int,
        *,
        currency: str = "",
        charged: int = 0,
    ) -> "Payment":
        """Return the payment with the total refunded of a charge so far, whose amount `charged` is.

        The amount is 0 if it is not known, here and where one refund or dispute is reported.
        """
        charge_id = charge_id or UNNAMED
        known = self.charges.get(charge_id, Charge())
        charge = Charge(
            charged=max(charged, known.charged),
            total=max(total, known.total),
            currency=currency or known.currency,
        )
        return replace(self, charges={**self.charges, charge_id: charge})

    def with_refund(
        self,
        refund_id: str,
        money: int,
        *,
        status: RefundStatus = RefundStatus.SUCCEEDED,
        currency: str = "",
        charge_id: str = "",
        charged: int = 0,
    ) -> "Payment":
        """Return the payment with one refund."""
        known = self.refunds.get(refund_id, Refund(money=0, status=RefundStatus.PENDING))
        refund = Refund(
            money=max(money, known.money),
            currency=currency or known.currency,
            charge_id=charge_id or known.charge_id,
            status=max(status, known.status, key=list(RefundStatus).index),
        )
        known_charge = self.with_total(charge_id, 0, currency=currency, charged=charged)
        return replace(known_charge, refunds={**self.refunds, refund_id: refund})

    def with_dispute(
        self,
        dispute_id: str,
        outcome: DisputeOutcome,
        money: int,
        *,
        currency: str = "",
        charge_id: str = "",
        charged: int = 0,
    ) -> "Payment":
        """Return the payment with the state of a dispute."""
        known = self.disputes.get(dispute_id, Dispute(outcome=DisputeOutcome.OPEN, money=0))
        dispute = Dispute(
            outcome=max(outcome, known.outcome, key=list(DisputeOutcome).index),
            money=max(money, known.money),
            currency=currency or known.currency,
            charge_id=charge_id or known.charge_id,
        )
        known_charge = self.with_total(charge_id, 0, currency=currency, charged=charged)
        return replace(known_charge, disputes={**self.disputes, dispute_id: dispute})


def booking_of(payment_id: str, moved: int) -> str:
    """Return the name of the entry that books a payment, which has moved so often, for an account.

    Each time it is another, since a payment may come back to an account that has given it up.
    """
    return f"{payment_id}:moved:{moved}" if moved else payment_id

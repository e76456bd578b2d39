"""Facts: what a provider's message says, in Scrip's terms.

A message states any number of facts. Facts are additive and named after what happened (a payment,
an invoice) rather than after the message, so messages may arrive twice, late and in any order.

Names are strings of a kind and a value: `account:<account_id>`, `email:<address, lower case>`, or
`<provider>:<the provider's ID>` such as `stripe:cus_1`. All other IDs (of payments, subscriptions,
refunds, disputes) are `<provider>:<ID>`, too. Money is in the currency's smallest unit; it is 0
where the provider does not say. Instants are in UTC and whole milliseconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scrip.domain.errors import PayloadError
from scrip.domain.naming import Names
from scrip.domain.payments import DisputeOutcome, RefundStatus

PERIOD_START_MIN = datetime(2000, 1, 1, tzinfo=UTC)
PERIOD_MAX = timedelta(days=10 * 366)
"""A paid period that starts earlier or is longer is refused: its months are counted one by one."""

LINES_MAX = 50
"""How many lines of plans a payment may have: they are booked in one transaction."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unclear(Fact):
    """Part of a message that Scrip does not know. What it does know is applied all the same."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFact(Fact):
    """Something that happened to an account, which the message may name in several ways.

    The strongest name decides, as `domain.naming` describes. An account's ID, or a subscription
    that one has named, links the provider's other names to the account.
    """

    names: Names


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked(AccountFact):
    """The names belong together; nothing else happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerLinked(Linked):
    """The merchant's server has put the account's ID into the customer itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidFact(AccountFact):
    """Something was paid for. `payment_id` names the payment, or its invoice.

    `money` is the price, of which a refund gives back a part, whether cards or balances paid it.
    `presented_money` is the same price in the currency that the payer saw, where that is another.
    """

    payment_id: str
    money: int
    currency: str
    presented_money: int = 0
    presented_currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchased(PaidFact):
    """Credits were bought."""

    credits: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PaidLine:
    """What a payment pays for: `quantity` of a plan for the period [start, end).

    `plan_names` are the provider's IDs to look for in the plans' `provider_ids` (price, product,
    plan). `item_id` names the item of the subscription, or what stands for it if the message does
    not say (`has_item` is false). A `prorated` line pays for the rest of a period; a `credited` one
    gives it back, since it was paid for before.

    Raises:
        PayloadError: the period is empty, too long or too long ago.
    """

    item_id: str = ""
    plan_names: tuple[str, ...]
    quantity: int = 1
    start: datetime
    end: datetime
    prorated: bool = False
    credited: bool = False
    has_item: bool = True

    def __post_init__(self) -> None:
        """Check the period."""
        if self.start < PERIOD_START_MIN:
            raise PayloadError(f"a period's start: {self.start} is before {PERIOD_START_MIN}")
        if self.end <= self.start:
            raise PayloadError(f"a period's end: {self.end} is not after its start")
        if self.end - self.start > PERIOD_MAX:
            raise PayloadError(f"a period's end: {self.end} is over 10 years after its start")


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodPaid(PaidFact):
    """A subscription was paid for: each of `lines`, of which there is at least one.

    `also` has further names of the payment, such as its payment intent; another message for the
    same period may have others.
    """

    also: tuple[str, ...] = ()
    subscription_id: str
    lines: tuple[PaidLine, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionUpdated(AccountFact):
    """The status of a subscription at `at`, by the provider's clock. It moves no credits.

    `ended` means that it will not be paid again; what has been paid for lasts until its end.
    """

    subscription_id: str
    status: str
    ended: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentNamed(Fact):
    """A payment has further names: an invoice's payment intent that comes in its own message."""

    payment_id: str
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyFact(Fact):
    """Something happened to the money of a payment, or of one of its charges.

    `payment_ids` are the names that the payment may be known by. `charged` is the whole charge, in
    the same `currency`; 0 if the message does not say.
    """

    payment_ids: tuple[str, ...]
    charge_id: str = ""
    currency: str = ""
    charged: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ChargeRefunded(MoneyFact):
    """The `total` that has been refunded so far, in any number of refunds."""

    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refunded(MoneyFact):
    """One refund of `money`, which may fail later."""

    refund_id: str
    money: int
    status: RefundStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed(MoneyFact):
    """`money` is disputed, or the dispute is over. It is 0 if all of the payment is disputed."""

    dispute_id: str
    outcome: DisputeOutcome
    money: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCreated(Fact):
    """A user signed up with an identity provider whose user IDs are account IDs.

    `emails` are the addresses that the provider has verified.
    """

    account_id: str
    emails: tuple[str, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeleted(Fact):
    """An identity provider's user was deleted."""

    account_id: str

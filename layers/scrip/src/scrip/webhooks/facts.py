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
from scrip.domain.payments import DisputeOutcome

PERIOD_START_MIN = datetime(2000, 1, 1, tzinfo=UTC)
PERIOD_MAX = timedelta(days=10 * 366)
"""A paid period that starts earlier or is longer is refused: its months are counted one by one."""


@dataclass(frozen=True, slots=True)
class Fact:
    """Something that happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountFact(Fact):
    """Something that happened to an account, which the message may name in several ways.

    `names` has the most trusted first: an explicit account ID (`client_reference_id`, metadata
    `account_id`), the provider's customer, an email address. Once one of them leads to an account,
    the provider's own names among them are linked to it.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked(AccountFact):
    """The names belong together; nothing else happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchased(AccountFact):
    """Credits were bought and paid for with `money`."""

    payment_id: str
    credits: int
    money: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodPaid(AccountFact):
    """A subscription was paid for the period [start, end). `payment_id` names the invoice.

    `plan_names` are the provider's IDs to look for in the plans' `provider_ids` (price, product,
    plan). `also` has further names of the payment, such as its payment intent; another message for
    the same period may have others. After a change of plan, `start` is the day of the change.

    Raises:
        PayloadError: the period is empty, too long or too long ago.
    """

    payment_id: str
    also: tuple[str, ...] = ()
    subscription_id: str
    plan_names: tuple[str, ...]
    start: datetime
    end: datetime
    money: int
    currency: str

    def __post_init__(self) -> None:
        """Check the period."""
        if self.start < PERIOD_START_MIN:
            raise PayloadError(f"a period's start: {self.start} is before {PERIOD_START_MIN}")
        if self.end <= self.start:
            raise PayloadError(f"a period's end: {self.end} is not after its start")
        if self.end - self.start > PERIOD_MAX:
            raise PayloadError(f"a period's end: {self.end} is over 10 years after its start")


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
class MoneyReturned(Fact):
    """A payment was refunded: `total` so far, or one refund (`refund_id` and its `money`).

    `payment_ids` are the names that the payment may be known by.
    """

    payment_ids: tuple[str, ...]
    total: int | None = None
    refund_id: str | None = None
    money: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed(Fact):
    """`money` of a payment is disputed, or the dispute is over."""

    payment_ids: tuple[str, ...]
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


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeleted(Fact):
    """An identity provider's user was deleted."""

    account_id: str

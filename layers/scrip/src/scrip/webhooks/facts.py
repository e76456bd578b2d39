"""Facts: what a provider's message says, in Scrip's words and free of the provider's.

A message tells any number of facts. Each is additive and named by what happened (a payment, an
invoice), not by the message, so that messages may come twice, late and in any order.

Names are strings of a kind and a value: `account:<account_id>`, `email:<address, lower case>`, or
`<provider>:<the provider's id>` such as `stripe:cus_1`. All other ids (of payments, subscriptions,
refunds, disputes) are `<provider>:<id>`, too. Money is in the currency's smallest unit; 0 is what a
provider that does not say tells, too. Instants are in UTC and whole milliseconds.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from scrip.domain.errors import PayloadError
from scrip.domain.payments import DisputeOutcome

PERIOD_START_MIN = datetime(2000, 1, 1, tzinfo=UTC)
PERIOD_MAX = timedelta(days=10 * 366)
"""No period is paid that begins before, or is longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """What every fact tells.

    `names` are those by which the message names the account, most trusted first: an explicit
    account id (`client_reference_id`, metadata `account_id`), the provider's customer, an email.
    The provider's own names among them are linked to the account once one of them leads to it.
    """

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked(Fact):
    """The names belong together, and nothing else happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchased(Fact):
    """Credits were bought and paid: `payment_id` names the payment, `money` what it cost."""

    payment_id: str
    credits: int
    money: int
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PeriodPaid(Fact):
    """A subscription was paid for a period [start, end): `payment_id` names the invoice.

    `plan_names` are the provider's ids that may stand in a plan's `provider_ids` (price, product,
    plan). `also` are further names of the same payment, such as its payment intent; another message
    of the same period may tell others. `start` is the day of the change when a plan was changed
    within a period.

    Raises:
        PayloadError: nobody is paid for so long, or so long ago; its months are counted one by one.
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
class PaymentNamed(Fact):
    """A payment has another name: the payment intent of an invoice, told by a message of its own.

    It names no account (`names` is empty).
    """

    payment_id: str
    also: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionTold(Fact):
    """How a subscription stands at `at`, the provider's time. It moves no credits.

    `ended` says that it will not be paid again: what is paid for lasts to its end.
    """

    subscription_id: str
    status: str
    ended: bool
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class MoneyReturned(Fact):
    """Money of a payment went back: `total` of it up to now, or one refund (`refund_id`, `money`).

    `payment_ids` are the names that the payment may be known by. `names` is empty.
    """

    payment_ids: tuple[str, ...]
    total: int | None = None
    refund_id: str | None = None
    money: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed(Fact):
    """A payment is disputed, or was: `money` of it. `names` is empty."""

    payment_ids: tuple[str, ...]
    dispute_id: str
    outcome: DisputeOutcome
    money: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserCreated(Fact):
    """Somebody signed up with an identity provider whose user ids are account ids.

    `emails` are the addresses that the provider has verified.
    """

    account_id: str
    emails: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UserDeleted(Fact):
    """Somebody's user was deleted."""

    account_id: str

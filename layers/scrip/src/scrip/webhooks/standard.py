"""Standard: Scrip's own payload, for any billing system, as docs/reference/webhooks.md has it.

Ids are the sender's: a customer, a subscription and a payment may have the same, so a name says
what it is of.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Self

from pydantic import ConfigDict, Field, model_validator

from scrip.domain.catalog import CREDITS_MAX
from scrip.domain.payments import DisputeOutcome
from scrip.webhooks.facts import (
    Disputed,
    Fact,
    Linked,
    MoneyReturned,
    PeriodPaid,
    Purchased,
    SubscriptionTold,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.shapes import MONEY_MAX, Instant, Shape, names, read

NO_CURRENCY = "xxx"
"""What ISO 4217 has for no currency."""

# Strict by name: the strictness of a model does not reach into a type alias.
type OwnId = Annotated[str, Field(strict=True, pattern="^[!-~]{1,128}$")]
type Email = Annotated[str, Field(strict=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")]
type OwnCredits = Annotated[int, Field(strict=True, ge=1, le=CREDITS_MAX)]
type OwnMoney = Annotated[int, Field(strict=True, ge=0, le=MONEY_MAX)]
type Currency = Annotated[str, Field(strict=True, pattern="^[a-z]{3}$")]


def facts(message: Message) -> tuple[Fact, ...]:
    """Return what a message tells.

    Raises:
        IgnoredError: its type is none of these.
        PayloadError: it is not as documented.
    """
    translator = TRANSLATORS.get(message.type)
    if translator is None:
        raise IgnoredError(f"{message.type} is not a type that Scrip knows")
    return (translator(message),)


class Data(Shape):
    """The data of a message: exact types, and no field that Scrip does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Owned(Data):
    """What belongs to an account, which is named in one way at least."""

    account_id: OwnId | None = None
    customer_id: OwnId | None = None
    email: Email | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not (self.account_id or self.customer_id or self.email):
            raise ValueError("name an account_id, a customer_id or an email")
        return self

    def names(self, subscription_id: str | None = None) -> tuple[str, ...]:
        """Whose it is."""
        return names(
            ("account", self.account_id),
            ("standard:subscription", subscription_id),
            ("standard:customer", self.customer_id),
            ("email", self.email),
        )


class Paid(Owned):
    """What was paid for. `money` is in the currency's smallest unit, 0 when nobody says."""

    money: OwnMoney = 0
    currency: Currency = NO_CURRENCY


class CreditsPurchased(Paid):
    """Credits were bought."""

    payment_id: OwnId
    credits: OwnCredits


def _purchased(message: Message) -> Fact:
    data = read(CreditsPurchased, message.payload, "data")
    return Purchased(
        names=data.names(),
        payment_id=f"standard:payment:{data.payment_id}",
        credits=data.credits,
        money=data.money,
        currency=data.currency,
    )


class SubscriptionRenewed(Paid):
    """A subscription was paid for a period; by its invoice if there is one, else by its payment."""

    payment_id: OwnId | None = None
    invoice_id: OwnId | None = None
    subscription_id: OwnId
    plan: OwnId
    period_start: Instant
    period_end: Instant

    @model_validator(mode="after")
    def _is_a_paid_period(self) -> Self:
        if not (self.payment_id or self.invoice_id):
            raise ValueError("name a payment_id or an invoice_id")
        if self.period_end <= self.period_start:
            raise ValueError("a period ends after it starts")
        return self


def _renewed(message: Message) -> Fact:
    data = read(SubscriptionRenewed, message.payload, "data")
    payment_id, *also = names(
        ("standard:invoice", data.invoice_id),
        ("standard:payment", data.payment_id),
    )
    return PeriodPaid(
        names=data.names(data.subscription_id),
        payment_id=payment_id,
        also=tuple(also),
        subscription_id=f"standard:subscription:{data.subscription_id}",
        plan_names=(data.plan,),
        start=data.period_start,
        end=data.period_end,
        money=data.money,
        currency=data.currency,
    )


class SubscriptionStatus(Data):
    """How a subscription stands: `status` is the sender's word for it."""

    subscription_id: OwnId
    status: Annotated[str, Field(strict=True, min_length=1, max_length=64)]
    at: Instant | None = None


def _subscription(message: Message) -> Fact:
    data = read(SubscriptionStatus, message.payload, "data")
    return SubscriptionTold(
        names=names(("standard:subscription", data.subscription_id)),
        subscription_id=f"standard:subscription:{data.subscription_id}",
        status=data.status,
        ended=message.type == "subscription.ended",
        at=data.at or message.sent_at,
    )


class PaymentRefunded(Data):
    """Money went back: `total` of the payment up to now, or the `money` of one refund."""

    payment_id: OwnId
    total: OwnMoney | None = None
    refund_id: OwnId | None = None
    money: OwnMoney | None = None

    @model_validator(mode="after")
    def _is_a_total_or_a_refund(self) -> Self:
        of_refund = {self.refund_id is not None, self.money is not None}
        if of_refund != {self.total is None}:
            raise ValueError("name a total, or a refund_id and its money")
        return self


def _refunded(message: Message) -> Fact:
    data = read(PaymentRefunded, message.payload, "data")
    return MoneyReturned(
        names=(),
        payment_ids=_payment_ids(data.payment_id),
        total=data.total,
        refund_id=data.refund_id and f"standard:refund:{data.refund_id}",
        money=data.money or 0,
    )


class PaymentDisputed(Data):
    """A payment is disputed, or was."""

    payment_id: OwnId
    dispute_id: OwnId
    outcome: DisputeOutcome
    money: OwnMoney = 0


def _disputed(message: Message) -> Fact:
    data = read(PaymentDisputed, message.payload, "data")
    return Disputed(
        names=(),
        payment_ids=_payment_ids(data.payment_id),
        dispute_id=f"standard:dispute:{data.dispute_id}",
        outcome=data.outcome,
        money=data.money,
    )


class DeletedUser(Data):
    """A user who is no more."""

    account_id: OwnId


def _user_deleted(message: Message) -> Fact:
    account_id = read(DeletedUser, message.payload, "data").account_id
    return UserDeleted(names=names(("account", account_id)), account_id=account_id)


class User(DeletedUser):
    """A user, with an address that the sender has verified."""

    email: Email | None = None


def _user_created(message: Message) -> Fact:
    data = read(User, message.payload, "data")
    return UserCreated(
        names=names(("account", data.account_id)),
        account_id=data.account_id,
        emails=(data.email.lower(),) if data.email else (),
    )


class AccountLinked(Owned):
    """A customer is an account's."""

    account_id: OwnId
    customer_id: OwnId


def _linked(message: Message) -> Fact:
    return Linked(names=read(AccountLinked, message.payload, "data").names())


def _payment_ids(payment_id: str) -> tuple[str, ...]:
    """Return what a payment may be known by; a sender may call an invoice its payment."""
    return names(("standard:payment", payment_id), ("standard:invoice", payment_id))


TRANSLATORS: Mapping[str, Callable[[Message], Fact]] = {
    "credits.purchased": _purchased,
    "subscription.renewed": _renewed,
    "subscription.updated": _subscription,
    "subscription.ended": _subscription,
    "payment.refunded": _refunded,
    "payment.disputed": _disputed,
    "user.created": _user_created,
    "user.deleted": _user_deleted,
    "account.linked": _linked,
}

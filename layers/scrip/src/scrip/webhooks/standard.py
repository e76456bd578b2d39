"""Standard: Scrip's own payload for any billing system, as docs/reference/webhooks.md describes it.

IDs are the sender's: a customer, a subscription and a payment may have the same one, so a name
includes what it is the ID of.
"""

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self, override

from pydantic import AfterValidator, ConfigDict, Field, model_validator

from scrip.domain.naming import Names
from scrip.domain.payments import DisputeOutcome
from scrip.webhooks.facts import (
    LINES_MAX,
    ChargeRefunded,
    CustomerLinked,
    Disputed,
    Fact,
    Linked,
    PaidLine,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
    UserCreated,
    UserDeleted,
)
from scrip.webhooks.messages import SECRET_PREFIX, Message, Scheme, base64_key
from scrip.webhooks.shapes import (
    MONEY_MAX,
    QUANTITY_MAX,
    REFUND_STATUSES,
    Credits,
    Event,
    Instant,
    Shape,
    names,
    read,
)

NO_CURRENCY = "xxx"
"""ISO 4217's code for no currency."""

# Strict by name: the strictness of a model does not reach into a type alias.
type OwnId = Annotated[str, Field(strict=True, pattern="^[!-~]{1,128}$")]
type OwnEmail = Annotated[
    str,
    Field(strict=True, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$"),
    AfterValidator(str.lower),
]
type OwnMoney = Annotated[int, Field(strict=True, ge=0, le=MONEY_MAX)]
type OwnQuantity = Annotated[int, Field(strict=True, ge=0, le=QUANTITY_MAX)]
type OwnFlag = Annotated[bool, Field(strict=True)]
type OwnCurrency = Annotated[str, Field(strict=True, pattern="^[a-z]{3}$")]


class Data(Event):
    """The data of a message: exact types, and no unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Owned(Data):
    """Something that belongs to an account, which is named in at least one way."""

    account_id: OwnId | None = None
    customer_id: OwnId | None = None
    email: OwnEmail | None = None

    @model_validator(mode="after")
    def _is_named(self) -> Self:
        if not (self.account_id or self.customer_id or self.email):
            raise ValueError("name an account_id, a customer_id or an email")
        return self

    def names(self, subscription_id: str | None = None) -> Names:
        """Return the names of the account."""
        return Names(
            accounts=names(("account", self.account_id)),
            subscriptions=names(("standard:subscription", subscription_id)),
            customers=names(("standard:customer", self.customer_id)),
            typed=names(("email", self.email)),
        )


class Paid(Owned):
    """Something that was paid for; `money` is in the currency's smallest unit."""

    money: OwnMoney = 0
    currency: OwnCurrency = NO_CURRENCY


class CreditsPurchased(Paid):
    """Credits were bought."""

    payment_id: OwnId
    credits: Credits

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield Purchased(
            names=self.names(),
            payment_id=f"standard:payment:{self.payment_id}",
            credits=self.credits,
            money=self.money,
            currency=self.currency,
        )


class Line(Shape):
    """A period of a plan that was paid for, or that is `credited`: given back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    item_id: OwnId | None = None
    plan: OwnId
    quantity: OwnQuantity = 1
    period_start: Instant
    period_end: Instant
    prorated: OwnFlag = False
    credited: OwnFlag = False


class SubscriptionRenewed(Paid):
    """A subscription was paid for one or several lines, the only one in the fields of its own.

    It is named by its invoice or else by its payment.
    """

    payment_id: OwnId | None = None
    invoice_id: OwnId | None = None
    subscription_id: OwnId
    item_id: OwnId | None = None
    plan: OwnId | None = None
    quantity: OwnQuantity = 1
    period_start: Instant | None = None
    period_end: Instant | None = None
    prorated: OwnFlag = False
    lines: Annotated[tuple[Line, ...], Field(min_length=1, max_length=LINES_MAX)] | None = None

    @model_validator(mode="after")
    def _is_paid(self) -> Self:
        if not (self.payment_id or self.invoice_id):
            raise ValueError("name a payment_id or an invoice_id")
        only = {"item_id", "plan", "quantity", "period_start", "period_end", "prorated"}
        if self.lines is not None and only & self.model_fields_set:
            raise ValueError("name what was paid for either in lines or next to them, not both")
        return self

    def paid(self) -> Iterator[PaidLine]:
        """Yield what was paid for, except what it bought none of.

        Lines that do not say which item they are for are for one of each plan.

        Raises:
            PayloadError: it names no line, and not all of the only one.
        """
        own = {name: getattr(self, name) for name in Line.model_fields.keys() - {"credited"}}
        for line in self.lines or (read(Line, {"data": own}, "data"),):
            has_item = line.item_id is not None or self.lines is None
            if line.quantity:
                yield PaidLine(
                    item_id=line.item_id or "" if has_item else f"plan:{line.plan}",
                    plan_names=(line.plan,),
                    quantity=line.quantity,
                    start=line.period_start,
                    end=line.period_end,
                    prorated=line.prorated,
                    credited=line.credited,
                    has_item=has_item,
                )

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        payment_id, *also = names(
            ("standard:invoice", self.invoice_id),
            ("standard:payment", self.payment_id),
        )
        whose, lines = self.names(self.subscription_id), tuple(self.paid())
        if not lines:
            yield Linked(names=whose)
            return
        yield PeriodPaid(
            names=whose,
            payment_id=payment_id,
            also=tuple(also),
            subscription_id=f"standard:subscription:{self.subscription_id}",
            lines=lines,
            money=self.money,
            currency=self.currency,
        )


class SubscriptionStatus(Data):
    """A subscription's status, in the sender's word for it."""

    subscription_id: OwnId
    status: Annotated[str, Field(strict=True, min_length=1, max_length=64)]
    at: Instant | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield SubscriptionUpdated(
            names=Names(subscriptions=names(("standard:subscription", self.subscription_id))),
            subscription_id=f"standard:subscription:{self.subscription_id}",
            status=self.status,
            ended=message.type == "subscription.ended",
            at=self.at or message.sent_at,
        )


class OfPayment(Data):
    """Something that happened to a payment."""

    payment_id: OwnId

    @property
    def payment_ids(self) -> tuple[str, ...]:
        """The names that the payment may be known by; `payment_id` may be that of an invoice."""
        return names(("standard:payment", self.payment_id), ("standard:invoice", self.payment_id))


class PaymentRefunded(OfPayment):
    """A payment was refunded: `total` so far, or `money` by one refund, which may have failed."""

    total: OwnMoney | None = None
    refund_id: OwnId | None = None
    money: OwnMoney | None = None
    status: Literal["pending", "requires_action", "succeeded", "failed", "canceled"] | None = None

    @model_validator(mode="after")
    def _is_a_total_or_a_refund(self) -> Self:
        of_refund = {self.refund_id is not None, self.money is not None}
        if of_refund != {self.total is None} or (self.status and self.total is not None):
            raise ValueError("name a total, or a refund_id and its money")
        return self

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.total is not None:
            yield ChargeRefunded(payment_ids=self.payment_ids, total=self.total)
        else:
            yield Refunded(
                payment_ids=self.payment_ids,
                refund_id=f"standard:refund:{self.refund_id}",
                money=self.money or 0,
                status=REFUND_STATUSES[self.status or "succeeded"],
            )


class PaymentDisputed(OfPayment):
    """A payment is disputed, all of it if it does not say how much, or the dispute is over."""

    dispute_id: OwnId
    outcome: DisputeOutcome
    money: OwnMoney = 0

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield Disputed(
            payment_ids=self.payment_ids,
            dispute_id=f"standard:dispute:{self.dispute_id}",
            outcome=self.outcome,
            money=self.money,
        )


class User(Data):
    """A user who was created, with an address that the sender has verified."""

    account_id: OwnId
    email: OwnEmail | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield UserCreated(
            account_id=self.account_id,
            emails=(self.email,) if self.email else (),
        )


class DeletedUser(Data):
    """A user who was deleted."""

    account_id: OwnId

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield UserDeleted(account_id=self.account_id)


class AccountLinked(Owned):
    """A customer belongs to an account."""

    account_id: OwnId
    customer_id: OwnId

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield CustomerLinked(names=self.names())


def _key(secret: str) -> bytes:
    """Return the HMAC key of a secret: without the prefix, it is its own bytes."""
    return base64_key(secret) if secret.startswith(SECRET_PREFIX) else secret.encode()


SCHEME = Scheme(key=_key)

EVENTS: Mapping[str, type[Event]] = {
    "credits.purchased": CreditsPurchased,
    "subscription.renewed": SubscriptionRenewed,
    "subscription.updated": SubscriptionStatus,
    "subscription.ended": SubscriptionStatus,
    "payment.refunded": PaymentRefunded,
    "payment.disputed": PaymentDisputed,
    "user.created": User,
    "user.deleted": DeletedUser,
    "account.linked": AccountLinked,
}

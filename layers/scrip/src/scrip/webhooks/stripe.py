"""Stripe: checkouts, invoices, subscriptions, refunds and disputes, of any API version.

Shapes: https://docs.stripe.com/api/events/types. API version 2025-03-31 moved some fields
(https://docs.stripe.com/changelog/basil): where one has several paths, the last is the old one.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, Literal, override

from scrip.domain.payments import DisputeOutcome
from scrip.webhooks.facts import (
    Disputed,
    Fact,
    Linked,
    MoneyReturned,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    SubscriptionUpdated,
)
from scrip.webhooks.messages import IgnoredError, Message, Scheme
from scrip.webhooks.shapes import (
    REFUND_WITHOUT_EFFECT,
    SUBSCRIPTION_ENDED,
    Currency,
    Email,
    Event,
    Id,
    Instant,
    MetadataCredits,
    MetadataText,
    Money,
    Shape,
    Word,
    at,
    distinct,
    names,
)

PAID = ("paid", "no_payment_required")

SUBSCRIPTION_EVENTS = {
    "customer.subscription.created": timedelta(milliseconds=0),
    "customer.subscription.updated": timedelta(milliseconds=1),
    "customer.subscription.deleted": timedelta(milliseconds=2),
}
"""Their order within the same second: Stripe's times are in whole seconds."""


class Session(Event):
    """A Checkout Session that was completed."""

    id: Id
    mode: Literal["payment", "subscription", "setup"]
    payment_status: str
    payment_intent: Id | None = None
    customer: Id | None = None
    subscription: Id | None = None
    client_reference_id: str | None = None
    account_id: MetadataText | None = at("metadata.account_id")
    credits: MetadataCredits | None = at("metadata.credits")
    email: Email | None = at("customer_details.email")
    customer_email: Email | None = None
    amount_total: Money | None = None
    currency: Currency | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        whose = names(
            ("account", self.client_reference_id),
            ("account", self.account_id),
            ("stripe", self.subscription),
            ("stripe", self.customer),
            ("email", self.email),
            ("email", self.customer_email),
        )
        if self.mode != "payment":
            yield Linked(names=whose)
            return
        if self.credits is None:
            raise IgnoredError("the session's metadata names no credits")
        if self.payment_status not in PAID:
            raise IgnoredError(f"the session's payment_status is {self.payment_status}")
        yield Purchased(
            names=whose,
            payment_id=f"stripe:{self.payment_intent or self.id}",
            credits=self.credits,
            money=self.amount_total or 0,
            currency=self.currency or "",
        )


class Line(Shape):
    """A line of an invoice."""

    amount: int
    start: Instant = at("period.start", default=...)
    end: Instant = at("period.end", default=...)
    type: str | None = None
    subscription_item: Mapping[str, Any] | None = at("parent.subscription_item_details")
    subscription: Id | None = at("parent.invoice_item_details.subscription", "subscription")
    proration: bool = at("parent.invoice_item_details.proration", "proration", default=False)
    price: Id | None = at("pricing.price_details.price", "price")
    product: Id | None = at(
        "pricing.price_details.product", "pricing.price_details.price.product", "price.product"
    )
    lookup_key: str | None = at("pricing.price_details.price.lookup_key", "price.lookup_key")

    @property
    def is_for_plan(self) -> bool:
        """Whether it charges for a subscription's period, or for the rest of one."""
        is_item = self.subscription_item is not None or self.type == "subscription"
        return is_item or (self.proration and self.subscription is not None)


class Payment(Shape):
    """A payment of an invoice: part of a newer one, or in the fields of an older one itself."""

    payment_intent: Id | None = at("payment.payment_intent", "payment_intent")
    charge: Id | None = at("payment.charge", "charge")

    @property
    def names(self) -> tuple[str, ...]:
        """The names that refunds and disputes use for it."""
        return names(("stripe", self.payment_intent), ("stripe", self.charge))


class PartialPayment(Payment):
    """One of the payments of an invoice since 2025-03-31."""

    payment: Mapping[str, Any]


class Invoice(Payment, Event):
    """A paid invoice.

    Since 2025-03-31 its payments are in `payments` if that was expanded, and otherwise in the event
    `invoice_payment.paid`.
    """

    id: Id
    customer: Id | None = None
    customer_email: Email | None = None
    amount_paid: Money
    currency: Currency
    lines: tuple[Line, ...] = at("lines.data", default=...)
    payments: tuple[PartialPayment, ...] = at("payments.data", default=())
    subscription: Id | None = at("parent.subscription_details.subscription", "subscription")
    account_id: MetadataText | None = at(
        "parent.subscription_details.metadata.account_id",
        "subscription_details.metadata.account_id",
    )

    @property
    def lines_in_force(self) -> list[Line]:
        """The charges for the newest period, highest first; an upgrade also credits the old plan.

        There are several if the subscription has several items.
        """
        charges = [line for line in self.lines if line.is_for_plan and line.amount >= 0]
        newest = max(((line.end, line.start) for line in charges), default=None)
        found = [line for line in charges if (line.end, line.start) == newest]
        return sorted(found, key=lambda line: -line.amount)

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.subscription is None:
            raise IgnoredError("the invoice is not for a subscription")
        whose = names(
            ("account", self.account_id),
            ("stripe", self.subscription),
            ("stripe", self.customer),
            ("email", self.customer_email),
        )
        lines = self.lines_in_force
        if not lines:
            yield Linked(names=whose)
            return
        yield PeriodPaid(
            names=whose,
            payment_id=f"stripe:{self.id}",
            also=distinct(*(name for payment in (self, *self.payments) for name in payment.names)),
            subscription_id=f"stripe:{self.subscription}",
            plan_names=distinct(
                *(name for line in lines for name in (line.price, line.product, line.lookup_key))
            ),
            start=lines[0].start,
            end=lines[0].end,
            money=self.amount_paid,
            currency=self.currency,
        )


class InvoicePayment(PartialPayment, Event):
    """A payment of an invoice, which has an event of its own since 2025-03-31."""

    invoice: Id

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if not self.names:
            raise IgnoredError("the invoice was paid outside of Stripe")
        yield PaymentNamed(payment_id=f"stripe:{self.invoice}", also=self.names)


class Subscription(Event):
    """A subscription."""

    id: Id
    status: Word
    customer: Id
    account_id: MetadataText | None = at("metadata.account_id")

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield SubscriptionUpdated(
            names=names(
                ("account", self.account_id),
                ("stripe", self.id),
                ("stripe", self.customer),
            ),
            subscription_id=f"stripe:{self.id}",
            status=self.status,
            ended=self.status in SUBSCRIPTION_ENDED,
            at=message.sent_at + SUBSCRIPTION_EVENTS[message.type],
        )


class Charge(Event):
    """A charge that was refunded; its invoice is here before 2025-03-31."""

    id: Id
    payment_intent: Id | None = None
    invoice: Id | None = None
    amount_refunded: Money = 0

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        payment_ids = names(
            ("stripe", self.payment_intent),
            ("stripe", self.invoice),
            ("stripe", self.id),
        )
        yield MoneyReturned(payment_ids=payment_ids, total=self.amount_refunded)


class ChargeEvent(Event):
    """A refund or dispute of a charge, which may be whole."""

    id: Id
    amount: Money
    payment_intent: Id | None = None
    charge: Id | None = None
    charges_intent: Id | None = at("charge.payment_intent")
    charges_invoice: Id | None = at("charge.invoice")

    @property
    def payment_ids(self) -> tuple[str, ...]:
        """The names that the payment may be known by."""
        return names(
            ("stripe", self.payment_intent),
            ("stripe", self.charges_intent),
            ("stripe", self.charges_invoice),
            ("stripe", self.charge),
        )


class Refund(ChargeEvent):
    """A refund, which may be pending."""

    status: str | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.status in REFUND_WITHOUT_EFFECT:
            raise IgnoredError(f"the refund is {self.status}")
        yield MoneyReturned(
            payment_ids=self.payment_ids,
            refund_id=f"stripe:{self.id}",
            money=self.amount,
        )


class Dispute(ChargeEvent):
    """A new dispute, or an inquiry that may become one."""

    @property
    def outcome(self) -> DisputeOutcome:
        """How it has ended so far."""
        return DisputeOutcome.OPEN

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield Disputed(
            payment_ids=self.payment_ids,
            dispute_id=f"stripe:{self.id}",
            outcome=self.outcome,
            money=self.amount,
        )


class ClosedDispute(Dispute):
    """A dispute that is over."""

    status: Literal["won", "lost", "warning_closed"]

    @property
    def outcome(self) -> DisputeOutcome:
        """How it ended; an inquiry that was closed is won."""
        return DisputeOutcome.LOST if self.status == "lost" else DisputeOutcome.WON


SCHEME = Scheme(headers="stripe", key=str.encode, path=("data", "object"))

EVENTS: Mapping[str, type[Event]] = {
    "checkout.session.completed": Session,
    "checkout.session.async_payment_succeeded": Session,
    "invoice.paid": Invoice,
    "invoice_payment.paid": InvoicePayment,
    **dict.fromkeys(SUBSCRIPTION_EVENTS, Subscription),
    "charge.refunded": Charge,
    "refund.created": Refund,
    "refund.updated": Refund,
    "charge.dispute.created": Dispute,
    "charge.dispute.closed": ClosedDispute,
}

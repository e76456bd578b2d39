"""Stripe: what its events tell, in the shapes before and after API version 2025-03-31.

Shapes: https://docs.stripe.com/api/events/types, and for what moved in 2025
https://docs.stripe.com/changelog/basil. What moved, with the old place first:

    invoice.subscription            invoice.parent.subscription_details.subscription
    invoice.subscription_details    invoice.parent.subscription_details
    invoice.payment_intent          invoice.payments.data[].payment.payment_intent, if expanded;
                                    told by invoice_payment.paid otherwise
    invoice.charge                  gone, like charge.invoice
    line.price                      line.pricing.price_details
    line.type, line.proration,      line.parent: subscription_item_details, or
    line.subscription               invoice_item_details for a proration
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Literal

from scrip.domain.payments import DisputeOutcome
from scrip.webhooks.facts import (
    Disputed,
    Fact,
    Linked,
    MoneyReturned,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    SubscriptionTold,
)
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.shapes import (
    Id,
    IdOr,
    Instant,
    Metadata,
    Money,
    OrEmpty,
    PurchaseMetadata,
    Shape,
    Word,
    names,
    read,
)

OBJECT = ("data", "object")

PAID = ("paid", "no_payment_required")
ENDED = ("canceled", "unpaid", "incomplete_expired")
RETURNED_NOTHING = ("failed", "canceled")

SUBSCRIPTION_EVENTS = {
    "customer.subscription.created": timedelta(milliseconds=0),
    "customer.subscription.updated": timedelta(milliseconds=1),
    "customer.subscription.deleted": timedelta(milliseconds=2),
}
"""Stripe tells whole seconds, and all of these may be of the same: the order within one."""


def facts(message: Message) -> tuple[Fact, ...]:
    """Return what an event tells.

    Raises:
        IgnoredError: nothing about credits.
        PayloadError: it lacks what it should have.
    """
    translator = TRANSLATORS.get(message.type)
    if translator is None:
        raise IgnoredError(f"{message.type} is not about credits")
    return (translator(message),)


class CustomerDetails(Shape):
    """Who paid at a checkout."""

    email: str | None = None


class Session(Shape):
    """A Checkout Session."""

    id: Id
    mode: Literal["payment", "subscription", "setup"]
    payment_status: str
    payment_intent: Id | None = None
    customer: Id | None = None
    subscription: Id | None = None
    client_reference_id: str | None = None
    metadata: OrEmpty[PurchaseMetadata] = PurchaseMetadata()
    customer_details: OrEmpty[CustomerDetails] = CustomerDetails()
    customer_email: str | None = None
    amount_total: Money | None = None
    currency: Word | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Whose it is."""
        return names(
            ("account", self.client_reference_id),
            ("account", self.metadata.account_id),
            ("stripe", self.subscription),
            ("stripe", self.customer),
            ("email", self.customer_details.email),
            ("email", self.customer_email),
        )


def _checkout(message: Message) -> Fact:
    session = read(Session, message.payload, *OBJECT)
    if session.mode != "payment":
        return Linked(names=session.names)
    if session.metadata.credits is None:
        raise IgnoredError("the session's metadata names no credits")
    if session.payment_status not in PAID:
        raise IgnoredError(f"the session's payment_status is {session.payment_status}")
    return Purchased(
        names=session.names,
        payment_id=f"stripe:{session.payment_intent or session.id}",
        credits=session.metadata.credits,
        money=session.amount_total or 0,
        currency=session.currency or "",
    )


class ServicePeriod(Shape):
    """What a line is for."""

    start: Instant
    end: Instant


class Price(Shape):
    """A price, whole."""

    id: Id
    product: Id | None = None
    lookup_key: str | None = None


class PriceDetails(Shape):
    """A line's price since 2025-03-31; it is whole only where it was expanded."""

    price: IdOr[Price]
    product: Id | None = None


class Pricing(Shape):
    """A line's pricing since 2025-03-31."""

    price_details: PriceDetails | None = None


class LineOrigin(Shape):
    """The subscription that a line comes from, and whether it is a part of a period."""

    subscription: Id | None = None
    proration: bool = False


class LineParent(Shape):
    """What a line comes from since 2025-03-31: one of these."""

    subscription_item_details: LineOrigin | None = None
    invoice_item_details: LineOrigin | None = None


class Line(Shape):
    """A line of an invoice."""

    amount: int
    period: ServicePeriod
    # before 2025-03-31
    type: str | None = None
    subscription: Id | None = None
    proration: bool = False
    price: Price | None = None
    # since then
    parent: LineParent | None = None
    pricing: OrEmpty[Pricing] = Pricing()

    @property
    def is_of_plan(self) -> bool:
        """Whether it charges a subscription for a period, or for what is left of one."""
        if self.parent is None:
            item = self.type == "subscription"
            return item or (self.proration and self.subscription is not None)
        item = self.parent.subscription_item_details is not None
        other = self.parent.invoice_item_details
        return item or (other is not None and other.proration and other.subscription is not None)

    @property
    def plan_names(self) -> tuple[str, ...]:
        """Price, product and lookup key, as far as they are told."""
        details = self.pricing.price_details
        price = details.price if details else self.price
        if price is None:
            return ()
        product = details.product if details else None
        return tuple(
            name for name in (price.id, product or price.product, price.lookup_key) if name
        )


class Lines(Shape):
    """The lines of an invoice."""

    data: tuple[Line, ...]


class SubscriptionDetails(Shape):
    """What an invoice tells of its subscription; the id since 2025-03-31."""

    subscription: Id | None = None
    metadata: OrEmpty[Metadata] = Metadata()


class InvoiceParent(Shape):
    """What an invoice comes from since 2025-03-31."""

    subscription_details: SubscriptionDetails | None = None


class Payment(Shape):
    """What an invoice was paid with."""

    payment_intent: Id | None = None
    charge: Id | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names that refunds and disputes know it by."""
        return names(("stripe", self.payment_intent), ("stripe", self.charge))


class PartialPayment(Shape):
    """One of the payments of an invoice."""

    payment: Payment


class Payments(Shape):
    """The payments of an invoice since 2025-03-31."""

    data: tuple[PartialPayment, ...] = ()


class Invoice(Payment):
    """An invoice; its own payment intent and charge are of before 2025-03-31."""

    id: Id
    customer: Id | None = None
    customer_email: str | None = None
    amount_paid: Money
    currency: Word
    lines: Lines
    # before 2025-03-31
    subscription: Id | None = None
    subscription_details: OrEmpty[SubscriptionDetails] = SubscriptionDetails()
    # since then
    parent: OrEmpty[InvoiceParent] = InvoiceParent()
    payments: OrEmpty[Payments] = Payments()


def _invoice(message: Message) -> Fact:
    """Tell the period that was paid: the invoice's own is not the one of the service."""
    invoice = read(Invoice, message.payload, *OBJECT)
    details = invoice.parent.subscription_details or invoice.subscription_details
    subscription_id = details.subscription or invoice.subscription
    if subscription_id is None:
        raise IgnoredError("the invoice is not a subscription's")
    whose = names(
        ("account", details.metadata.account_id),
        ("stripe", subscription_id),
        ("stripe", invoice.customer),
        ("email", invoice.customer_email),
    )
    lines = _lines_in_force(invoice.lines.data)
    if not lines:
        return Linked(names=whose)
    payments = (invoice, *(part.payment for part in invoice.payments.data))
    return PeriodPaid(
        names=whose,
        payment_id=f"stripe:{invoice.id}",
        also=tuple(dict.fromkeys(name for payment in payments for name in payment.names)),
        subscription_id=f"stripe:{subscription_id}",
        plan_names=tuple(dict.fromkeys(name for line in lines for name in line.plan_names)),
        start=lines[0].period.start,
        end=lines[0].period.end,
        money=invoice.amount_paid,
        currency=invoice.currency,
    )


def _lines_in_force(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """Return what is charged for the newest period; an upgrade credits what was left of the old.

    More than one if the subscription has several items, the dearest first.
    """
    charged = [line for line in lines if line.is_of_plan and line.amount >= 0]
    newest = max(((line.period.end, line.period.start) for line in charged), default=None)
    return tuple(
        sorted(
            (line for line in charged if (line.period.end, line.period.start) == newest),
            key=lambda line: -line.amount,
        ),
    )


class InvoicePayment(PartialPayment):
    """A payment of an invoice, told by itself since 2025-03-31."""

    invoice: Id


def _invoice_payment(message: Message) -> Fact:
    paid = read(InvoicePayment, message.payload, *OBJECT)
    if not paid.payment.names:
        raise IgnoredError("the invoice was paid outside of Stripe")
    return PaymentNamed(names=(), payment_id=f"stripe:{paid.invoice}", also=paid.payment.names)


class Subscription(Shape):
    """A subscription."""

    id: Id
    status: Word
    customer: Id
    metadata: OrEmpty[Metadata] = Metadata()


def _subscription(message: Message) -> Fact:
    subscription = read(Subscription, message.payload, *OBJECT)
    return SubscriptionTold(
        names=names(
            ("account", subscription.metadata.account_id),
            ("stripe", subscription.id),
            ("stripe", subscription.customer),
        ),
        subscription_id=f"stripe:{subscription.id}",
        status=subscription.status,
        ended=subscription.status in ENDED,
        at=message.sent_at + SUBSCRIPTION_EVENTS[message.type],
    )


class Charge(Shape):
    """A charge; its invoice is of before 2025-03-31."""

    id: Id
    payment_intent: Id | None = None
    invoice: Id | None = None
    amount_refunded: Money = 0

    @property
    def names(self) -> tuple[str, ...]:
        """The names that the payment may be known by."""
        return names(
            ("stripe", self.payment_intent),
            ("stripe", self.invoice),
            ("stripe", self.id),
        )


def _charge_refunded(message: Message) -> Fact:
    charge = read(Charge, message.payload, *OBJECT)
    return MoneyReturned(names=(), payment_ids=charge.names, total=charge.amount_refunded)


class OfCharge(Shape):
    """Something about a charge, which may be whole."""

    id: Id
    amount: Money
    payment_intent: Id | None = None
    charge: IdOr[Charge] | None = None

    @property
    def payment_ids(self) -> tuple[str, ...]:
        """The names that the payment may be known by."""
        intent = names(("stripe", self.payment_intent))
        return tuple(dict.fromkeys((*intent, *(self.charge.names if self.charge else ()))))


class Refund(OfCharge):
    """A refund."""

    status: str | None = None


def _refund(message: Message) -> Fact:
    refund = read(Refund, message.payload, *OBJECT)
    if refund.status in RETURNED_NOTHING:
        raise IgnoredError(f"the refund has {refund.status}")
    return MoneyReturned(
        names=(),
        payment_ids=refund.payment_ids,
        refund_id=f"stripe:{refund.id}",
        money=refund.amount,
    )


class Dispute(OfCharge):
    """A dispute, or an inquiry that may become one."""

    def told(self, outcome: DisputeOutcome) -> Disputed:
        """Return the fact."""
        return Disputed(
            names=(),
            payment_ids=self.payment_ids,
            dispute_id=f"stripe:{self.id}",
            outcome=outcome,
            money=self.amount,
        )


class ClosedDispute(Dispute):
    """A dispute that is over."""

    status: Literal["won", "lost", "warning_closed"]


def _dispute_created(message: Message) -> Fact:
    return read(Dispute, message.payload, *OBJECT).told(DisputeOutcome.OPEN)


def _dispute_closed(message: Message) -> Fact:
    dispute = read(ClosedDispute, message.payload, *OBJECT)
    return dispute.told(DisputeOutcome.LOST if dispute.status == "lost" else DisputeOutcome.WON)


TRANSLATORS: Mapping[str, Callable[[Message], Fact]] = {
    "checkout.session.completed": _checkout,
    "checkout.session.async_payment_succeeded": _checkout,
    "invoice.paid": _invoice,
    "invoice_payment.paid": _invoice_payment,
    **dict.fromkeys(SUBSCRIPTION_EVENTS, _subscription),
    "charge.refunded": _charge_refunded,
    "refund.created": _refund,
    "refund.updated": _refund,
    "charge.dispute.created": _dispute_created,
    "charge.dispute.closed": _dispute_closed,
}

"""Polar: orders, refunds, subscriptions and customers.

Shapes: `Order`, `Refund`, `Subscription` and `Customer` of https://polar.sh/docs/api-reference,
sent as `{type, timestamp, data}`. Amounts are read without tax, for payments and refunds alike.

An order carries the metadata of its checkout, which visitors can write: it never sets the credits,
and it names an account no better than an address does. The metadata of a product is the merchant's.
"""

from collections.abc import Iterator, Mapping
from typing import override

from scrip.domain.errors import PayloadError
from scrip.domain.naming import Names
from scrip.webhooks.facts import (
    ChargeRefunded,
    CustomerLinked,
    Fact,
    Linked,
    PaidLine,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
)
from scrip.webhooks.messages import IgnoredError, Message, Scheme
from scrip.webhooks.shapes import (
    REFUND_STATUSES,
    SUBSCRIPTION_ENDED,
    SUBSCRIPTION_STATUSES,
    Currency,
    Email,
    Event,
    Id,
    Instant,
    MetadataCredits,
    MetadataText,
    Money,
    Quantity,
    Shape,
    Total,
    Word,
    at,
    distinct,
    names,
    unknown,
)


class Customer(Event):
    """A customer; `external_id` is the app's own ID for them."""

    id: Id
    external_id: str | None = None
    email: Email | None = None

    def names(
        self,
        in_metadata: str | None = None,
        subscription_id: str | None = None,
    ) -> Names:
        """Return the names of the account that the customer, or something of theirs, belongs to."""
        return Names(
            accounts=names(("account", self.external_id)),
            subscriptions=names(("polar", subscription_id)),
            customers=names(("polar", self.id)),
            typed=names(("account", in_metadata), ("email", self.email)),
        )

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if not self.external_id:
            raise IgnoredError("the customer has no external_id")
        yield CustomerLinked(names=self.names())


class Period(Shape):
    """The subscription that an order is for."""

    current_period_start: Instant
    current_period_end: Instant
    seats: Quantity | None = None


class OrderItem(Shape):
    """What an order charges for. A proration that is credited is negative."""

    amount: int
    proration: bool = False
    product_price_id: str | None = None


class Order(Event):
    """A paid order. `net_amount` is `amount` in older versions.

    An order for a change of plan or seats, `subscription_update`, pays for the rest of the period.
    A renewal may have prorations, too: of the period before, by dates that Polar does not say.
    """

    id: Id
    created_at: Instant | None = None
    net_amount: Total | None = None
    amount: Total | None = None
    currency: Currency
    customer: Customer
    billing_reason: str | None = None
    product_id: str | None = None
    product_price_id: str | None = None
    seats: Quantity | None = None
    items: tuple[OrderItem, ...] | None = None
    credits: MetadataCredits | None = at("product.metadata.credits")
    account_id: MetadataText | None = at("metadata.account_id")
    subscription_id: Id | None = None
    subscription: Period | None = None

    @property
    def is_for_rest(self) -> bool:
        """Whether it pays for the rest of a period that had begun on another plan."""
        prorated = [item.proration for item in self.items or ()]
        return self.billing_reason == "subscription_update" and any(prorated) and all(prorated)

    def line(self, period: Period, message: Message) -> PaidLine:
        """Return what it pays for. A subscription has one product, so it takes the former's place.

        That is why the credit for the former needs no line of its own.
        """
        charged = (item for item in self.items or () if item.amount >= 0)
        prices = (item.product_price_id for item in charged)
        start = (self.created_at or message.sent_at) if self.is_for_rest else None
        return PaidLine(
            plan_names=distinct(self.product_id, self.product_price_id, *prices),
            quantity=self.quantity(period),
            start=start or period.current_period_start,
            end=period.current_period_end,
            prorated=self.is_for_rest,
        )

    def quantity(self, period: Period | None) -> int:
        """Return how many seats it pays for; 1 if it is not about seats."""
        seats = period.seats if self.seats is None and period is not None else self.seats
        return 1 if seats is None else seats

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        whose = self.customer.names(self.account_id, self.subscription_id)
        payment_id = f"polar:{self.id}"
        money = max(0, (self.amount if self.net_amount is None else self.net_amount) or 0)
        if self.subscription_id:
            if self.subscription is None:
                raise PayloadError("data.subscription: missing")
            if not self.quantity(self.subscription):
                yield Linked(names=whose)
                return
            yield PeriodPaid(
                names=whose,
                payment_id=payment_id,
                subscription_id=f"polar:{self.subscription_id}",
                lines=(self.line(self.subscription, message),),
                money=money,
                currency=self.currency,
            )
        elif self.credits is None:
            raise IgnoredError("the product's metadata names no credits")
        else:
            yield Purchased(
                names=whose,
                payment_id=payment_id,
                credits=self.credits,
                money=money,
                currency=self.currency,
            )


class RefundedOrder(Event):
    """An order with the total of its refunds so far."""

    id: Id
    refunded_amount: Money

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield ChargeRefunded(payment_ids=(f"polar:{self.id}",), total=self.refunded_amount)


class Refund(Event):
    """A refund of an order, which may be pending."""

    id: Id
    status: Word
    amount: Money
    order_id: Id

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.status not in REFUND_STATUSES:
            yield from unknown("the refund's status", self.status, REFUND_STATUSES)
            return
        yield Refunded(
            payment_ids=(f"polar:{self.order_id}",),
            refund_id=f"polar:{self.id}",
            money=self.amount,
            status=REFUND_STATUSES[self.status],
        )


class Subscription(Event):
    """A subscription. Its status stays `active` if it was canceled for the end of a period."""

    id: Id
    status: Word
    customer: Customer
    account_id: MetadataText | None = at("metadata.account_id")

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield SubscriptionUpdated(
            names=self.customer.names(self.account_id, self.id),
            subscription_id=f"polar:{self.id}",
            status=self.status,
            ended=message.type == "subscription.revoked" or self.status in SUBSCRIPTION_ENDED,
            at=message.sent_at,
        )
        yield from unknown("the subscription's status", self.status, SUBSCRIPTION_STATUSES)


SCHEME = Scheme(key=str.encode)

EVENTS: Mapping[str, type[Event]] = {
    "order.paid": Order,
    "order.refunded": RefundedOrder,
    "refund.created": Refund,
    "refund.updated": Refund,
    "subscription.created": Subscription,
    "subscription.active": Subscription,
    "subscription.updated": Subscription,
    "subscription.canceled": Subscription,
    "subscription.uncanceled": Subscription,
    "subscription.past_due": Subscription,
    "subscription.revoked": Subscription,
    "customer.created": Customer,
    "customer.updated": Customer,
}

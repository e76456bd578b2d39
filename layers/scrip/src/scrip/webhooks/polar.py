"""Polar: orders, refunds, subscriptions and customers.

Shapes: `Order`, `Refund`, `Subscription` and `Customer` of https://polar.sh/docs/api-reference,
sent as `{type, timestamp, data}`. Amounts are read without tax, for payments and refunds alike.

An order carries the metadata of its checkout, which visitors can write: it never sets the credits,
and it names the account only after everything else except an address. The metadata of a product is
the merchant's.
"""

from collections.abc import Iterator, Mapping
from typing import override

from scrip.domain.errors import PayloadError
from scrip.webhooks.facts import (
    Fact,
    Linked,
    MoneyReturned,
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


class Customer(Event):
    """A customer; `external_id` is the app's own ID for them."""

    id: Id
    external_id: str | None = None
    email: Email | None = None

    def names(
        self,
        in_metadata: str | None = None,
        subscription_id: str | None = None,
    ) -> tuple[str, ...]:
        """Return the names of the account that the customer, or something of theirs, belongs to."""
        return names(
            ("account", self.external_id),
            ("polar", subscription_id),
            ("polar", self.id),
            ("account", in_metadata),
            ("email", self.email),
        )

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield Linked(names=self.names())


class Period(Shape):
    """The subscription that an order is for."""

    current_period_start: Instant
    current_period_end: Instant


class Order(Event):
    """A paid order. `net_amount` is `amount` in older versions."""

    id: Id
    net_amount: Money | None = None
    amount: Money | None = None
    currency: Currency
    customer: Customer
    product_id: str | None = None
    product_price_id: str | None = None
    credits: MetadataCredits | None = at("product.metadata.credits")
    account_id: MetadataText | None = at("metadata.account_id")
    subscription_id: Id | None = None
    subscription: Period | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        whose = self.customer.names(self.account_id, self.subscription_id)
        payment_id = f"polar:{self.id}"
        money = (self.amount if self.net_amount is None else self.net_amount) or 0
        if self.subscription_id:
            if self.subscription is None:
                raise PayloadError("data.subscription: missing")
            yield PeriodPaid(
                names=whose,
                payment_id=payment_id,
                subscription_id=f"polar:{self.subscription_id}",
                plan_names=distinct(self.product_id, self.product_price_id),
                start=self.subscription.current_period_start,
                end=self.subscription.current_period_end,
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
        yield MoneyReturned(payment_ids=(f"polar:{self.id}",), total=self.refunded_amount)


class Refund(Event):
    """A refund of an order, which may be pending."""

    id: Id
    status: str
    amount: Money
    order_id: Id

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.status in REFUND_WITHOUT_EFFECT:
            raise IgnoredError(f"the refund is {self.status}")
        yield MoneyReturned(
            payment_ids=(f"polar:{self.order_id}",),
            refund_id=f"polar:{self.id}",
            money=self.amount,
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
    "subscription.revoked": Subscription,
    "customer.created": Customer,
    "customer.updated": Customer,
}

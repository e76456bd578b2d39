"""Polar: orders, refunds, subscriptions and customers.

Shapes: `Order`, `Refund`, `Subscription` and `Customer` of https://polar.sh/docs/api-reference,
sent as `{type, timestamp, data}`. Amounts are read without tax, paid and returned alike.

An order has the metadata of its checkout, which visitors may write: it says nothing about credits,
and whose it is only where nothing else does but an address. A product's metadata is the merchant's.
"""

from scrip.domain.errors import PayloadError
from scrip.webhooks.facts import (
    Fact,
    Linked,
    MoneyReturned,
    PeriodPaid,
    Purchased,
    SubscriptionTold,
)
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.shapes import (
    Id,
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

RETURNED_NOTHING = ("failed", "canceled")
ENDED = ("canceled", "unpaid", "incomplete_expired")
SUBSCRIPTION_EVENTS = ("created", "active", "updated", "canceled", "uncanceled", "revoked")


def facts(message: Message) -> tuple[Fact, ...]:
    """Return what an event tells.

    Raises:
        IgnoredError: nothing about credits.
        PayloadError: it lacks what it should have.
    """
    match message.type.split("."):
        case ["order", "paid"]:
            return _order_paid(read(Order, message.payload, "data"))
        case ["order", "refunded"]:
            order = read(RefundedOrder, message.payload, "data")
            payment_ids = (f"polar:{order.id}",)
            return (MoneyReturned(names=(), payment_ids=payment_ids, total=order.refunded_amount),)
        case ["refund", "created" | "updated"]:
            return _refund(read(Refund, message.payload, "data"))
        case ["subscription", event] if event in SUBSCRIPTION_EVENTS:
            return _subscription(read(Subscription, message.payload, "data"), message)
        case ["customer", "created" | "updated"]:
            return (Linked(names=_names(read(Customer, message.payload, "data"))),)
    raise IgnoredError(f"{message.type} is not about credits")


class Customer(Shape):
    """A customer; `external_id` is the app's own id of them."""

    id: Id
    external_id: str | None = None
    email: str | None = None


class Product(Shape):
    """What was bought."""

    metadata: OrEmpty[PurchaseMetadata] = PurchaseMetadata()


class Period(Shape):
    """A subscription as an order shows it."""

    current_period_start: Instant
    current_period_end: Instant


class Order(Shape):
    """An order. `net_amount` is `amount` in older versions."""

    id: Id
    net_amount: Money | None = None
    amount: Money | None = None
    currency: Word
    customer: Customer
    product_id: str | None = None
    product_price_id: str | None = None
    product: OrEmpty[Product] = Product()
    metadata: OrEmpty[Metadata] = Metadata()
    subscription_id: Id | None = None
    subscription: Period | None = None


def _order_paid(order: Order) -> tuple[Fact, ...]:
    whose = _names(order.customer, order.metadata, order.subscription_id)
    money = order.amount if order.net_amount is None else order.net_amount
    if order.subscription_id:
        if order.subscription is None:
            raise PayloadError("data.subscription: missing")
        return (
            PeriodPaid(
                names=whose,
                payment_id=f"polar:{order.id}",
                subscription_id=f"polar:{order.subscription_id}",
                plan_names=tuple(
                    name for name in (order.product_id, order.product_price_id) if name
                ),
                start=order.subscription.current_period_start,
                end=order.subscription.current_period_end,
                money=money or 0,
                currency=order.currency.lower(),
            ),
        )
    credits_bought = order.product.metadata.credits
    if credits_bought is None:
        raise IgnoredError("the product's metadata names no credits")
    return (
        Purchased(
            names=whose,
            payment_id=f"polar:{order.id}",
            credits=credits_bought,
            money=money or 0,
            currency=order.currency.lower(),
        ),
    )


class RefundedOrder(Shape):
    """An order of which money went back, up to now."""

    id: Id
    refunded_amount: Money


class Refund(Shape):
    """Money of an order that went back, or is to."""

    id: Id
    status: str
    amount: Money
    order_id: Id


def _refund(refund: Refund) -> tuple[Fact, ...]:
    if refund.status in RETURNED_NOTHING:
        raise IgnoredError(f"the refund has {refund.status}")
    return (
        MoneyReturned(
            names=(),
            payment_ids=(f"polar:{refund.order_id}",),
            refund_id=f"polar:{refund.id}",
            money=refund.amount,
        ),
    )


class Subscription(Shape):
    """A subscription. Its status stays `active` when it was canceled for a period's end."""

    id: Id
    status: Word
    customer: Customer
    metadata: OrEmpty[Metadata] = Metadata()


def _subscription(subscription: Subscription, message: Message) -> tuple[Fact, ...]:
    return (
        SubscriptionTold(
            names=_names(subscription.customer, subscription.metadata, subscription.id),
            subscription_id=f"polar:{subscription.id}",
            status=subscription.status,
            ended=message.type == "subscription.revoked" or subscription.status in ENDED,
            at=message.sent_at,
        ),
    )


def _names(
    customer: Customer,
    metadata: Metadata | None = None,
    subscription_id: str | None = None,
) -> tuple[str, ...]:
    return names(
        ("account", customer.external_id),
        ("polar", subscription_id),
        ("polar", customer.id),
        ("account", metadata.account_id if metadata else None),
        ("email", customer.email),
    )

"""Stripe: checkouts, invoices, subscriptions, refunds and disputes, of any API version.

Shapes: https://docs.stripe.com/api/events/types. API version 2025-03-31 moved some fields
(https://docs.stripe.com/changelog/basil): where one has several paths, the last is the old one.
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, override

from scrip.domain.naming import Names
from scrip.domain.payments import DisputeOutcome
from scrip.settings import settings
from scrip.webhooks.facts import (
    ChargeRefunded,
    CustomerLinked,
    Disputed,
    Fact,
    Linked,
    PaidLine,
    PaymentNamed,
    PeriodPaid,
    Purchased,
    Refunded,
    SubscriptionUpdated,
    Unclear,
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

PAID = ("paid", "no_payment_required")

SUBSCRIPTION_EVENTS = {
    "customer.subscription.created": timedelta(milliseconds=0),
    "customer.subscription.updated": timedelta(milliseconds=1),
    "customer.subscription.deleted": timedelta(milliseconds=2),
}
"""Their order within the same second: Stripe's times are in whole seconds."""


LINE_TYPES = (
    "subscription_item_details",
    "invoice_item_details",
    "subscription",
    "invoiceitem",
)
"""What a line of an invoice may be about, in both shapes."""

DISPUTE_OUTCOMES = {
    "warning_needs_response": None,
    "warning_under_review": None,
    "warning_closed": DisputeOutcome.WON,
    "needs_response": DisputeOutcome.OPEN,
    "under_review": DisputeOutcome.OPEN,
    "won": DisputeOutcome.WON,
    "prevented": DisputeOutcome.WON,
    "charge_refunded": DisputeOutcome.WON,
    "lost": DisputeOutcome.LOST,
    "appeal_needs_response": DisputeOutcome.LOST,
    "appeal_under_review": DisputeOutcome.LOST,
}
"""What each status of a dispute says about its money. An inquiry has not moved any."""

DISPUTE_ENDS = [word for word in DISPUTE_OUTCOMES if word not in {"needs_response", "under_review"}]
"""The statuses that a closed dispute may have."""


def check_source(payload: Mapping[str, Any]) -> None:
    """Return if an event is about the stack's own business.

    Raises:
        IgnoredError: outside stage `dev`, it is a test's, or of a connected account that the stack
            does not name.
    """
    if settings().stage == "dev":
        return
    account = payload.get("account")
    if account and account not in settings().stripe_connected_accounts.split(","):
        raise IgnoredError(
            f"it is about the connected account {account}, which is not this stack's"
        )
    if payload.get("livemode") is False:
        raise IgnoredError("it is from Stripe's test mode, which only stage dev accepts")


class Presented(Shape):
    """Something with a price, which the payer may have seen in a currency of their own."""

    presented_money: Money | None = at("presentment_details.presentment_amount")
    presented_currency: Currency | None = at("presentment_details.presentment_currency")

    @property
    def presented(self) -> dict[str, Any]:
        """The fields of a fact about it."""
        return {
            "presented_money": self.presented_money or 0,
            "presented_currency": self.presented_currency or "",
        }


class Customer(Event):
    """A customer, into which the app's server may have put the account's ID."""

    id: Id
    account_id: MetadataText | None = at("metadata.account_id")

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if not self.account_id:
            raise IgnoredError("the customer's metadata names no account")
        yield CustomerLinked(
            names=Names(
                accounts=names(("account", self.account_id)),
                customers=names(("stripe", self.id)),
            )
        )


class Session(Presented, Event):
    """A Checkout Session that was completed."""

    id: Id
    mode: Word
    payment_status: Word
    payment_intent: Id | None = None
    customer: Id | None = None
    subscription: Id | None = None
    client_reference_id: str | None = None
    payment_link: Id | None = None
    account_id: MetadataText | None = at("metadata.account_id")
    credits: MetadataCredits | None = at("metadata.credits")
    email: Email | None = at("customer_details.email")
    customer_email: Email | None = None
    amount_total: Money | None = None
    currency: Currency | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        # A visitor writes the reference of a Payment Link in its address.
        reference = ("account", self.client_reference_id)
        own, typed = ((), (reference,)) if self.payment_link else ((reference,), ())
        whose = Names(
            accounts=names(("account", self.account_id), *own),
            subscriptions=names(("stripe", self.subscription)),
            customers=names(("stripe", self.customer)),
            typed=names(*typed, ("email", self.email), ("email", self.customer_email)),
        )
        if self.mode != "payment":
            yield Linked(names=whose)
            yield from unknown("the session's mode", self.mode, ("subscription", "setup"))
            return
        if self.credits is None:
            raise IgnoredError("the session's metadata names no credits")
        if self.payment_status == "unpaid":
            raise IgnoredError("the session's payment_status is unpaid")
        if self.payment_status not in PAID:
            yield from unknown("the session's payment_status", self.payment_status, PAID)
            return
        yield Purchased(
            names=whose,
            payment_id=f"stripe:{self.payment_intent or self.id}",
            credits=self.credits,
            money=self.amount_total or 0,
            currency=self.currency or "",
            **self.presented,
        )


class Line(Shape):
    """A line of an invoice."""

    amount: int
    start: Instant = at("period.start", default=...)
    end: Instant = at("period.end", default=...)
    type: Word | None = at("parent.type", "type")
    details: Mapping[str, Any] | None = at("parent.subscription_item_details")
    item: Id | None = at("parent.subscription_item_details.subscription_item", "subscription_item")
    subscription: Id | None = at(
        "parent.subscription_item_details.subscription",
        "parent.invoice_item_details.subscription",
        "subscription",
    )
    proration: bool = at(
        "parent.subscription_item_details.proration",
        "parent.invoice_item_details.proration",
        "proration",
        default=False,
    )
    credits: Any = at(
        "parent.subscription_item_details.proration_details.credited_items",
        "parent.invoice_item_details.proration_details.credited_items",
        "proration_details.credited_items",
    )
    quantity: Quantity | None = None
    price: Id | None = at("pricing.price_details.price", "price", "plan")
    product: Id | None = at(
        "pricing.price_details.product", "pricing.price_details.price.product", "price.product"
    )
    lookup_key: str | None = at("pricing.price_details.price.lookup_key", "price.lookup_key")

    @property
    def plan_names(self) -> tuple[str, ...]:
        """The names that a plan may be known by."""
        return distinct(self.price, self.product, self.lookup_key)

    @property
    def is_credited(self) -> bool:
        """Whether it gives back time that was charged before, for nothing if that cost nothing."""
        return self.proration and (self.amount < 0 or self.credits is not None)

    @property
    def gives_time(self) -> bool:
        """Whether it charges for a subscription's period or the rest of one, or gives that back."""
        is_item = self.details is not None or self.type == "subscription"
        return (
            (is_item or (self.proration and self.subscription is not None))
            and (self.amount >= 0 or self.is_credited)
            and self.quantity != 0
            and self.start != self.end
            and bool(self.plan_names)
        )

    def paid(self) -> PaidLine:
        """Return it as part of a fact.

        Prorations may not say which item they are for. As two items of a subscription never have
        the same price, the price stands for the item.
        """
        return PaidLine(
            item_id=self.item or f"price:{self.plan_names[0]}",
            plan_names=self.plan_names,
            quantity=1 if self.quantity is None else self.quantity,
            start=self.start,
            end=self.end,
            prorated=self.proration,
            credited=self.is_credited,
            has_item=self.item is not None,
        )


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


class Invoice(Payment, Presented, Event):
    """A paid invoice.

    Since 2025-03-31 its payments are in `payments` if that was expanded, and otherwise in the event
    `invoice_payment.paid`.
    """

    id: Id
    customer: Id | None = None
    customer_email: Email | None = None
    total: Total | None = None
    credit_notes: Money | None = at("pre_payment_credit_notes_amount")
    amount_paid: Money
    currency: Currency
    lines: tuple[Line, ...] = at("lines.data", default=...)
    lines_go_on: bool | None = at("lines.has_more")
    payments: tuple[PartialPayment, ...] = at("payments.data", default=())
    payments_go_on: bool | None = at("payments.has_more")
    subscription: Id | None = at("parent.subscription_details.subscription", "subscription")
    account_id: MetadataText | None = at(
        "parent.subscription_details.metadata.account_id",
        "subscription_details.metadata.account_id",
    )

    @property
    def price(self) -> int:
        """What the customer owed for the lines: the total, less credit notes before the payment.

        `amount_paid` is what was charged. The rest came from the customer's balance (a downgrade's
        credit, a gift) or from outside of Stripe. It bought its part of the credits, too, and no
        refund or dispute of a charge is about that part. A debt in the balance is charged with the
        invoice, but is no part of its price. An uncollectible invoice is never a paid one.
        """
        if self.total is None:
            return self.amount_paid
        return max(0, self.total - (self.credit_notes or 0))

    @property
    @override
    def presented(self) -> dict[str, Any]:
        """The fields of a fact about it. The payer saw what was charged, a part of the price."""
        seen = self.presented_money or 0
        whole = seen * self.price // self.amount_paid if self.amount_paid else 0
        return super().presented | {"presented_money": whole}

    @property
    @override
    def cut_lists(self) -> tuple[str, ...]:
        if self.subscription is None and not any(line.subscription for line in self.lines):
            return ()
        go_on = {"lines": self.lines_go_on, "payments": self.payments_go_on}
        return tuple(name for name, is_cut in go_on.items() if is_cut)

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        lines = [line for line in self.lines if line.gives_time]
        # Prorations may be billed by an invoice that is not their subscription's own.
        named = distinct(self.subscription) or distinct(*(line.subscription for line in lines))
        if not named:
            raise IgnoredError("the invoice is not for a subscription")
        subscription, *others = named
        whose = Names(
            accounts=names(("account", self.account_id)),
            subscriptions=names(("stripe", subscription)),
            customers=names(("stripe", self.customer)),
            typed=names(("email", self.customer_email)),
        )
        paid = tuple(line.paid() for line in lines if line.subscription not in others)
        if not paid:
            yield Linked(names=whose)
        else:
            yield PeriodPaid(
                names=whose,
                payment_id=f"stripe:{self.id}",
                also=distinct(
                    *(name for payment in (self, *self.payments) for name in payment.names)
                ),
                subscription_id=f"stripe:{subscription}",
                lines=paid,
                money=self.price,
                currency=self.currency,
                **self.presented,
            )
        for type_ in distinct(*(line.type for line in self.lines)):
            yield from unknown("the type of a line", type_, LINE_TYPES)
        if others:
            yield Unclear(reason=f"it has lines of other subscriptions, too: {', '.join(others)}")


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
            names=Names(
                accounts=names(("account", self.account_id)),
                subscriptions=names(("stripe", self.id)),
                customers=names(("stripe", self.customer)),
            ),
            subscription_id=f"stripe:{self.id}",
            status=self.status,
            ended=self.status in SUBSCRIPTION_ENDED,
            at=message.sent_at + SUBSCRIPTION_EVENTS[message.type],
        )
        yield from unknown("the subscription's status", self.status, SUBSCRIPTION_STATUSES)


class Charge(Event):
    """A charge that was refunded; its invoice is here before 2025-03-31."""

    id: Id
    payment_intent: Id | None = None
    invoice: Id | None = None
    amount: Money = 0
    amount_refunded: Money = 0
    currency: Currency | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield ChargeRefunded(
            payment_ids=names(
                ("stripe", self.payment_intent),
                ("stripe", self.invoice),
                ("stripe", self.id),
            ),
            charge_id=self.id,
            currency=self.currency or "",
            charged=self.amount,
            total=self.amount_refunded,
        )


class ChargeEvent(Event):
    """A refund or dispute of a charge, which may be whole."""

    id: Id
    amount: Money
    currency: Currency | None = None
    payment_intent: Id | None = None
    charge: Id | None = None
    charges_intent: Id | None = at("charge.payment_intent")
    charges_invoice: Id | None = at("charge.invoice")
    charges_currency: Currency | None = at("charge.currency")
    charges_amount: Money | None = at("charge.amount")

    @property
    def whose(self) -> dict[str, Any]:
        """The fields of a fact that say which money it is about."""
        is_same = self.currency == self.charges_currency
        return {
            "payment_ids": names(
                ("stripe", self.payment_intent),
                ("stripe", self.charges_intent),
                ("stripe", self.charges_invoice),
                ("stripe", self.charge),
            ),
            "charge_id": self.charge or "",
            "currency": self.currency or "",
            "charged": self.charges_amount or 0 if is_same else 0,
        }


class Refund(ChargeEvent):
    """A refund, whose status may change for days."""

    status: Word | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        status = self.status or "succeeded"  # as cards' refunds were before they had one
        if status not in REFUND_STATUSES:
            yield from unknown("the refund's status", status, REFUND_STATUSES)
            return
        yield Refunded(
            **self.whose,
            refund_id=f"stripe:{self.id}",
            money=self.amount,
            status=REFUND_STATUSES[status],
        )


class Movement(Shape):
    """Money that a dispute withdrew from the merchant's balance, or reinstated."""

    amount: int = 0


class Dispute(ChargeEvent):
    """A dispute, or an inquiry that may become one."""

    status: Word = "needs_response"
    balance_transactions: tuple[Movement, ...] | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        is_closed = message.type == "charge.dispute.closed"
        outcome = DISPUTE_OUTCOMES.get(self.status)
        if message.type == "charge.dispute.funds_reinstated" and outcome is not DisputeOutcome.OPEN:
            # That money came back counts, and not the word for it, unless some is still missing.
            missing = sum(movement.amount for movement in self.balance_transactions or ()) < 0
            outcome = DisputeOutcome.LOST if missing else DisputeOutcome.WON
        elif is_closed and outcome is not DisputeOutcome.LOST:
            outcome = DisputeOutcome.WON  # whatever the word: nothing stays set aside
        if outcome is not None:
            yield Disputed(
                **self.whose,
                dispute_id=f"stripe:{self.id}",
                outcome=outcome,
                money=self.amount,
            )
        elif self.status in DISPUTE_OUTCOMES:
            raise IgnoredError("it is an inquiry, which has not moved any money")
        known = DISPUTE_ENDS if is_closed else DISPUTE_OUTCOMES
        yield from unknown("the dispute's status", self.status, known)


SCHEME = Scheme(headers="stripe", key=str.encode, path=("data", "object"))

EVENTS: Mapping[str, type[Event]] = {
    "customer.created": Customer,
    "customer.updated": Customer,
    "checkout.session.completed": Session,
    "checkout.session.async_payment_succeeded": Session,
    "invoice.paid": Invoice,
    "invoice_payment.paid": InvoicePayment,
    **dict.fromkeys(SUBSCRIPTION_EVENTS, Subscription),
    "charge.refunded": Charge,
    "charge.refund.updated": Refund,
    "refund.created": Refund,
    "refund.updated": Refund,
    "refund.failed": Refund,
    "charge.dispute.created": Dispute,
    "charge.dispute.updated": Dispute,
    "charge.dispute.funds_withdrawn": Dispute,
    "charge.dispute.funds_reinstated": Dispute,
    "charge.dispute.closed": Dispute,
}

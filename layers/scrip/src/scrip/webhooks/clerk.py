"""Clerk: users, and the subscriptions of Clerk Billing.

Shapes: `UserJSON` and `Billing...WebhookEventJSON` in
https://github.com/clerk/javascript/blob/main/packages/backend/src/api/resources/JSON.ts; events:
https://clerk.com/docs/guides/development/webhooks/billing.

- A subscription item serves as Scrip's subscription: items do not name the subscription they belong
  to, and an upgrade ends one item and starts another.
- A period is named by its item and its start, so that the events of an item and those of its
  payment count once. A renewal is an update of the item with a new start; it has no event type of
  its own.
- A free plan is ignored. A trial is a period like any other: its item is active, and no field says
  reliably that it is a trial.
- A `canceled` item has not ended: access lasts until it is `ended`.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import override

from scrip.domain.errors import PayloadError
from scrip.webhooks.facts import Fact, PeriodPaid, SubscriptionUpdated, UserCreated, UserDeleted
from scrip.webhooks.messages import IgnoredError, Message, Scheme, base64_key
from scrip.webhooks.shapes import (
    Currency,
    Email,
    Event,
    Id,
    Instant,
    Money,
    Shape,
    Word,
    at,
    distinct,
    names,
)

ENDED = ("ended", "expired")
STARTED = ("active", "past_due", "canceled", *ENDED)
"""The other statuses are of items that have not started: `upcoming`, `incomplete`, `abandoned`."""


class EmailAddress(Shape):
    """An address of a user."""

    email_address: Email
    verification: str | None = at("verification.status")


class User(Event):
    """A user who was created or updated."""

    id: Id
    email_addresses: tuple[EmailAddress, ...]

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield UserCreated(
            account_id=self.id,
            emails=tuple(
                address.email_address
                for address in self.email_addresses
                if address.verification == "verified"
            ),
        )


class DeletedUser(Event):
    """A user who was deleted."""

    id: Id

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield UserDeleted(account_id=self.id)


class Payer(Shape):
    """The user or organization that pays. An organization must be linked to an account first."""

    id: Id
    user_id: str | None = None
    organization_id: Id | None = None


class Amount(Shape):
    """An amount of money."""

    amount: Money
    currency: Currency


class Plan(Amount):
    """A plan and its price."""

    id: Id
    slug: str
    is_default: bool


class Item(Shape):
    """A subscription item: a payer's time on a plan."""

    id: Id
    status: Word
    period_start: Instant
    period_end: Instant | None = None
    amount: Amount | None = None
    plan: Plan | None = None

    @property
    def paid_plan(self) -> Plan | None:
        """Its plan, unless that is free."""
        is_free = self.plan is None or self.plan.is_default or self.plan.amount == 0
        return None if is_free else self.plan

    def names(self, payer: Payer) -> tuple[str, ...]:
        """Return the names of the account that it belongs to."""
        return names(
            ("account", payer.user_id),
            ("clerk", self.id),
            ("clerk", payer.organization_id),
            ("clerk", payer.id),
        )

    def period(self, payer: Payer, plan: Plan) -> PeriodPaid:
        """Return the period that it is in, which is paid."""
        if self.period_end is None:
            raise PayloadError(f"the subscription item {self.id} has no period_end")
        paid = self.amount or plan
        return PeriodPaid(
            names=self.names(payer),
            payment_id=f"clerk:{self.id}:{int(self.period_start.timestamp())}",
            subscription_id=f"clerk:{self.id}",
            plan_names=distinct(plan.id, plan.slug),
            start=self.period_start,
            end=self.period_end,
            money=paid.amount,
            currency=paid.currency,
        )

    def facts_for(self, payer: Payer, message: Message) -> Iterator[Fact]:
        """Yield the period that it is in and its status, once it has started on a paid plan."""
        if self.paid_plan is None or self.status not in STARTED:
            return
        if self.status == "active":
            yield self.period(payer, self.paid_plan)
        yield SubscriptionUpdated(
            names=self.names(payer),
            subscription_id=f"clerk:{self.id}",
            status=self.status,
            ended=self.status in ENDED,
            at=message.sent_at,
        )


class PayersItem(Item, Event):
    """A subscription item with its payer."""

    payer: Payer

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield from _required(self.facts_for(self.payer, message))


class Subscription(Event):
    """All subscription items of a payer."""

    payer: Payer
    items: tuple[Item, ...]

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield from _required(
            fact for item in self.items for fact in item.facts_for(self.payer, message)
        )


class PaymentAttempt(Event):
    """A payment for subscription items, or one that failed."""

    status: str
    payer: Payer
    subscription_items: tuple[Item, ...]

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.status != "paid":
            raise IgnoredError(f"the payment is {self.status}")
        yield from _required(
            item.period(self.payer, item.paid_plan)
            for item in self.subscription_items
            if item.paid_plan
        )


def _required(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    found = tuple(facts)
    if not found:
        raise IgnoredError("no item in it has started on a plan that costs money")
    return found


SCHEME = Scheme(headers="svix", key=base64_key)

EVENTS: Mapping[str, type[Event]] = {
    "user.created": User,
    "user.updated": User,
    "user.deleted": DeletedUser,
    "subscriptionItem.*": PayersItem,
    "subscription.*": Subscription,
    "paymentAttempt.updated": PaymentAttempt,
}

"""Clerk: users, and the subscriptions of Clerk Billing.

Shapes: `UserJSON` and `Billing...WebhookEventJSON` in
https://github.com/clerk/javascript/blob/main/packages/backend/src/api/resources/JSON.ts; events:
https://clerk.com/docs/guides/development/webhooks/billing.

- A subscription item serves as Scrip's subscription: items do not name the subscription they belong
  to, and an upgrade ends one item and starts another.
- A period is named by its item and its start, so that the events of an item and those of its
  payment count once; a trial also by its end, since it may be extended. A renewal is an update of
  the item with a new start; it has no event type of its own.
- A free plan is ignored. A trial is a period that costs nothing, and its item is active.
- A `canceled` item has not ended: access lasts until it is `ended`. One that ends before its period
  was replaced by an upgrade, for which Clerk credits the rest, or was ended by an admin. Either way
  its access is over, and the rest of the period is given back.
- Only an `active` item needs its period. A free plan has no end, and an item that has not started
  may have no period at all.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, override

from pydantic import BeforeValidator

from scrip.domain.naming import Names
from scrip.webhooks.facts import (
    Fact,
    PaidLine,
    PeriodPaid,
    SubscriptionUpdated,
    Unclear,
    UserCreated,
    UserDeleted,
)
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
    unknown,
)

ENDED = ("ended", "expired")
STARTED = ("active", "past_due", "canceled", *ENDED)
NOT_STARTED = ("upcoming", "incomplete", "abandoned")


def _none_if_before_epoch(instant: object) -> object:
    """Pass over the instants that Clerk sent for none until 2026: the year 1."""
    return None if isinstance(instant, int | float) and instant <= 0 else instant


type PeriodInstant = Annotated[Instant | None, BeforeValidator(_none_if_before_epoch)]
"""An instant of an item's period, if it has one."""


class EmailAddress(Shape):
    """An address of a user."""

    email_address: Email
    verification: str | None = at("verification.status")


class User(Event):
    """A user who was created or updated."""

    id: Id
    email_addresses: tuple[EmailAddress, ...]
    first_name: str | None = None
    last_name: str | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        yield UserCreated(
            account_id=self.id,
            emails=tuple(
                address.email_address
                for address in self.email_addresses
                if address.verification == "verified"
            ),
            name=" ".join(filter(None, (self.first_name, self.last_name))) or None,
        )


class DeletedUser(Event):
    """A user who was deleted. Clerk may leave out which, by the shape that it documents."""

    id: Id | None = None

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.id is None:
            yield Unclear(reason="the deleted user has no id")
        else:
            yield UserDeleted(account_id=self.id)


class Payer(Shape):
    """The user or organization that pays. An organization must be linked to an account first."""

    id: Id
    user_id: str | None = None
    organization_id: Id | None = None


class Amount(Shape):
    """An amount of money."""

    amount: Money | None = None
    currency: Currency | None = None


class Plan(Shape):
    """A plan and its price, which is `fee` in newer messages."""

    id: Id
    slug: str | None = None
    is_default: bool | None = None
    amount: Money | None = at("fee.amount", "amount")
    currency: Currency | None = at("fee.currency", "currency")
    annual_amount: Money | None = at("annual_fee.amount", "annual_amount")
    annual_monthly_amount: Money | None = at("annual_monthly_fee.amount", "annual_monthly_amount")

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing, by the month or by the year."""
        is_paid = self.amount != 0 or self.annual_amount or self.annual_monthly_amount
        return bool(self.is_default) or not is_paid


class Item(Shape):
    """A subscription item: a payer's time on a plan."""

    id: Id
    status: Word
    plan_period: Word | None = None
    period_start: PeriodInstant = None
    period_end: PeriodInstant = None
    ended_at: PeriodInstant = None
    is_free_trial: bool | None = None
    amount: Amount | None = None
    plan: Plan | None = None
    plan_id: Id | None = None

    @property
    def plan_names(self) -> tuple[str, ...]:
        """The names that its plan may be known by; none if that is free."""
        if self.plan is not None:
            return () if self.plan.is_free else distinct(self.plan.id, self.plan.slug)
        is_free = self.amount is not None and self.amount.amount == 0
        return () if is_free else distinct(self.plan_id)

    @property
    def price(self) -> Amount:
        """What its period costs, as far as it is known."""
        if self.is_free_trial:
            return Amount(amount=0)
        if self.amount is not None or self.plan is None:
            return self.amount or Amount()
        annual = self.plan.annual_amount if self.plan_period == "annual" else None
        return Amount(amount=annual or self.plan.amount, currency=self.plan.currency)

    def names(self, payer: Payer) -> Names:
        """Return the names of the account that it belongs to."""
        return Names(
            accounts=names(("account", payer.user_id)),
            subscriptions=names(("clerk", self.id)),
            customers=names(("clerk", payer.organization_id), ("clerk", payer.id)),
        )

    def periods(self, payer: Payer, credited_from: datetime | None = None) -> Iterator[PeriodPaid]:
        """Yield the period that it is in, as paid, or the rest of it as credited.

        Nothing is yielded if the message does not say which, or if there is no rest.
        """
        if self.period_start is None or self.period_end is None:
            return
        start = max(self.period_start, credited_from or self.period_start)
        if start >= self.period_end:
            return
        is_credited = credited_from is not None
        name = f"clerk:{self.id}:{int(self.period_start.timestamp())}"
        if self.is_free_trial:  # it may be extended
            name += f":{int(self.period_end.timestamp())}"
        yield PeriodPaid(
            names=self.names(payer),
            payment_id=f"{name}:ended" if is_credited else name,
            subscription_id=f"clerk:{self.id}",
            lines=(
                PaidLine(
                    plan_names=self.plan_names,
                    start=start,
                    end=self.period_end,
                    prorated=is_credited,
                    credited=is_credited,
                ),
            ),
            money=0 if is_credited else self.price.amount or 0,
            currency=self.price.currency or "",
        )

    def facts_for(self, payer: Payer, message: Message) -> Iterator[Fact]:
        """Yield the period that it is in and its status, once it has started on a paid plan."""
        if not self.plan_names or self.status in NOT_STARTED:
            return
        if self.status == "active":
            paid = tuple(self.periods(payer))
            yield from paid or (Unclear(reason=f"the active item {self.id} has no period"),)
        elif self.status in ENDED:
            yield from self.periods(payer, self.ended_at or message.sent_at)
        yield SubscriptionUpdated(
            names=self.names(payer),
            subscription_id=f"clerk:{self.id}",
            status=self.status,
            ended=self.status in ENDED,
            at=message.sent_at,
        )
        yield from unknown(f"the status of the item {self.id}", self.status, STARTED)


class PayersItem(Item, Event):
    """A subscription item with its payer."""

    payer: Payer

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if message.type == "subscriptionItem.freeTrialEnding":
            raise IgnoredError("it only announces the end of a trial")
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
    """A payment for subscription items, or one that failed.

    An item whose period it does not say is paid for by the item's own message.
    """

    status: Word
    payer: Payer
    subscription_items: tuple[Item, ...]

    @override
    def facts(self, message: Message) -> Iterator[Fact]:
        if self.status in {"pending", "failed"}:
            raise IgnoredError(f"the payment is {self.status}")
        if self.status != "paid":
            yield from unknown("the payment's status", self.status, ())
            return
        yield from _required(
            period
            for item in self.subscription_items
            if item.plan_names
            for period in item.periods(self.payer)
        )


def _required(facts: Iterable[Fact]) -> tuple[Fact, ...]:
    found = tuple(facts)
    if not found:
        raise IgnoredError("no item in it has a period on a plan that costs money")
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

"""Clerk: users, and what Clerk Billing tells.

Shapes: `UserJSON` and `Billing...WebhookEventJSON` in
https://github.com/clerk/javascript/blob/main/packages/backend/src/api/resources/JSON.ts; events:
https://clerk.com/docs/guides/development/webhooks/billing.

- A period is named by the subscription item and its start, so that the item's own events and those
  of its payment tell of one and the same. Items do not name the subscription they are of, and an
  upgrade ends one item and begins another, so the item is what Scrip takes for the subscription.
- A renewal is an item's update with a new start; no event has a name of its own for it.
- A free plan tells nothing. A trial tells a period like any other: its item is active, and nothing
  in it says reliably that it is one.
- `canceled` is no end: access lasts until `ended`.
"""

from collections.abc import Iterator

from scrip.domain.errors import PayloadError
from scrip.webhooks.facts import Fact, PeriodPaid, SubscriptionTold, UserCreated, UserDeleted
from scrip.webhooks.messages import IgnoredError, Message
from scrip.webhooks.shapes import Id, Instant, Money, Shape, Word, names, read

ENDED = ("ended", "expired")
STANDING = ("active", "past_due", "canceled", *ENDED)
"""An item of another status has not begun: `upcoming`, `incomplete`, `abandoned`."""


def facts(message: Message) -> tuple[Fact, ...]:
    """Return what an event tells.

    Raises:
        IgnoredError: nothing about credits.
        PayloadError: it lacks what it should have.
    """
    match message.type.split("."):
        case ["user", "created" | "updated"]:
            return _user(read(User, message.payload, "data"))
        case ["user", "deleted"]:
            user = read(DeletedUser, message.payload, "data")
            return (UserDeleted(names=names(("account", user.id)), account_id=user.id),)
        case ["subscriptionItem", _]:
            item = read(PayersItem, message.payload, "data")
            told = tuple(_standing(item, item.payer, message))
        case ["subscription", _]:
            subscription = read(Subscription, message.payload, "data")
            payer = subscription.payer
            told = tuple(
                fact for item in subscription.items for fact in _standing(item, payer, message)
            )
        case ["paymentAttempt", "updated"]:
            told = _paid(read(PaymentAttempt, message.payload, "data"))
        case _:
            raise IgnoredError(f"{message.type} is not about credits")
    if not told:
        raise IgnoredError("nothing in it is of a plan that costs money and has begun")
    return told


class Verification(Shape):
    """How an address was verified, if it was."""

    status: str


class EmailAddress(Shape):
    """An address of a user."""

    email_address: str
    verification: Verification | None = None


class DeletedUser(Shape):
    """A user who is no more."""

    id: Id


class User(DeletedUser):
    """A user."""

    email_addresses: tuple[EmailAddress, ...]


def _user(user: User) -> tuple[Fact, ...]:
    return (
        UserCreated(
            names=names(("account", user.id)),
            account_id=user.id,
            emails=tuple(
                address.email_address.strip().lower()
                for address in user.email_addresses
                if address.verification and address.verification.status == "verified"
            ),
        ),
    )


class Payer(Shape):
    """Who pays: a user, or an organization, which some account has to be linked to."""

    id: Id
    user_id: str | None = None
    organization_id: Id | None = None


class Amount(Shape):
    """Money."""

    amount: Money
    currency: Word


class Plan(Shape):
    """A plan."""

    id: Id
    slug: str
    amount: Money
    is_default: bool
    currency: Word


class Item(Shape):
    """A subscription item: a payer's time on a plan."""

    id: Id
    status: Word
    period_start: Instant
    period_end: Instant | None = None
    amount: Amount | None = None
    plan: Plan | None = None


class PayersItem(Item):
    """A subscription item that says whose it is."""

    payer: Payer


class Subscription(Shape):
    """All subscription items of a payer."""

    payer: Payer
    items: tuple[Item, ...]


class PaymentAttempt(Shape):
    """A payment, or one that did not succeed."""

    status: str
    payer: Payer
    subscription_items: tuple[Item, ...]


def _standing(item: Item, payer: Payer, message: Message) -> Iterator[Fact]:
    """Tell how an item stands, and the period that it is in."""
    if item.plan is None or _is_free(item.plan) or item.status not in STANDING:
        return
    if item.status == "active":
        yield _period(item, item.plan, payer)
    yield SubscriptionTold(
        names=_names(item, payer),
        subscription_id=f"clerk:{item.id}",
        status=item.status,
        ended=item.status in ENDED,
        at=message.sent_at,
    )


def _paid(attempt: PaymentAttempt) -> tuple[Fact, ...]:
    if attempt.status != "paid":
        raise IgnoredError(f"the payment is {attempt.status}")
    return tuple(
        _period(item, item.plan, attempt.payer)
        for item in attempt.subscription_items
        if item.plan and not _is_free(item.plan)
    )


def _is_free(plan: Plan) -> bool:
    return plan.is_default or plan.amount == 0


def _period(item: Item, plan: Plan, payer: Payer) -> PeriodPaid:
    if item.period_end is None:
        raise PayloadError(f"the subscription item {item.id} has no period_end")
    paid = item.amount or plan
    return PeriodPaid(
        names=_names(item, payer),
        payment_id=f"clerk:{item.id}:{int(item.period_start.timestamp())}",
        subscription_id=f"clerk:{item.id}",
        plan_names=(plan.id, plan.slug),
        start=item.period_start,
        end=item.period_end,
        money=paid.amount,
        currency=paid.currency.lower(),
    )


def _names(item: Item, payer: Payer) -> tuple[str, ...]:
    return names(
        ("account", payer.user_id),
        ("clerk", item.id),
        ("clerk", payer.organization_id),
        ("clerk", payer.id),
    )

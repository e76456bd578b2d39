"""Whole lives of customers: what they buy, change, return and use, and when each is heard of.

A seed makes a life. Its messages are what a billing provider sends; `owned` says the same without
them: which plan and quantity the customer had paid for from when to when.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import partial
from itertools import pairwise
from random import Random
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from scrip.domain.catalog import Catalog, Plan, Rollover
from scrip.domain.commands import FollowSubscription, PayTerms, TakeBack
from scrip.domain.payments import DisputeOutcome, RefundStatus
from scrip.domain.terms import Line
from tests.unit.domain.entitlement.oracle import after_months, epoch, seconds
from tests.unit.domain.examples import (
    BILLING,
    adjust,
    capture,
    consume,
    hold,
    purchase,
    quota,
    refund,
    release,
    reset,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.commands import Command

DAY = timedelta(days=1)

CATALOG = Catalog(
    plans={
        plan.plan_id: plan
        for plan in (
            Plan(plan_id="free", name="Free", monthly_credits=100),
            Plan(plan_id="starter", name="Starter", monthly_credits=500),
            Plan(plan_id="growth", name="Growth", monthly_credits=3_000),
            Plan(plan_id="odd", name="Odd", monthly_credits=97),
            Plan(
                plan_id="roller",
                name="Rolls over",
                monthly_credits=700,
                rollover=Rollover(max=400, periods=1),
            ),
            Plan(
                plan_id="keeper",
                name="Rolls over for long",
                monthly_credits=60,
                rollover=Rollover(max=150, periods=3),
            ),
        )
    },
    features={},
)

ALLOWANCES = {plan.plan_id: plan.monthly_credits for plan in CATALOG.plans.values()}
PRICES = {"starter": 1_000, "growth": 5_000, "odd": 333, "roller": 1_500, "keeper": 250}


UTC_ZONE = ZoneInfo("UTC")


def months_after(start: datetime, months: int, zone: ZoneInfo) -> datetime:
    return epoch(after_months(seconds(start), months, zone))


class Proration(StrEnum):
    """What a provider does with the money when something changes in the middle of a period."""

    NONE = "none"
    INVOICED = "always_invoice"
    PENDING = "create_prorations"


@dataclass(frozen=True, kw_only=True)
class Message:
    """A fact of the provider's: when it was so, and when the ledger hears of it."""

    at: datetime
    heard: datetime
    command: Command


@dataclass(frozen=True, kw_only=True)
class Owned:
    """A plan that was paid for, from start to end, within a period of some months."""

    subscription_id: str
    item_id: str
    plan_id: str
    quantity: int
    start: datetime
    end: datetime
    period: tuple[datetime, datetime]
    months: int
    ended_early: tuple[datetime, datetime] | None = None
    """When another interval ended the period, and when that was heard of."""

    def grid(self, zone: ZoneInfo) -> list[tuple[datetime, datetime]]:
        """Return the months of the period."""
        bounds = [*(months_after(self.period[0], k, zone) for k in range(self.months))]
        return list(pairwise([*bounds, self.period[1]]))

    def credits(self, zone: ZoneInfo) -> float:
        """Return what it brings: the allowance of each month, by the part of it that it covers."""
        return sum(
            ALLOWANCES[self.plan_id]
            * self.quantity
            * max(0.0, (min(self.end, end) - max(self.start, start)) / (end - start))
            for start, end in self.grid(zone)
        )

    def most(self, now: datetime, zone: ZoneInfo) -> float:
        """Return what the running month of it has brought at most, by what it covers of it."""
        start, end = next(one for one in reversed(self.grid(zone)) if one[0] <= now)
        until = self.ended_early[0] if self.ended_early and self.ended_early[1] <= now else end
        part = max(0.0, min(1.0, (until - start) / (end - start)))
        return ALLOWANCES[self.plan_id] * self.quantity * part


@dataclass(frozen=True, kw_only=True)
class Act:
    """Something that the app, the user or an admin does, or a read."""

    at: datetime
    command: Command | None = None


@dataclass(frozen=True, kw_only=True)
class Life:
    """A customer's life. Messages are in the order in which they are heard."""

    seed: int
    opened: datetime
    zone: str
    messages: tuple[Message, ...]
    acts: tuple[Act, ...]
    owned: tuple[Owned, ...]
    superseded: bool
    end: datetime

    @property
    def returns(self) -> bool:
        """Whether any money went back."""
        return any(isinstance(message.command, TakeBack) for message in self.messages)


@dataclass
class Item:
    """A line of a subscription: what the customer has now, and pays for from the next period."""

    item_id: str
    plan_id: str
    quantity: int
    since: datetime
    next: tuple[str, int]

    @property
    def price(self) -> int:
        return PRICES[self.plan_id] * self.quantity

    def named(self, *, with_item: bool) -> str:
        """Return its ID or, as in some lines, that of its price, which no other item has."""
        return self.item_id if with_item else f"price:{self.item_id}:{self.plan_id}"


@dataclass(kw_only=True)
class Habits:
    """How often things happen in the lives that are made. 1 is always."""

    overrides: float = 0.0
    holds: float = 0.3
    refunds: float = 0.15
    disputes: bool = True
    uses: int = 8
    plans: tuple[str, ...] = ("starter", "growth", "odd", "roller", "keeper")


@dataclass
class Maker:
    """Makes a life out of random choices."""

    random: Random
    habits: Habits
    messages: list[Message] = field(default_factory=list)
    owned: list[Owned] = field(default_factory=list)
    superseded: bool = False
    names: int = 0

    def name(self, prefix: str) -> str:
        self.names += 1
        return f"{prefix}_{self.names}"

    def chance(self, part: float) -> bool:
        return self.random.random() < part

    def instant(self, start: datetime, end: datetime) -> datetime:
        """Return an instant between two others, at an hour that no clock change touches."""
        days = max(0, (end - start) // DAY - 1)
        day = start + self.random.randint(0, days) * DAY
        at = day.replace(
            hour=self.random.randint(10, 16),
            minute=self.random.choice((0, 30, self.random.randint(0, 59))),
            second=self.random.choice((0, self.random.randint(0, 59))),
        )
        return at if start < at < end else at + DAY if at + DAY < end else start + (end - start) / 2

    def delay(self) -> timedelta:
        """Return how late a message comes: most at once, a few by weeks."""
        kind = self.random.random()
        if kind < 0.75:
            return timedelta(seconds=self.random.randint(0, 300))
        if kind < 0.9:
            return timedelta(minutes=self.random.randint(5, 3_000))
        return timedelta(hours=self.random.randint(48, 1_200))

    def say(self, at: datetime, make: Callable[..., Command], /, **fields: Any) -> datetime:
        """Send a message; return when it is heard."""
        command = make(account_id="u1", keyed=False, actor=BILLING, **fields)
        heard = at + self.delay()
        self.messages.append(Message(at=at, heard=heard, command=command))
        return heard

    def subscribe(self, start: datetime) -> datetime:
        """Live a subscription from its first payment to its end; return when that is."""
        return Subscription(self, self.name("sub"), start).live()

    def pay(
        self,
        at: datetime,
        subscription_id: str,
        lines: list[tuple[Line, int]],
        *,
        free: bool = False,
    ) -> datetime:
        """Pay an invoice, of which something may go back later; return when it is heard of."""
        money = 0 if free else max(0, sum(price for _, price in lines))
        payment_id = self.name("in")
        heard = self.say(
            at,
            PayTerms,
            entry_id=payment_id,
            subscription_id=subscription_id,
            lines=tuple(line for line, _ in lines),
            money=money,
        )
        if money and self.chance(0.2):
            ends = max(line.end for line, _ in lines)
            self.give_back(payment_id, money, self.instant(at, max(ends, at + 5 * DAY)))
        return heard

    def give_back(self, payment_id: str, money: int, at: datetime) -> None:
        """Return money of a payment: by refunds or a dispute, some of which fail."""
        say = partial(self.say, payment_id=payment_id, entry_id=self.name("back"))
        part = self.random.choice((money, money, self.random.randint(1, money), money // 4 or 1))
        kind = self.random.random()
        if kind < 0.45:
            refund_id = self.name("re")
            say(at, TakeBack, refund_id=refund_id, money=part)
            if self.chance(0.25):
                say(
                    at + 3 * DAY,
                    TakeBack,
                    refund_id=refund_id,
                    money=part,
                    status=RefundStatus.FAILED,
                )
            if part < money and self.chance(0.4):
                more = self.random.randint(1, money - part)
                say(at + DAY, TakeBack, refund_id=self.name("re"), money=more)
        elif kind < 0.65 or not self.habits.disputes:
            say(at, TakeBack, charge_id=f"ch_{payment_id}", total=part)
            if part < money:
                say(at + DAY, TakeBack, charge_id=f"ch_{payment_id}", total=money)
        else:
            dispute = {"dispute_id": self.name("dp"), "money": part}
            say(at, TakeBack, **dispute, outcome=DisputeOutcome.OPEN)
            if self.chance(0.9):
                outcome = self.random.choice((DisputeOutcome.WON, DisputeOutcome.LOST))
                closed = at + self.random.randint(1, 60) * DAY
                say(closed, TakeBack, **dispute, outcome=outcome)
                if outcome is DisputeOutcome.LOST and self.chance(0.1):
                    say(closed + DAY, TakeBack, **dispute, outcome=DisputeOutcome.WON)


class Subscription:
    """One subscription's life."""

    def __init__(self, maker: Maker, subscription_id: str, start: datetime) -> None:
        self.maker, self.random, self.chance = maker, maker.random, maker.chance
        self.subscription_id = subscription_id
        self.anchor = self.start = start
        self.months = self.random.choice((1, 1, 1, 1, 3, 12))
        self.number = 0
        self.items = [self.item() for _ in range(self.random.choice((1, 1, 1, 1, 2, 3)))]
        self.pending: list[tuple[Line, int]] = []

    def item(self) -> Item:
        plan_id, quantity = self.pick()
        return Item(self.maker.name("si"), plan_id, quantity, self.start, (plan_id, quantity))

    def pick(self) -> tuple[str, int]:
        quantity = self.random.choice((1, 1, 1, 1, 2, 5, 0))
        return self.random.choice(self.maker.habits.plans), quantity

    def boundary(self, months: int) -> datetime:
        return months_after(self.anchor, months, UTC_ZONE)

    @property
    def end(self) -> datetime:
        return self.boundary((self.number + 1) * self.months)

    def follow(self, at: datetime, status: str) -> None:
        self.maker.say(
            at,
            FollowSubscription,
            entry_id=self.maker.name("st"),
            subscription_id=self.subscription_id,
            status=status,
            ended=status == "canceled",
            at=at,
        )

    def live(self) -> datetime:
        if self.chance(0.15):
            self.trial()
        if self.chance(0.8):
            self.follow(self.start, "active")
        periods = self.random.choice((1, 1, 2, 2, 3, 4))
        early: timedelta | None = None
        for number in range(periods):
            # The next periods may be paid ahead, also several at once.
            if number and self.chance(0.15):
                early = self.random.randint(1, 45) * DAY
            elif not self.chance(0.5):
                early = None
            if number and self.chance(0.1):
                self.pause()
            self.renew(early if number else None)
            if not self.period(last=number == periods - 1):
                return self.start
        return self.end

    def pause(self) -> None:
        """Pay nothing for some time; the next period begins after that."""
        self.follow(self.start, "paused")
        self.anchor = self.start = self.start + self.random.randint(2, 70) * DAY
        self.number = 0
        for item in self.items:
            item.since = self.start
        self.follow(self.start, "active")

    def trial(self) -> None:
        end = self.start + self.random.choice((7, 14, 30)) * DAY
        self.follow(self.start, "trialing")
        self.maker.pay(self.start, self.subscription_id, self.lines(self.start, end), free=True)
        self.own((self.start, end), 1, end)
        self.anchor = self.start = end

    def lines(self, start: datetime, end: datetime) -> list[tuple[Line, int]]:
        return [
            (
                Line(
                    item_id=item.item_id,
                    plan_id=item.plan_id,
                    quantity=item.quantity,
                    start=start,
                    end=end,
                ),
                item.price * self.months,
            )
            for item in self.items
        ]

    def own(self, period: tuple[datetime, datetime], months: int, until: datetime) -> None:
        """Record what the customer had until an instant."""
        for item in self.items:
            self.own_one(item, period, months, until)

    def own_one(
        self, item: Item, period: tuple[datetime, datetime], months: int, until: datetime
    ) -> None:
        if item.since < until:
            owned = Owned(
                subscription_id=self.subscription_id,
                item_id=item.item_id,
                plan_id=item.plan_id,
                quantity=item.quantity,
                start=item.since,
                end=until,
                period=period,
                months=months,
            )
            self.maker.owned.append(owned)
        item.since = until

    def renew(self, early: timedelta | None) -> None:
        """Pay for the coming period."""
        for item in self.items:
            item.plan_id, item.quantity = item.next
        lines = [*self.lines(self.start, self.end), *self.pending]
        self.pending = []
        late = self.random.choice((0, 0, 0, 1, 2, 5)) * DAY  # dunning
        at = self.start + late if early is None else self.start - early
        at = max([at, *(line.start for line, _ in lines if line.prorated)])
        self.maker.pay(at, self.subscription_id, lines)
        if late and early is None:
            self.follow(self.start, "past_due")
            self.follow(at, "active")

    def period(self, *, last: bool) -> bool:
        """Live a period; return whether another one follows."""
        changes = self.random.choice((0, 0, 0, 1, 1, 2))
        at = self.start
        for _ in range(changes):
            if self.end - at < 3 * DAY:
                break
            at = self.maker.instant(at, self.end)
            if self.chance(0.25):
                self.change_interval(at)
            else:
                self.change_item(at)
        period = (self.start, self.end)
        if last:
            self.own(period, self.months, self.end)
            how = self.random.random()
            canceled = at + (self.end - at) * self.random.random()
            if self.pending:
                self.maker.pay(self.end, self.subscription_id, self.pending)
            if how < 0.8:
                self.follow(canceled.replace(microsecond=0) if how < 0.4 else self.end, "canceled")
            return False
        self.own(period, self.months, self.end)
        self.start, self.number = self.end, self.number + 1
        return True

    def change_item(self, at: datetime) -> None:
        """Change plan or quantity of an item, or add one."""
        proration = self.random.choice(tuple(Proration))
        if self.chance(0.15):
            item = self.item()
            item.since = at
            self.items.append(item)
            old = None
        else:
            item = self.random.choice(self.items)
            old = (item.plan_id, item.quantity)
        new = self.pick()
        if new == old:
            return
        item.next = new
        if proration is Proration.NONE and old is not None:
            return
        left = (self.end - at) / (self.end - self.start) * self.months
        with_item = old is None or self.chance(0.5)
        lines = []
        if old is not None:
            self.own_one(item, (self.start, self.end), self.months, at)
            credited = self.line(at, item.named(with_item=with_item), old, credited=True)
            lines.append((credited, -round(PRICES[old[0]] * old[1] * left)))
        item.plan_id, item.quantity = new
        item_id = item.named(with_item=with_item)
        lines.append((self.line(at, item_id, new), round(PRICES[new[0]] * new[1] * left)))
        if proration is Proration.PENDING:
            self.pending += lines
        else:
            self.maker.pay(at, self.subscription_id, lines)

    def line(
        self, at: datetime, item_id: str, what: tuple[str, int], *, credited: bool = False
    ) -> Line:
        return Line(
            item_id=item_id,
            plan_id=what[0],
            quantity=what[1],
            start=at,
            end=self.end,
            prorated=True,
            credited=credited,
        )

    def change_interval(self, at: datetime) -> None:
        """Begin another period at once: of a month, a quarter or a year, for each item."""
        credited = []
        left = (self.end - at) / (self.end - self.start) * self.months
        if self.chance(0.75):
            with_item = self.chance(0.5)
            credited = [
                (
                    self.line(
                        at,
                        item.named(with_item=with_item),
                        (item.plan_id, item.quantity),
                        credited=True,
                    ),
                    -round(item.price * left),
                )
                for item in self.items
            ]
        else:
            self.maker.superseded = True
        period = (self.start, self.end)
        self.own(period, self.months, at)
        self.anchor = self.start = at
        self.number = 0
        self.months = self.random.choice([months for months in (1, 3, 12) if months != self.months])
        for item in self.items:
            if self.chance(0.5):
                item.next = self.pick()
            item.plan_id, item.quantity = item.next
        lines = [*credited, *self.lines(at, self.end), *self.pending]
        self.pending = []
        heard = self.maker.pay(at, self.subscription_id, lines)
        self.maker.owned = [
            replace(one, ended_early=(at, heard))
            if (one.subscription_id, one.period) == (self.subscription_id, period)
            else one
            for one in self.maker.owned
        ]


def life(seed: int, habits: Habits | None = None) -> Life:
    """Return the life that a seed makes."""
    habits = habits or Habits()
    random = Random(seed)
    maker = Maker(random, habits)
    opened = datetime(2026, 1, 1, tzinfo=UTC) + random.randint(0, 400) * DAY
    opened = opened.replace(hour=random.randint(10, 16), minute=random.choice((0, 30, 59)))
    ends = [opened]
    for _ in range(random.choice((1, 1, 2, 3))):
        start = maker.instant(opened, opened + random.choice((2, 40, 200)) * DAY)
        ends.append(maker.subscribe(start))
    messages = sorted(maker.messages, key=lambda message: message.heard)
    messages = [
        Message(at=one.at, heard=max(one.heard, opened), command=one.command) for one in messages
    ]
    heard = [message.heard for message in messages]
    end = max(*ends, *heard, *paid_until(messages)) + 100 * DAY
    return Life(
        seed=seed,
        opened=opened,
        zone=random.choice(
            ("UTC", "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"),
        ),
        messages=tuple(messages),
        acts=tuple(acts(maker, opened, max(ends))),
        owned=tuple(maker.owned),
        superseded=maker.superseded,
        end=end,
    )


def paid_until(messages: list[Message]) -> list[datetime]:
    return [
        line.end
        for message in messages
        if isinstance(message.command, PayTerms)
        for line in message.command.lines
    ]


def acts(maker: Maker, start: datetime, end: datetime) -> list[Act]:
    """Return uses and what belongs to them, at any moment of a life."""
    random, made = maker.random, []
    for number in range(random.randint(0, maker.habits.uses)):
        at = maker.instant(start, end)
        key = f"use-{number}"
        kind = random.random()
        if kind < 0.1:
            made.append(Act(at=at))
        elif kind < 0.1 + maker.habits.holds * 0.5:
            made.append(Act(at=at, command=hold(random.randint(1, 400), key, expires_in=86_400)))
            later = at + timedelta(hours=random.randint(0, 30))
            ending = release(f"{key}-end", of=key)
            if maker.chance(0.5):
                ending = capture(random.randint(1, 50), f"{key}-end", of=key)  # type: ignore[assignment]
            made.append(Act(at=later, command=ending))
        elif kind < 0.95 or not maker.habits.overrides:
            made.append(Act(at=at, command=consume(random.choice((1, 50, 300, 900, 3_000)), key)))
            if maker.chance(maker.habits.refunds):
                later = at + timedelta(hours=random.randint(1, 1_000))
                made.append(Act(at=later, command=refund(key, key=f"{key}-back")))
        if maker.chance(0.05):
            made.append(Act(at=at, command=purchase(random.randint(1, 500), f"pi_{number}")))
    if maker.chance(maker.habits.overrides):
        for number in range(random.randint(1, 3)):
            command = random.choice(
                (
                    quota(monthly_credits=random.choice((0, 50, 800)), key=f"q{number}"),
                    quota(random.choice(tuple(ALLOWANCES)), key=f"q{number}"),
                    reset(f"reset-{number}"),
                    adjust("add", random.randint(1, 90), f"a{number}"),  # type: ignore[arg-type]
                )
            )
            made.append(Act(at=maker.instant(start, end), command=command))
    return sorted(made, key=lambda act: act.at)

"""What happens to a demo account because of its role: plans, payments, and trouble."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from scrip.domain.catalog import Catalog, Plan
from scrip.domain.commands import (
    FollowSubscription,
    OpenHold,
    PayTerms,
    Purchase,
    SetFrozen,
    SetQuota,
    TakeBack,
)
from scrip.domain.payments import DisputeOutcome
from scrip.domain.terms import Line
from scrip_cli.seed.people import Person, Role
from scrip_cli.seed.timed import APP, SHOP, SUPPORT, TimedCommand

PACKS = ((500, 1_000), (2_000, 3_500), (5_000, 7_900))
"""Packs on sale: credits, and their price in cents."""

SHORTEST_MONTH = 28
"""How many days every month has."""

_DAY = timedelta(days=1)


class Story:
    """The story of one account; its days count from the sign-up."""

    def __init__(self, person: Person, catalog: Catalog, signed_up: datetime) -> None:
        """Take whose story it is, the plans on sale, and when it begins (UTC)."""
        self.person = person
        self.account_id = person.account_id
        self.signed_up = signed_up
        plans = [plan for plan in catalog.plans.values() if plan.active]
        self.paid = max(
            (plan for plan in plans if not plan.unlimited), key=lambda plan: plan.monthly_credits
        )
        self.unlimited = next((plan for plan in plans if plan.unlimited), self.paid)

    def commands(self) -> Iterable[TimedCommand]:
        """Return the commands of the story, in any order; ordinary users have none."""
        stories: dict[Role, Callable[[], Iterable[TimedCommand]]] = {
            Role.AGENT: lambda: [self._given(self.paid, "agents are in beta"), *self._forgotten()],
            Role.DEVELOPER: lambda: [self._given(self.unlimited, "one of our developers")],
            Role.SUBSCRIBER: lambda: self._subscription(months=4),
            Role.TEAM: lambda: self._subscription(months=4, quantity=5),
            Role.CANCELED: lambda: self._subscription(months=2, ended="canceled"),
            Role.PAST_DUE: lambda: self._subscription(months=3, ended="past_due"),
            Role.YEARLY: lambda: [self._paid_for(0, 12), self._status("active", 0)],
            Role.TRIAL: lambda: [self._paid_for(0, 0), self._status("trialing", 0)],
            Role.BUYER: lambda: [self._purchase(day) for day in (5, 33, 64, 88)],
            Role.DISPUTED: lambda: [self._purchase(60), self._dispute(60)],
            Role.DEBTOR: lambda: [self._purchase(70), self._refund(70)],
            Role.FROZEN: lambda: [self._frozen()],
        }
        return stories.get(self.person.role, list)()

    def _at(self, day: int, hour: int = 12) -> datetime:
        return self.signed_up + timedelta(days=day, hours=hour)

    def _given(self, plan: Plan, reason: str) -> TimedCommand:
        command = SetQuota(
            account_id=self.account_id,
            entry_id="demo-plan",
            actor=SUPPORT,
            plan_id=plan.plan_id,
            reason=reason,
        )
        return TimedCommand(at=self._at(1), command=command)

    def _forgotten(self) -> Iterator[TimedCommand]:
        """Yield a hold a day, from day 80 on, that nobody ends: it expires a day later."""
        for day in range(80, 80 + 365):
            # It is still open when the seed has just been planted.
            at = self._at(day).replace(hour=23, minute=55)
            command = OpenHold(
                account_id=self.account_id,
                entry_id=f"demo-{at.date()}-forgotten",
                actor=APP,
                reference=f"video-{at.date()}",
                amount=400,
                expires_in=_DAY // timedelta(seconds=1),
            )
            yield TimedCommand(at=at, command=command)

    def _subscription(
        self, *, months: int, quantity: int = 1, ended: str | None = None
    ) -> list[TimedCommand]:
        """Return a subscription that is paid for some months and, if it ends there, its end."""
        commands = [self._paid_for(month, 1, quantity) for month in range(months)]
        commands.append(self._status("active", 0))
        if ended:
            commands.append(self._status(ended, months))
        return commands

    def _paid_for(self, month: int, months: int, quantity: int = 1) -> TimedCommand:
        """Return a payment at the beginning of a month; no `months` are a trial of two weeks."""
        start = self._month(month)
        end = self._month(month + months) if months else start + timedelta(days=14)
        command = PayTerms(
            account_id=self.account_id,
            entry_id=f"demo:in_{self.account_id}_{month}",
            keyed=False,
            actor=SHOP,
            reference=f"demo:evt_in_{self.account_id}_{month}",
            subscription_id=self._subscription_id,
            lines=(
                Line(
                    item_id="demo:si_1",
                    plan_id=self.paid.plan_id,
                    quantity=quantity,
                    start=start,
                    end=end,
                ),
            ),
            money=months * quantity * 1_900,
            currency="usd",
        )
        return TimedCommand(at=start + timedelta(minutes=1), command=command)

    @property
    def _subscription_id(self) -> str:
        return f"demo:sub_{self.account_id}"

    def _status(self, status: str, month: int) -> TimedCommand:
        at = self._month(month) + timedelta(minutes=2)
        command = FollowSubscription(
            account_id=self.account_id,
            entry_id=f"demo:evt_{self.account_id}_{status}",
            keyed=False,
            actor=SHOP,
            subscription_id=self._subscription_id,
            status=status,
            ended=status == "canceled",
            at=at,
        )
        return TimedCommand(at=at, command=command)

    def _month(self, month: int) -> datetime:
        """Return when a month of the subscription begins: on one of the days 1 to 28."""
        first = self._at(2)
        while first.day > SHORTEST_MONTH:
            first += _DAY
        years, index = divmod(first.month - 1 + month, 12)
        return first.replace(year=first.year + years, month=index + 1)

    def _purchase(self, day: int) -> TimedCommand:
        bought, money = self._pack(day)
        command = Purchase(
            account_id=self.account_id,
            entry_id=self._payment_id(day),
            keyed=False,
            actor=SHOP,
            reference=f"demo:evt_{self.account_id}_{day}",
            metadata={"money": money, "currency": "usd"},
            credits=bought,
            money=money,
            currency="usd",
        )
        return TimedCommand(at=self._at(day), command=command)

    def _pack(self, day: int) -> tuple[int, int]:
        return self.person.random("pack", day).choice(PACKS)

    def _payment_id(self, day: int) -> str:
        return f"demo:pi_{self.account_id}_{day}"

    def _refund(self, day: int) -> TimedCommand:
        """Return the refund of all money of a purchase, two weeks later."""
        command = TakeBack(
            account_id=self.account_id,
            entry_id=f"demo:evt_{self.account_id}_refund",
            keyed=False,
            actor=SHOP,
            payment_id=self._payment_id(day),
            charge_id=f"demo:ch_{self.account_id}",
            total=self._pack(day)[1],
        )
        return TimedCommand(at=self._at(day + 14), command=command)

    def _dispute(self, day: int) -> TimedCommand:
        """Return the dispute of a purchase, two weeks later, which stays open."""
        command = TakeBack(
            account_id=self.account_id,
            entry_id=f"demo:evt_{self.account_id}_dispute",
            keyed=False,
            actor=SHOP,
            payment_id=self._payment_id(day),
            dispute_id=f"demo:dp_{self.account_id}",
            outcome=DisputeOutcome.OPEN,
        )
        return TimedCommand(at=self._at(day + 14), command=command)

    def _frozen(self) -> TimedCommand:
        command = SetFrozen(
            account_id=self.account_id,
            entry_id="demo-freeze",
            actor=SUPPORT,
            frozen=True,
            reason="unusual use, please get in touch",
            note="the same card as three other accounts",
        )
        return TimedCommand(at=self._at(80), command=command)

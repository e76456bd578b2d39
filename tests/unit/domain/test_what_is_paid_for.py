"""The worked examples of docs/how-to/what-is-paid-for.md: each table is what the rules come to."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Self

import pytest

from scrip.domain.catalog import Catalog, Plan
from scrip.domain.commands import Command, FollowSubscription, TakeBack
from scrip.domain.entitlement import entitled
from scrip.domain.payments import DisputeOutcome, Payment, RefundStatus
from scrip.domain.settle import settled
from scrip.domain.terms import Line
from tests.documentation import ROOT
from tests.unit.domain import examples
from tests.unit.domain.examples import BILLING, consume, do, line, opening, pay_terms, quota

PAGE = (ROOT / "docs/how-to/what-is-paid-for.md").read_text()

CATALOG = Catalog(
    plans={
        plan.plan_id: plan
        for plan in (
            Plan(plan_id="free", name="Free", monthly_credits=100),
            Plan(plan_id="starter", name="Starter", monthly_credits=500),
            Plan(plan_id="growth", name="Growth", monthly_credits=3_000),
        )
    },
    features={},
)
SUBSCRIPTION = "stripe:sub_1"


def on(day: int, month: int, *, year: int = 2027, minute: int = 0) -> datetime:
    return datetime(year, month, day, minute=minute, tzinfo=UTC)


APRIL, CHANGE, MAY, JUNE = on(1, 4), on(11, 4), on(1, 5), on(1, 6)


class Story:
    """An account from 1 April on: what is heard of it, and what can be spent then, row by row."""

    def __init__(self) -> None:
        opened = do(None, opening("free", signup_credits=0), APRIL, catalog=CATALOG)
        self.account = opened.after
        self.payments: list[Payment] = []
        self.rows = ["| on | what happens | plan | available |", "|---|---|---|---:|"]

    def hears(self, at: datetime, text: str, *commands: Command) -> Self:
        """Carry out the commands at an instant and write down what they have led to."""
        for command in commands:
            named = [p for p in self.payments if p.payment_id == getattr(command, "payment_id", "")]
            paid = named[-1] if named else None
            posting = do(self.account, command, at, paid=paid, catalog=CATALOG)
            self.account = posting.after
            self.payments += [posting.payment[1]] if posting.payment else []
        self.account = settled(self.account, CATALOG, at)
        plan = entitled(self.account, CATALOG, at).plan.name
        shown = with_spaces(self.account.available)
        self.rows.append(f"| {at.day} {at:%B} | {text} | {plan} | {shown} |")
        return self

    def pays(
        self,
        at: datetime,
        text: str,
        *lines: Line,
        money: int = 3_000,
        subscription_id: str = SUBSCRIPTION,
    ) -> Self:
        payment_id = f"stripe:in_{len(self.payments) + 1}"
        command = pay_terms(
            *lines, payment_id=payment_id, subscription_id=subscription_id, money=money
        )
        return self.hears(at, text, command)

    def uses(self, credits_: int, at: datetime) -> Self:
        command = consume(credits_, f"use-{len(self.rows)}")
        return self.hears(at, f"uses {with_spaces(credits_)}", command)


def with_spaces(credits_: int) -> str:
    return f"{credits_:,}".replace(",", " ")


def credited(start: datetime, end: datetime, plan_id: str, quantity: int = 1) -> Line:
    return line(start, end, plan_id, quantity=quantity, prorated=True, credited=True)


def rest(start: datetime, end: datetime, plan_id: str, quantity: int = 1) -> Line:
    return line(start, end, plan_id, quantity=quantity, prorated=True)


def ended(at: datetime, subscription_id: str = SUBSCRIPTION) -> FollowSubscription:
    return examples.follow("canceled", at, subscription_id=subscription_id)


def refund(
    refund_id: str,
    money: int,
    *,
    payment_id: str = "stripe:in_1",
    status: RefundStatus = RefundStatus.SUCCEEDED,
) -> TakeBack:
    return TakeBack(
        account_id="u1",
        entry_id="t1",
        keyed=False,
        actor=BILLING,
        payment_id=payment_id,
        refund_id=refund_id,
        money=money,
        status=status,
    )


def dispute_of_a_quarter(outcome: DisputeOutcome) -> TakeBack:
    return examples.dispute(outcome, 750, payment_id="stripe:in_1")


def starter() -> Story:
    return Story().pays(APRIL, "pays Starter to 1 May", line(APRIL, MAY, "starter"), money=500)


def growth() -> Story:
    return Story().pays(APRIL, "pays Growth to 1 May", line(APRIL, MAY, "growth"))


def trial_of_growth() -> Story:
    of_growth = line(APRIL, on(15, 4), "growth")
    return Story().pays(APRIL, "begins a trial of Growth to 15 April", of_growth, money=0)


def an_upgrade_billed_at_once() -> Story:
    return (
        starter()
        .uses(200, on(3, 4))
        .pays(
            CHANGE,
            "pays the upgrade: 20 of 30 days of Starter back, 20 of Growth",
            credited(CHANGE, MAY, "starter"),
            rest(CHANGE, MAY, "growth"),
        )
        .pays(MAY, "pays Growth to 1 June", line(MAY, JUNE, "growth"))
    )


def an_upgrade_billed_later() -> Story:
    return (
        starter()
        .uses(200, on(3, 4))
        .hears(CHANGE, "is upgraded at Stripe, which bills nothing yet")
        .pays(
            MAY,
            "pays the upgrade, and Growth to 1 June",
            credited(CHANGE, MAY, "starter"),
            rest(CHANGE, MAY, "growth"),
            line(MAY, JUNE, "growth"),
        )
    )


def a_new_period_at_once() -> Story:
    return (
        starter()
        .uses(200, on(3, 4))
        .pays(
            CHANGE,
            "pays Growth to 11 May; 20 days of Starter go back",
            credited(CHANGE, MAY, "starter"),
            line(CHANGE, on(11, 5), "growth"),
        )
        .hears(MAY, "nothing: the period continues")
    )


def a_downgrade_with_the_next_period() -> Story:
    return (
        growth()
        .uses(2_500, on(3, 4))
        .hears(CHANGE, "chooses Starter from 1 May on")
        .pays(MAY, "pays Starter to 1 June", line(MAY, JUNE, "starter"), money=500)
    )


def a_downgrade_billed_at_once() -> Story:
    return (
        growth()
        .uses(2_500, on(3, 4))
        .pays(
            CHANGE,
            "is downgraded: 20 of 30 days of Growth back, 20 of Starter",
            credited(CHANGE, MAY, "growth"),
            rest(CHANGE, MAY, "starter"),
            money=0,
        )
        .pays(MAY, "pays Starter to 1 June", line(MAY, JUNE, "starter"), money=500)
    )


def seats() -> Story:
    later = on(21, 4)
    return (
        Story()
        .pays(APRIL, "pays 5 seats of Starter to 1 May", line(APRIL, MAY, "starter", quantity=5))
        .uses(1_000, on(3, 4))
        .pays(
            CHANGE,
            "pays for 8 seats instead of 5",
            credited(CHANGE, MAY, "starter", 5),
            rest(CHANGE, MAY, "starter", 8),
        )
        .pays(
            later,
            "is credited 6 seats: 2 instead of 8",
            credited(later, MAY, "starter", 8),
            rest(later, MAY, "starter", 2),
            money=0,
        )
        .pays(MAY, "pays 2 seats to 1 June", line(MAY, JUNE, "starter", quantity=2))
    )


def a_month_that_becomes_a_year() -> Story:
    return (
        growth()
        .uses(600, on(3, 4))
        .pays(
            CHANGE,
            "pays a year; 20 of 30 days of the month go back",
            credited(CHANGE, MAY, "growth"),
            line(CHANGE, on(11, 4, year=2028), "growth"),
            money=28_000,
        )
        .hears(on(11, 5), "nothing: the second of 12 months begins")
    )


def a_year_refunded_in_part() -> Story:
    a_year = line(APRIL, on(1, 4, year=2028), "growth")
    return (
        Story()
        .pays(APRIL, "pays Growth for a year", a_year, money=30_000)
        .uses(1_000, on(3, 4))
        .hears(MAY, "nothing: the second of 12 months begins")
        .hears(on(1, 7), "nothing: the fourth begins")
        .hears(on(1, 7, minute=5), "is refunded half of the price", refund("re_1", 15_000))
        .hears(on(1, 9), "nothing: the sixth begins, the last that is left")
        .hears(on(1, 10), "nothing: the months that stayed paid are over")
    )


def a_trial() -> Story:
    return (
        trial_of_growth()
        .uses(400, on(5, 4))
        .hears(on(15, 4), "nothing: the first payment is under way")
        .pays(on(15, 4, minute=59), "pays Growth to 15 May", line(on(15, 4), on(15, 5), "growth"))
    )


def a_trial_that_no_one_pays() -> Story:
    return (
        trial_of_growth()
        .uses(400, on(5, 4))
        .hears(on(17, 4), "nothing: a payment may still come")
        .hears(on(18, 4), "nothing: none has come")
    )


def two_subscriptions() -> Story:
    start, second = on(1, 4, minute=1), "stripe:sub_2"
    again = line(start, on(1, 5, minute=1), "starter")
    return (
        starter()
        .pays(start, "pays it again, by a double click", again, money=500, subscription_id=second)
        .uses(300, on(2, 4))
        .hears(
            on(3, 4),
            "gets a refund of the second, which is canceled",
            refund("re_1", 500, payment_id="stripe:in_2"),
            ended(on(3, 4), second),
        )
    )


def a_gift_beside_a_subscription() -> Story:
    return (
        starter()
        .hears(CHANGE, "an admin gives Growth", quota("growth"))
        .pays(MAY, "pays Starter to 1 June", line(MAY, JUNE, "starter"), money=500)
        .hears(JUNE, "the subscription has ended", ended(JUNE))
    )


def an_early_payment() -> Story:
    return (
        growth()
        .uses(100, on(3, 4))
        .pays(on(25, 4), "pays May, six days early", line(MAY, JUNE, "growth"))
        .hears(MAY, "nothing: what was paid for begins")
    )


def a_late_payment() -> Story:
    return (
        growth()
        .uses(100, on(3, 4))
        .hears(MAY, "nothing: the payment for May is late")
        .hears(on(4, 5), "nothing: three days are over")
        .uses(40, on(5, 5))
        .pays(on(11, 5), "pays Growth to 1 June", line(MAY, JUNE, "growth"))
    )


def a_refund_that_fails() -> Story:
    return (
        growth()
        .uses(2_500, on(3, 4))
        .hears(on(10, 4), "is refunded a third of the price", refund("re_1", 1_000))
        .hears(on(12, 4), "the refund fails", refund("re_1", 1_000, status=RefundStatus.FAILED))
        .hears(on(14, 4), "is refunded all of it", refund("re_2", 3_000))
    )


def a_dispute() -> Story:
    outcome = DisputeOutcome
    return (
        growth()
        .uses(800, on(3, 4))
        .hears(on(10, 4), "disputes a quarter of the price", dispute_of_a_quarter(outcome.OPEN))
        .hears(on(20, 4), "the dispute is lost", dispute_of_a_quarter(outcome.LOST))
        .hears(on(25, 4), "its money is reinstated", dispute_of_a_quarter(outcome.WON))
    )


def a_cancellation_without_a_credit() -> Story:
    return (
        growth()
        .uses(800, on(3, 4))
        .hears(CHANGE, "cancels, and is credited nothing", ended(CHANGE))
        .hears(MAY, "nothing: what was paid for is over")
    )


def a_cancellation_with_a_credit() -> Story:
    of_the_rest = credited(CHANGE, MAY, "growth")
    return (
        growth()
        .uses(800, on(3, 4))
        .pays(CHANGE, "cancels, and is credited 20 of 30 days", of_the_rest, money=0)
        .hears(MAY, "nothing: the next month of Free begins", ended(CHANGE))
    )


def an_upgrade_at_clerk() -> Story:
    of_starter = credited(CHANGE, MAY, "starter")
    of_growth = line(CHANGE, on(11, 5), "growth")
    first, second = "clerk:item_1", "clerk:item_2"
    return (
        Story()
        .pays(APRIL, "pays Starter", line(APRIL, MAY, "starter"), money=500, subscription_id=first)
        .uses(100, on(3, 4))
        .pays(CHANGE, "begins the item of Growth, to 11 May", of_growth, subscription_id=second)
        .pays(CHANGE, "ends the item of Starter", of_starter, money=0, subscription_id=first)
        .hears(MAY, "nothing: the period continues", ended(CHANGE, first))
    )


def flipping() -> Story:
    story = starter()
    for minute, (new, old) in enumerate([("growth", "starter"), ("starter", "growth")] * 2):
        at = on(11, 4, minute=minute)
        text = f"changes to {new.title()}"
        story.pays(at, text, credited(at, MAY, old), rest(at, MAY, new))
        if minute == 0:
            story.uses(story.account.available, at)
    return story


STORIES: list[Callable[[], Story]] = [
    an_upgrade_billed_at_once,
    an_upgrade_billed_later,
    a_new_period_at_once,
    a_downgrade_with_the_next_period,
    a_downgrade_billed_at_once,
    seats,
    a_month_that_becomes_a_year,
    a_year_refunded_in_part,
    a_trial,
    a_trial_that_no_one_pays,
    two_subscriptions,
    a_gift_beside_a_subscription,
    an_early_payment,
    a_late_payment,
    a_refund_that_fails,
    a_dispute,
    a_cancellation_without_a_credit,
    a_cancellation_with_a_credit,
    an_upgrade_at_clerk,
    flipping,
]


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.__name__)
def test_a_table_of_the_page_is_what_the_rules_come_to(story: Callable[[], Story]) -> None:
    table = "\n".join(story().rows)
    assert table in PAGE, f"the page lacks:\n{table}"


def test_the_page_has_no_other_table_of_that_kind() -> None:
    assert PAGE.count("| on | what happens |") == len(STORIES)

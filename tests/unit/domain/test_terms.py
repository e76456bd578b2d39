"""Terms as pure functions: months, what supersedes what, and what they entitle to."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest

from scrip.domain.terms import GRACE, Term, Terms
from tests.unit.domain.examples import DAY, NOW

ZONE = ZoneInfo("UTC")
MONTH = 28 * DAY  # from the last of January to the last of February
YEAR = 365 * DAY


def term(
    start: int, days: int, payment: int = 1, *, plan_id: str = "pro", **fields: object
) -> Term:
    """Return a term that starts some days after NOW."""
    begins = NOW + start * DAY
    return Term(
        **{
            "payment_id": f"in_{payment}",
            "number": 0,
            "subscription_id": "sub_1",
            "item_id": "si_1",
            "plan_id": plan_id,
            "start": begins,
            "end": begins + days * DAY,
            **fields,
        }  # type: ignore[arg-type]
    )


def together(*terms: Term, ended: tuple[str, ...] = ()) -> Terms:
    return Terms(terms, ended, ZONE)


def credits_of(terms: Terms, one: Term, now: datetime, allowance: int = 2_800) -> list[int]:
    """Return what each month of a term brings by all that has happened until an instant."""
    return [terms.entitled(one, month, allowance, now) for month in range(len(terms.months(one)))]


# ---- Months --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "months"),
    [(1, 1), (7, 1), (14, 1), (30, 1), (45, 1), (46, 2), (90, 3), (92, 3), (365, 12), (730, 24)],
)
def test_a_term_has_as_many_months_as_its_length_has_rounded_at_least_one(
    days: int, months: int
) -> None:
    one = term(0, days)
    assert len(together(one).months(one)) == months


def test_months_are_counted_from_the_start_and_the_last_ends_with_the_term() -> None:
    one = term(0, 92)
    assert [month.begins for month in together(one).months(one)] == [
        NOW,
        datetime(2026, 2, 28, 12, tzinfo=UTC),
        datetime(2026, 3, 31, 12, tzinfo=UTC),
    ]
    assert together(one).months(one)[-1].end == NOW + 92 * DAY


def test_a_prorated_term_has_the_months_of_the_term_that_it_continues() -> None:
    year, rest = term(0, 365), term(42, 365 - 42, 2, prorated=True)
    known, alone = together(year, rest).months(rest), together(rest).months(rest)
    assert (known[0].begins, known[0].start) == (NOW + MONTH, NOW + 42 * DAY)
    assert known[0].covered == Fraction(31 - 14, 31)
    # If that has not been heard of, the months are counted back from the end.
    assert (len(alone), alone[-1].end) == (len(known), known[-1].end)


def test_a_prorated_term_brings_the_part_that_it_covers_rounded_up() -> None:
    rest = term(18, 10, prorated=True, plan_id="free")
    whole = term(0, 28, 2)
    assert credits_of(together(whole, rest), rest, NOW + 18 * DAY, 100) == [36]  # 10/28 are 35.7


@pytest.mark.parametrize(
    ("month", "count", "day"), [(0, 1, (3, 31)), (1, 1, (4, 30)), (0, 2, (4, 30))]
)
def test_months_after_one_are_counted_from_the_start(
    month: int, count: int, day: tuple[int, int]
) -> None:
    one = term(0, 365)
    assert together(one).later(one, month, count) == datetime(2026, *day, 12, tzinfo=UTC)


def test_months_after_one_that_is_none_of_the_calendar_are_counted_from_its_end() -> None:
    week, long = term(0, 7), term(28, 31)  # from 28 February to 31 March
    assert together(week).later(week, 0, 1) == datetime(2026, 3, 7, 12, tzinfo=UTC)
    assert together(long).later(long, 0, 1) == datetime(2026, 4, 30, 12, tzinfo=UTC)


# ---- In force ------------------------------------------------------------------------------------


def test_a_term_is_in_force_from_its_start_to_its_end_and_its_grace() -> None:
    one, moment = term(0, 28), DAY / 86_400_000
    terms = together(one)
    assert not terms.is_in_force(one, NOW - moment)
    assert terms.is_in_force(one, NOW)
    assert terms.is_in_force(one, one.end + GRACE - moment)
    assert not terms.is_in_force(one, one.end + GRACE)


def test_a_term_of_an_ended_subscription_and_a_returned_one_have_no_grace() -> None:
    one, back = term(0, 28), term(0, 28, back=(1, 1))
    assert together(one, ended=("sub_1",)).lasts_until(one) == one.end
    assert together(back).lasts_until(back) == back.end
    assert not together(back).is_in_force(back, NOW)


def test_a_later_term_of_its_subscription_ends_a_grace_when_it_begins() -> None:
    one = term(0, 28)
    for start, until in ((28, 28), (29, 29), (31, 31), (40, 31)):
        terms = together(one, term(start, 28, 2))
        assert terms.lasts_until(one) == NOW + until * DAY
    assert together(one, term(28, 28, 2, subscription_id="sub_2")).lasts_until(one) == (
        one.end + GRACE
    )


def test_of_one_item_the_term_that_began_last_supersedes_the_others() -> None:
    year, month = term(0, 365), term(10, 28, 2)
    terms = together(year, month)
    in_force = [terms.is_in_force(year, NOW + day * DAY) for day in (9, 10, 37, 38)]
    assert in_force == [True, False, False, True]
    assert terms.is_in_force(month, NOW + 10 * DAY)


@pytest.mark.parametrize("fields", [{"item_id": "si_2"}, {"subscription_id": "sub_2"}])
def test_terms_of_other_items_and_subscriptions_stand_side_by_side(fields: dict[str, str]) -> None:
    one, other = term(0, 28), term(5, 28, 2, **fields)
    terms = together(one, other)
    assert terms.is_in_force(one, NOW + 6 * DAY)
    assert credits_of(terms, one, NOW + 6 * DAY) == [2_800]


# ---- Credits follow the money --------------------------------------------------------------------


@pytest.mark.parametrize(("day", "left"), [(0, 0), (7, 700), (14, 1_400), (28, 2_800)])
def test_of_a_superseded_month_the_unused_part_goes_back(day: int, left: int) -> None:
    one, later = term(0, 28), term(day, 365, 2)
    terms = together(one, later)
    assert credits_of(terms, one, NOW + day * DAY - DAY / 24) == [2_800]
    assert credits_of(terms, one, NOW + day * DAY) == [left]


def test_what_goes_back_of_a_part_is_rounded_down() -> None:
    one, later = term(0, 28), term(9, 28, 2)
    assert credits_of(together(one, later), one, later.start, 100) == [100 - 67]  # 67.9


def test_a_credited_line_takes_back_the_rest_of_an_earlier_term_of_its_plan() -> None:
    one, other = term(0, 28), term(0, 28, 2, plan_id="free", item_id="si_2")
    credit = term(21, 7, 3, credited=True)
    terms = together(one, other, credit)
    assert credits_of(terms, one, credit.start) == [2_100]
    assert credits_of(terms, other, credit.start) == [2_800]
    assert not terms.is_in_force(one, credit.start)
    assert terms.lasts_until(one) == one.end  # no grace


def test_a_credited_line_takes_back_one_term_of_its_quantity() -> None:
    three = term(0, 28, 1, quantity=3)
    one = term(0, 28, 2, item_id="si_2", quantity=1)
    credit = term(14, 14, 3, item_id="si_3", credited=True, quantity=1)
    terms = together(three, one, credit)
    assert (credits_of(terms, three, credit.start), credits_of(terms, one, credit.start)) == (
        [2_800],
        [1_400],
    )


def test_a_credited_line_whose_own_payment_went_back_takes_nothing_back() -> None:
    one, credit = term(0, 28), term(14, 14, 2, credited=True, back=(1, 1))
    assert credits_of(together(one, credit), one, credit.start) == [2_800]


def test_of_returned_money_the_same_share_goes_back_from_the_last_month_on() -> None:
    for back, left in (
        ((1, 12), [100] * 11 + [0]),
        ((1, 8), [100] * 10 + [50, 0]),
        ((3, 4), [100] * 3 + [0] * 9),
        ((1, 1), [0] * 12),
    ):
        year = term(0, 365, back=back)
        assert credits_of(together(year), year, NOW, 100) == left


@pytest.mark.parametrize("days", [28, 365])
def test_money_that_went_back_beside_a_credit_takes_what_was_not_credited(days: int) -> None:
    """Half of a term is credited, and half of its money goes back: then nothing is left of it."""
    paid = term(0, days, plan_id="pro", back=(1, 2))
    months = together(paid).months(paid)
    half = paid.start + (paid.end - paid.start) / 2 if len(months) == 1 else months[6].start
    credited = replace(term(0, days, 2), start=half, end=paid.end, credited=True)
    terms = together(paid, credited)
    assert sum(credits_of(terms, paid, paid.end)) <= 1
    assert not terms.is_in_force(paid, NOW)
    assert terms.lasts_until(paid) == paid.end


def test_a_term_is_not_in_force_in_months_that_went_back() -> None:
    year = term(0, 365, back=(3, 4))
    terms = together(year)
    begins = [month.start for month in terms.months(year)]
    assert [terms.is_in_force(year, start) for start in begins] == [True] * 3 + [False] * 9


def test_what_a_returned_term_had_superseded_is_in_force_again() -> None:
    year, month = term(0, 365), term(10, 28, 2, back=(1, 1))
    terms = together(year, month)
    assert terms.is_in_force(year, NOW + 11 * DAY)
    assert credits_of(terms, year, NOW + 11 * DAY)[0] == 2_800


def test_what_is_in_dispute_goes_back_as_if_its_money_had() -> None:
    half = term(0, 365, disputed=(1, 2), back=(1, 12))
    terms = together(half)
    assert credits_of(terms, half, NOW, 100) == [100] * 11 + [0]
    without = [terms.entitled(half, month, 100, NOW, with_disputed=False) for month in range(12)]
    assert without == [100] * 5 + [0] * 7


def test_the_order_in_which_payments_are_heard_does_not_matter() -> None:
    terms = (
        term(0, 365),
        term(10, 28, 2),
        term(17, 21, 3, credited=True),
        term(17, 21, 3, number=1, prorated=True, plan_id="free"),
        term(0, 30, 4, subscription_id="sub_2", back=(1, 3)),
    )
    now = NOW + 20 * DAY
    results = set()
    for order in permutations(terms):
        seen = together(*order)
        results.add(
            tuple(
                (
                    tuple(credits_of(seen, one, now)),
                    seen.is_in_force(one, now),
                    seen.lasts_until(one),
                )
                for one in terms
                if not one.credited
            )
        )
    assert len(results) == 1

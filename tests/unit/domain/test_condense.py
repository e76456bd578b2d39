"""Missed periods: one posting, without what came and went in it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from scrip.domain.account import Account
from scrip.domain.commands import AdjustAction
from scrip.domain.decide import decide
from scrip.domain.entries import Entry, EntryType
from scrip.domain.posting import Draft
from scrip.domain.settle import settle
from tests.unit.domain.examples import (
    CATALOG,
    DAY,
    NOW,
    adjust,
    consume,
    do,
    hold,
    line,
    opened,
    pay_period,
    pay_terms,
)


def by_name(draft: Draft) -> list[tuple[str, int]]:
    return [(entry.entry_id, entry.amount) for entry in draft.entries]


def test_missed_periods_take_one_plan_entry_with_their_number() -> None:
    draft = settle(opened(signup_credits=0), CATALOG, datetime(2027, 4, 1, tzinfo=UTC))
    assert by_name(draft) == [("expiry:g1", -100), ("period:2027-03-31", 100)]
    assert draft.entries[-1].metadata == {"periods_skipped": 13}
    assert settle(opened(), CATALOG, NOW + 30 * DAY).entries[-1].metadata is None


def test_of_a_missed_allowance_what_paid_debt_is_booked() -> None:
    lent = do(opened("overdraft", signup_credits=0), consume(275)).after
    draft = settle(lent, CATALOG, lent.begins(4))
    assert [(entry.entry_id, entry.amount, entry.debt_after) for entry in draft.entries] == [
        ("period:2026-02-28", 100, 175),
        ("debt:period:2026-02-28", 0, 75),
        ("period:2026-03-31", 75, 75),  # its other 25 came and went
        ("debt:period:2026-03-31", 0, 0),
        ("period:2026-05-31", 100, 0),
    ]
    assert draft.account.granted_total == lent.granted_total + 275


def test_what_rolled_over_and_still_lives_is_booked() -> None:
    account = opened("long", signup_credits=0)
    draft = settle(account, CATALOG, account.begins(5))
    assert [(entry.type, entry.amount) for entry in draft.entries] == [
        (EntryType.EXPIRY, -50),
        (EntryType.ROLLOVER, 20),
        (EntryType.ROLLOVER, 50),
        (EntryType.ROLLOVER, 50),
        (EntryType.PLAN, 50),
    ]


def test_a_missed_allowance_of_which_a_part_was_taken_back_is_booked() -> None:
    """A term of the same item that was paid in advance superseded it in the middle of a month."""
    account = do(opened("none", signup_credits=0), pay_period(NOW, NOW + 365 * DAY, "free")).after
    start = NOW + 28 * DAY + 31 * DAY / 2
    early = pay_period(start, start + 90 * DAY, payment_id="stripe:in_2")
    draft = settle(do(account, early).after, CATALOG, NOW + 400 * DAY)
    assert by_name(draft)[:3] == [
        ("expiry:g2", -100),
        ("stripe:in_1:0:1", 100),
        ("stripe:in_1:0:clawback:6", -50),
    ]


def test_a_month_of_a_term_keeps_its_name_whatever_its_entrys_number_is() -> None:
    """The names of the months end with numbers, too; a gift that expires is booked among them."""
    account = do(opened("none", signup_credits=0), pay_period(NOW, NOW + 365 * DAY, "free")).after
    account = do(account, adjust(AdjustAction.ADD, 5, expires_at=NOW + 40 * DAY)).after
    for month in range(1, 12):
        draft = settle(account, CATALOG, account.begins(month))
        assert draft.entries[-1].entry_id == f"stripe:in_1:0:{month}"


@pytest.mark.parametrize("key", [str(number) for number in range(1, 12)])
def test_the_release_of_a_hold_keeps_its_name_whatever_its_key_is(key: str) -> None:
    """The hold lives longer than a paid day, whose allowance comes and goes."""
    account = do(opened(), pay_terms(*(line(NOW + n * DAY, NOW + (n + 1) * DAY) for n in (1, 2))))
    for name in (key, f"g{key}"):
        held = do(account.after, hold(1, name, expires_in=5 * 86_400)).after
        assert f"release:{name}" in dict(by_name(settle(held, CATALOG, NOW + 60 * DAY)))


def chained(account: Account, entries: list[Entry]) -> bool:
    seq, balance = account.seq_last, account.balance
    for entry in entries:
        seq, balance = seq + 1, balance + entry.amount
        if (entry.seq, entry.balance_after) != (seq, balance):
            return False
    return True


@pytest.mark.parametrize("plan_id", ["free", "pro", "long", "overdraft"])
@pytest.mark.parametrize("months", [1, 2, 3, 9])
def test_numbers_and_names_go_on_without_a_gap(plan_id: str, months: int) -> None:
    account = do(opened(plan_id), consume(70)).after
    account = do(account, hold(30, expires_in=86_400), NOW + 27 * DAY).after
    account = do(account, pay_period(NOW + 40 * DAY, NOW + 71 * DAY), NOW + 27 * DAY).after
    draft = settle(account, CATALOG, account.begins(months))
    assert chained(account, draft.entries)
    # Every grant is named after the entry that brought it, so the next name is free.
    numbers = {grant.grant_id for grant in draft.account.grants} - {"g1", "g2"}
    assert numbers <= {f"g{entry.seq}" for entry in draft.entries}
    follower = decide(replace(draft.account), consume(1), catalog=CATALOG, now=draft.now)
    assert follower.entries[-1].hash == follower.after.hash
    names = [entry.entry_id for entry in (*draft.entries, *follower.entries)]
    assert len(set(names)) == len(names)

"""Totals: what all accounts' entries of a day come to, however they are put together."""

from dataclasses import replace
from functools import reduce
from operator import add

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.entries import Actor, ActorType, Entry, EntryType
from scrip.domain.totals import ACCOUNTS_MAX, LINES_MAX, OTHER, Sales, Totals
from tests.unit.domain.examples import consume, do, opened, own_entry

EXAMPLE = own_entry(do(opened(), consume(1)))
PROVIDER = Actor(ActorType.WEBHOOK, "stripe")


def paid(money: object, currency: object = "usd", actor: Actor = PROVIDER) -> Entry:
    said = {"money": money, "currency": currency}
    return replace(EXAMPLE, type=EntryType.PURCHASE, cost=None, actor=actor, metadata=said)


def used(feature: str, credits_used: int = 1) -> Entry:
    return replace(EXAMPLE, feature=feature, cost=credits_used, amount=-credits_used)


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), st.integers(1, 9)), max_size=40))
def test_totals_of_parts_add_up_to_those_of_the_whole(uses: list[tuple[str, int]]) -> None:
    parts, so_far = [Totals() for _ in range(3)], dict[str, int]()
    for number, (account_id, credits_used) in enumerate(uses):
        so_far[account_id] = so_far.get(account_id, 0) + credits_used
        part = parts[number % 3]
        used_by = {account_id: so_far[account_id]}
        parts[number % 3] = part.with_entries([used("chat", credits_used)], used_by)
    whole = reduce(add, parts)
    assert sum(line.credits for line in whole.lines) == sum(
        credits_used for _, credits_used in uses
    )
    assert sum(line.count for line in whole.lines) == len(uses)
    assert whole.accounts == so_far


def test_the_largest_lines_are_kept_and_the_rest_counts_as_other() -> None:
    totals = Totals()
    for n in range(2 * LINES_MAX):
        totals = totals.with_entries([used(f"f{n}", 1 + n % 7)], {})
        totals = totals.with_entries([used("much", 1_000)], {})
    assert len(totals.lines) <= LINES_MAX
    by_feature = {line.feature: line for line in totals.lines}
    assert by_feature["much"].credits == 1_000 * 2 * LINES_MAX
    assert by_feature[OTHER].count > LINES_MAX
    assert sum(line.count for line in totals.lines) == 4 * LINES_MAX
    assert sum(line.amount for line in totals.lines) == -sum(line.credits for line in totals.lines)


def test_the_accounts_that_used_most_are_kept_with_all_that_they_used() -> None:
    totals = Totals()
    for n in range(2 * ACCOUNTS_MAX):
        totals = totals.with_entries([used("chat")], {f"u{n}": n + 1})
    totals = totals.with_entries([used("chat")], {"u0": 1_000})
    assert len(totals.accounts) == ACCOUNTS_MAX
    assert (totals.accounts["u0"], min(totals.accounts.values())) == (1_000, ACCOUNTS_MAX + 2)


@pytest.mark.parametrize(
    ("entry", "sales"),
    [
        (paid(500), {"usd": Sales(count=1, money=500)}),
        (paid(500, currency=None), {"": Sales(count=1, money=500)}),
        (paid(0), {}),
        (paid("500"), {}),
        (paid(500, actor=Actor(ActorType.SERVICE, "app")), {}),
        (used("chat"), {}),
    ],
)
def test_a_sale_is_what_a_provider_said_was_paid(entry: Entry, sales: dict[str, Sales]) -> None:
    assert Totals().with_entries([entry], {}).sales == sales

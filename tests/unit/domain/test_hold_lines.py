"""Holds for several uses, and captures that say what each of them cost."""

from dataclasses import replace
from math import ceil
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scrip.domain.commands import HoldLine
from scrip.domain.errors import (
    CostOutOfRangeError,
    HoldExceededError,
    HoldWithoutFeatureError,
    InsufficientCreditsError,
    RefusalError,
)
from tests.unit.domain.examples import CATALOG, NOW, capture, do, hold, opened, opening, refund
from tests.unit.domain.lives import Life

CHAT, TOKENS = HoldLine(feature="chat", quantity=4), HoldLine(feature="tokens", quantity=4_000)
LINES = (CHAT, TOKENS, HoldLine(amount=10))
"""They cost 20, 12 and 10 credits."""


def shown(entries: Any) -> list[tuple[Any, ...]]:
    return [(entry.entry_id, entry.feature, entry.cost, entry.amount) for entry in entries]


def test_a_hold_for_several_uses_has_an_entry_for_each() -> None:
    posting = do(opened(), hold(lines=LINES))
    assert shown(posting.entries) == [
        ("h1", "chat", 20, 0),
        ("h1~2", "tokens", 12, 0),
        ("h1~3", None, 10, 0),
    ]
    assert [entry.held_after for entry in posting.entries] == [20, 32, 42]
    [opened_hold] = posting.after.holds
    assert (opened_hold.hold_id, opened_hold.left) == ("h1", 42)
    assert (opened_hold.feature, opened_hold.features) == (None, ("chat", "tokens"))
    assert {entry.hold_id for entry in posting.entries} == {"h1"}


def test_a_capture_says_what_each_use_cost_and_releases_the_rest_once() -> None:
    account = do(opened(), hold(lines=LINES)).after
    used = replace(CHAT, quantity=3), replace(TOKENS, quantity=1_001)
    posting = do(account, capture(lines=used))
    assert shown(posting.entries) == [
        ("release:c1", None, None, 0),
        ("c1", "chat", 15, -15),
        ("c1~2", "tokens", 4, -4),
    ]
    assert (posting.after.balance, posting.after.held, posting.after.holds) == (131, 0, ())
    assert posting.ended_hold == "h1"


def test_each_entry_of_a_capture_is_refunded_by_itself() -> None:
    account = do(opened(), hold(lines=LINES)).after
    posting = do(account, capture(lines=(CHAT, TOKENS)))
    tokens = posting.entries[-1]
    refunded = do(posting.after, refund(tokens.entry_id), of=tokens)
    assert refunded.after.balance == posting.after.balance + 12


def test_captures_of_several_uses_repeat_until_the_final_one() -> None:
    account = do(opened(), hold(lines=LINES)).after
    account = do(account, capture(lines=(CHAT,), final=False)).after
    assert (account.balance, account.held) == (130, 22)
    over = do(account, capture(key="c2", lines=(TOKENS, CHAT), excess=True))
    assert shown(over.entries) == [("c2", "tokens", 12, -12), ("c2~2", "chat", 20, -20)]
    assert (over.after.balance, over.after.available) == (98, 98)


REFUSED: list[tuple[str, Any, Any, type[RefusalError]]] = [
    ("more than is available", None, (*LINES, HoldLine(amount=109)), InsufficientCreditsError),
    ("more than is held", LINES, (CHAT, TOKENS, HoldLine(amount=11)), HoldExceededError),
    ("another feature", (CHAT, CHAT), (CHAT, TOKENS), HoldWithoutFeatureError),
    ("a feature of no line", (HoldLine(amount=9),) * 2, (CHAT,), HoldWithoutFeatureError),
    ("without a price", LINES, (HoldLine(feature="chat", quantity=10**12),), CostOutOfRangeError),
]


@pytest.mark.parametrize(("what", "held", "lines", "refusal"), REFUSED)
def test_all_uses_are_refused_together(
    what: str, held: Any, lines: Any, refusal: type[RefusalError]
) -> None:
    account = do(opened(), hold(lines=held)).after if held else opened()
    with pytest.raises(refusal):
        do(account, capture(lines=lines) if held else hold(lines=lines))


def test_a_quantity_of_a_hold_with_several_features_has_no_price() -> None:
    account = do(opened(), hold(lines=LINES)).after
    with pytest.raises(HoldWithoutFeatureError):
        do(account, capture(quantity=1))


def test_a_feature_that_was_deactivated_meanwhile_still_has_its_price() -> None:
    account = do(opened(), hold(lines=LINES)).after
    features = {**CATALOG.features, "chat": replace(CATALOG.features["chat"], active=False)}
    catalog = replace(CATALOG, features=features)
    assert do(account, capture(lines=(CHAT,)), catalog=catalog).after.balance == 130


COUNTS = st.integers(1, 9)
USES = st.lists(
    st.builds(HoldLine, amount=COUNTS)
    | st.builds(HoldLine, feature=st.just("chat"), quantity=COUNTS)
    | st.builds(HoldLine, feature=st.just("tokens"), quantity=st.integers(1, 9_000)),
    min_size=1,
    max_size=25,
)


def priced(line: HoldLine) -> int:
    """Return what a use costs by the prices in the examples, without the domain's arithmetic."""
    match line.feature:
        case "chat":
            return 5 * (line.quantity or 0)
        case "tokens":
            return ceil((line.quantity or 0) * 3 / 1_000)
    return line.amount or 0


@given(held=USES, used=USES, final=st.booleans(), unlimited=st.booleans())
def test_every_use_is_charged_its_price_and_no_other(
    held: list[HoldLine], used: list[HoldLine], *, final: bool, unlimited: bool
) -> None:
    life = Life()
    life.do(opening("unlimited" if unlimited else "pro"), NOW)
    assert life.account
    before = life.account.balance
    every = HoldLine(feature="chat", quantity=1), HoldLine(feature="tokens", quantity=1)
    life.do(hold(lines=(*every, *held)), NOW)
    life.do(capture(lines=tuple(used), final=final, excess=True), NOW)
    entries = [entry for name, entry in life.entries.items() if name.partition("~")[0] == "c1"]
    assert [entry.cost for entry in entries] == [priced(line) for line in used]
    cost = 0 if unlimited else sum(map(priced, used))
    assert life.account.balance == before - cost
    assert [-entry.amount for entry in entries] == [0 if unlimited else e.cost for e in entries]
    rest = max(0, 5 + 1 + sum(map(priced, held)) - sum(map(priced, used)))
    assert life.account.held == (0 if final or unlimited else rest)
    assert life.audit() == []


@pytest.mark.parametrize("hold_ends", [{}, {"h1": "c1~2"}])
def test_the_audit_finds_a_wrong_record_of_a_final_capture(hold_ends: dict[str, str]) -> None:
    life = Life()
    for command in (opening("free"), hold(lines=LINES), capture(lines=(CHAT, TOKENS))):
        life.do(command, NOW)
    assert life.audit() == []
    assert {finding.code for finding in life.audit(hold_ends=hold_ends)} == {"hold_end_wrong"}

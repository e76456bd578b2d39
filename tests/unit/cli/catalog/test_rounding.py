"""Notes on features whose typical call costs so little that rounding matters."""

import pytest

from scrip.domain.catalog import Feature, Price
from scrip_cli.catalog.rounding import rounding_notes


def notes(**meters: Price) -> list[str]:
    return [*rounding_notes([Feature(feature_id="model", name="Model", meters=meters)])]


@pytest.mark.parametrize(("per", "is_noted"), [(27, True), (26, False), (25, False)])
def test_a_call_that_costs_less_than_50_credits_is_noted(per: int, *, is_noted: bool) -> None:
    """1 000 input and 300 output tokens; rounding adds less than a credit, 2 % of 50."""
    price = Price(cost=1, per=per)
    assert bool(notes(input=price, output=price)) is is_noted


def test_the_note_says_how_much_rounding_can_add() -> None:
    [note] = notes(input=Price(cost=1, per=1_000), output=Price(cost=1, per=300))
    assert note == (
        "model: a call with 1 000 input and 300 output tokens costs 2 credits, so rounding up can "
        "add 50%. Make a credit worth less."
    )


def test_what_is_no_model_call_is_not_noted() -> None:
    assert notes(pages=Price(cost=1, per=1_000)) == []
    assert [*rounding_notes([Feature(feature_id="chat", name="Chat", cost=1)])] == []

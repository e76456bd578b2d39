"""Events: each type of entry has one, and a crossing says whose and by which posting."""

from scrip.domain.entries import EntryType
from scrip.domain.events import EVENT_NAMES, crossing_events
from tests.unit.domain.examples import consume, do, opened


def test_every_type_of_entry_has_its_event() -> None:
    assert set(EVENT_NAMES) == set(EntryType)


def test_a_crossing_names_its_posting_and_both_sides() -> None:
    posting = do(opened(), consume(140))
    assert posting.before is not None
    [low] = crossing_events(posting.before, posting.after, 20)
    assert low.name == "credits.low"
    assert low.detail == {
        "account_id": "u1",
        "seq": posting.after.seq_last,
        "available": 10,
        "available_before": 150,
        "low_credits": 20,
    }


def test_use_on_an_unlimited_plan_crosses_nothing() -> None:
    posting = do(opened("unlimited"), consume(140))
    assert posting.before is not None
    assert crossing_events(posting.before, posting.after, 20) == []

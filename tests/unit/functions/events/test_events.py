"""Events: each type of entry has one, and a crossing says whose and by which posting."""

import json
import re
from dataclasses import replace

from functions.events.events import EVENT_NAMES, crossing_events, entry_event
from scrip.domain.entries import ActorType, EntryType
from tests.documentation import ROOT, examples
from tests.unit.domain.examples import consume, do, freeze, hold, opened, own_entry


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


DOCUMENTATION = "docs/reference/events.md"


def test_the_documentation_lists_each_event_with_the_entries_that_it_tells_of() -> None:
    page = (ROOT / DOCUMENTATION).read_text()
    rows = re.findall(r"^\| (`.*?`) \| .* \|(.*)\|$", page, re.MULTILINE)
    told: dict[str, str] = {}
    crossed = set()
    for names, types in rows:
        events, entries = re.findall(r"`(.*?)`", names), re.findall(r"`(.*?)`", types)
        if not entries:
            crossed |= set(events)
        elif len(events) == 1:
            told |= dict.fromkeys(entries, events[0])
        else:
            told |= dict(zip(entries, events, strict=True))
    assert told == EVENT_NAMES
    assert crossed == {"credits.low", "credits.depleted", "credits.recovered"}


def test_a_hold_that_an_earlier_version_extended_is_no_new_one() -> None:
    opening_it = own_entry(do(opened(), hold(10)))
    extending_it = replace(opening_it, entry_id="e1")
    names = [entry_event("u1", entry, None).name for entry in (opening_it, extending_it)]
    assert names == ["hold.created", "hold.extended"]


def test_an_event_says_what_kind_of_actor_it_was_and_no_id() -> None:
    posting = do(opened(), freeze())
    assert posting.entry is not None
    told = entry_event("u1", posting.entry, None)
    assert told.detail["actor"] == {"type": "admin"}
    assert told.detail == {**told.detail, **posting.entry.shown_to(ActorType.USER)}


def test_the_documented_examples_have_every_field_of_an_event_and_no_other() -> None:
    entry, crossing = (json.loads(text) for text in examples(DOCUMENTATION, "json"))
    posting = do(opened(), consume(140))
    assert posting.before is not None
    assert posting.entry is not None
    told = entry_event("u1", posting.entry, "r1")
    assert entry["detail-type"] == told.name
    assert set(entry["detail"]) == set(told.detail)
    assert entry["detail"]["actor"] == told.detail["actor"]
    [low] = crossing_events(posting.before, posting.after, 20)
    assert crossing["detail-type"] == low.name
    assert set(crossing["detail"]) == set(low.detail)

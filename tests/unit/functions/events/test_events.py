"""Events: one for each type of entry, and those of crossed thresholds."""

import json
import re
from dataclasses import replace

from functions.events.events import EVENT_NAMES, crossing_events, entry_event, tampering_event
from scrip.domain.commands import HoldLine
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


def test_the_documentation_lists_each_event_with_its_types_of_entry() -> None:
    page = (ROOT / DOCUMENTATION).read_text()
    rows = re.findall(r"^\| (`.*?`) \| .* \|(.*)\|$", page, re.MULTILINE)
    documented: dict[str, str] = {}
    crossed = set()
    for names, types in rows:
        events, entries = re.findall(r"`(.*?)`", names), re.findall(r"`(.*?)`", types)
        if not entries:
            crossed |= set(events)
        elif len(events) == 1:
            documented |= dict.fromkeys(entries, events[0])
        else:
            documented |= dict(zip(entries, events, strict=True))
    assert documented == EVENT_NAMES
    assert crossed == {
        "credits.low",
        "credits.depleted",
        "credits.recovered",
        "ledger.tampered",
    }


def test_each_line_of_a_hold_is_published_as_its_opening() -> None:
    posting = do(opened(), hold(lines=(HoldLine(amount=10), HoldLine(feature="chat", quantity=2))))
    sent = [entry_event("u1", entry, None) for entry in posting.entries]
    assert [(one.name, one.detail["entry_id"], one.detail["hold_id"]) for one in sent] == [
        ("hold.created", "h1", "h1"),
        ("hold.created", "h1~2", "h1"),
    ]


def test_an_extension_written_by_an_earlier_version_is_not_a_new_hold() -> None:
    opening_it = own_entry(do(opened(), hold(10)))
    extending_it = replace(opening_it, entry_id="e1")
    names = [entry_event("u1", entry, None).name for entry in (opening_it, extending_it)]
    assert names == ["hold.created", "hold.extended"]


def test_an_event_has_the_type_of_its_actor_and_no_id() -> None:
    posting = do(opened(), freeze())
    assert posting.entry is not None
    sent = entry_event("u1", posting.entry, None)
    assert sent.detail["actor"] == {"type": "admin"}
    assert sent.detail == {**sent.detail, **posting.entry.shown_to(ActorType.USER)}


def test_the_documented_examples_have_exactly_the_fields_of_events() -> None:
    entry, crossing, tampering = (json.loads(text) for text in examples(DOCUMENTATION, "json"))
    posting = do(opened(), consume(140))
    assert posting.before is not None
    assert posting.entry is not None
    sent = entry_event("u1", posting.entry, "r1")
    assert entry["detail-type"] == sent.name
    assert set(entry["detail"]) == set(sent.detail)
    assert entry["detail"]["actor"] == sent.detail["actor"]
    [low] = crossing_events(posting.before, posting.after, 20)
    assert crossing["detail-type"] == low.name
    assert set(crossing["detail"]) == set(low.detail)
    edit = tampering_event("u1", "c1", 3, is_removed=False)
    assert tampering["detail-type"] == edit.name
    assert tampering["detail"].keys() == edit.detail.keys()
    assert tampering["detail"]["change"] == edit.detail["change"]

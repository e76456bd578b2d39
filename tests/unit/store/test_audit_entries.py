"""The fast reading of entries agrees with the slow one, which reads whatever can be read."""

from itertools import chain

import pytest

from scrip.domain.entries import Entry
from scrip.domain.errors import CorruptAccountError
from scrip.store.audit.entries import entry_as_written
from scrip.store.items import Wire, entry_item, entry_of, to_wire, unknown_in_entry
from tests.unit.domain.lives import lived, lived_with_holds, lived_with_terms

ODD = (
    *({"N": text} for text in ("0", "1", "01", "1E3", "1.5", "-1", "300000000000000", "")),
    *({"S": text} for text in ("", "0", "usage", "null", '{"a":NaN}', '{"a":1}')),
    *({"B": octets} for octets in (b"", b"1")),
    *({"BOOL": yes} for yes in (True, False)),
    *({"L": parts} for parts in ([], [{"N": "1"}], [{"M": {"grant_id": {"S": "g"}}}])),
    {"L": [{"M": {"grant_id": {"S": "g"}, "amount": {"N": "1"}, "more": {"N": "1"}}}]},
    *({"M": {}}, {"M": {"chat": {"N": "1"}}}, {"M": {"type": {"S": "x"}, "id": {"S": "y"}}}),
    {"M": {"in": {"M": {"cost": {"N": "2"}, "per": {"N": "1"}}}}},
    {"M": {"in": {"M": {"cost": {"N": "0"}}}}},
    {"NULL": True},
)


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    lives = (lived(), lived_with_holds(), lived_with_terms())
    return [*chain.from_iterable(life.entries.values() for life in lives)]


def test_what_scrip_writes_is_read_fast(entries: list[Entry]) -> None:
    for entry in entries:
        assert entry_as_written(to_wire(entry_item("u1", entry, "request-1"))) == entry


def test_any_other_item_is_left_to_the_slow_reading(entries: list[Entry]) -> None:
    of_each_type = {entry.type: entry for entry in entries}.values()
    for entry in of_each_type:
        wire = to_wire(entry_item("u1", entry))
        for name in (*Entry.__slots__, "format", "purge_at"):
            if name == "entry_id":
                continue
            for value in ODD:
                assert_alike(wire | {name: value})
            assert_alike({one: part for one, part in wire.items() if one != name})


def assert_alike(wire: Wire) -> None:
    if fast := entry_as_written(wire):
        try:
            slow = entry_of(wire)
        except CorruptAccountError:
            pytest.fail(f"only the fast reading takes {wire}")
        assert (fast, unknown_in_entry(wire, slow)) == (slow, frozenset())

"""The ledger of all accounts as read by an export."""

from datetime import timedelta
from itertools import repeat

import pytest

from scrip.domain.entries import Entry
from scrip.domain.errors import BusyError
from scrip.ledger import Ledger, opening, utc_now
from scrip.store.client import Table
from scrip.store.items import to_wire
from scrip.store.keys import entry_key
from scrip_cli.export.history import HistoryFilter, describe_history, read_history
from tests.functional.faults import THROTTLED, instead_of

DAY = timedelta(days=1)
NOW = utc_now().replace(hour=12)


@pytest.fixture
def ledgers(table: Table) -> Table:
    """Anna's account was opened yesterday, Bert's today: each has a sign-up and a plan grant."""
    for account_id, opened_at in (("anna", NOW - DAY), ("bert", NOW)):
        clock = repeat(opened_at).__next__
        Ledger(table, clock).execute(opening(account_id))
    return table


def found(table: Table, history_filter: HistoryFilter) -> list[tuple[str, int]]:
    """Return the account and seq of each entry found; there is only one page."""
    page = read_history(table, history_filter, None)
    assert (page.unreadable, page.place) == ([], None)
    return [(account_id, entry.seq) for account_id, entry in page.entries]


def test_the_history_has_all_entries_and_no_other_items(ledgers: Table) -> None:
    everything = [("anna", 1), ("anna", 2), ("bert", 1), ("bert", 2)]
    assert sorted(found(ledgers, HistoryFilter())) == everything
    page = read_history(ledgers, HistoryFilter(account_id="anna"), None)
    assert all(isinstance(entry, Entry) for _, entry in page.entries)
    assert describe_history(ledgers)[0].endswith(":table/scrip")


def test_the_history_can_be_filtered_by_account_and_time(ledgers: Table) -> None:
    assert found(ledgers, HistoryFilter(account_id="anna")) == [("anna", 1), ("anna", 2)]
    for history_filter, entries in (
        (HistoryFilter(since=NOW), [("bert", 1), ("bert", 2)]),
        (HistoryFilter(until=NOW), [("anna", 1), ("anna", 2)]),
        (HistoryFilter(since=NOW - DAY, until=NOW - DAY), []),
        (HistoryFilter(since=NOW, account_id="anna"), []),
    ):
        assert sorted(found(ledgers, history_filter)) == entries


def test_a_page_continues_after_the_one_before(ledgers: Table) -> None:
    whole = read_history(ledgers, HistoryFilter(), None).entries
    account_id, entry = whole[1]
    place = to_wire({**entry_key(account_id, entry.entry_id), "seq": entry.seq})
    assert read_history(ledgers, HistoryFilter(), place).entries == whole[2:]


def test_a_corrupt_entry_is_reported_and_stops_no_other(ledgers: Table) -> None:
    ledgers.client.update_item(
        TableName=ledgers.name,
        Key=to_wire(entry_key("anna", "signup:grant")),
        UpdateExpression="SET amount = :amount",
        ExpressionAttributeValues=to_wire({":amount": "much"}),
    )
    page = read_history(ledgers, HistoryFilter(), None)
    assert page.unreadable == [("anna", "signup:grant")]
    assert len(page.entries) == 3


def test_a_throttled_scan_is_busy(ledgers: Table) -> None:
    with instead_of(ledgers, "Scan", THROTTLED, times=1), pytest.raises(BusyError):
        read_history(ledgers, HistoryFilter(), None)

"""What is left of the messages about an account once it is erased."""

from datetime import UTC, datetime

from scrip.store.aliases import wait_for
from scrip.store.client import Table
from scrip.store.erasure import erase
from scrip.store.inbox import InboxRecord, InboxStatus, mark, read_message, receive
from scrip.store.items import to_wire
from scrip.store.keys import inbox_key
from tests.functional.conftest import items

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


def message(number: int) -> InboxRecord:
    """Return a message about Alice that is not done, and says so by her address."""
    return InboxRecord(
        inbox_id=f"stripe:evt_{number}",
        type="invoice.paid",
        payload=b'{"email": "alice@example.com"}',
        sent_at=NOON,
        received_at=NOON,
        changed_at=NOON,
        status=InboxStatus.UNMATCHED,
        reason="nobody is called alice@example.com",
        account_id="alice",
        waits_for=("email:alice@example.com", "stripe:cus_1"),
    )


def test_a_message_says_no_more_whose_it_was_and_one_that_is_gone_stays_away(table: Table) -> None:
    for told in (message(1), message(2)):
        receive(table, told)
        mark(table, told)
    wait_for(table, "stripe:evt_1", message(1).waits_for)
    table.client.delete_item(TableName=table.name, Key=to_wire(inbox_key("stripe:evt_2")))
    for _ in range(2):
        erase(table, "alice")
        left = read_message(table, "stripe:evt_1")
        assert left is not None
        assert (left.status, left.payload, left.reason, left.waits_for) == (
            "unmatched",
            b"",
            None,
            (),
        )
        assert read_message(table, "stripe:evt_2") is None
        assert "alice@example.com" not in str(items(table))

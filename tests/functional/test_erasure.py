"""The messages about an account after its erasure."""

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
    """Return a waiting message about Alice that contains her address."""
    return InboxRecord(
        inbox_id=f"stripe:evt_{number}",
        type="invoice.paid",
        payload=b'{"email": "alice@example.com"}',
        sent_at=NOON,
        received_at=NOON,
        changed_at=NOON,
        status=InboxStatus.UNMATCHED,
        reason="no account has the name alice@example.com",
        account_id="alice",
        waits_for=("email:alice@example.com", "stripe:cus_1"),
    )


def test_erasure_removes_the_user_from_messages_and_restores_no_deleted_one(table: Table) -> None:
    for record in (message(1), message(2)):
        receive(table, record)
        mark(table, record)
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

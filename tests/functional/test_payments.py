"""Payments in the table: an edited one moves no credits."""

from datetime import UTC, datetime
from typing import Any

import pytest

from scrip.domain.commands import Purchase, TakeBack
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import CorruptAccountError
from scrip.ledger import Ledger, opening
from scrip.store.client import Table
from scrip.store.keys import entry_key, payment_key
from tests.functional.conftest import items

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
STRIPE = Actor(ActorType.WEBHOOK, "stripe")
PAYMENT = "stripe:pi_1"
TAKE_BACK = TakeBack(
    account_id="u1",
    entry_id="stripe:evt_2",
    keyed=False,
    actor=STRIPE,
    payment_id=PAYMENT,
    returned=400,
)

ITEM, ENTRY = payment_key(PAYMENT), entry_key("u1", PAYMENT)
EDITS: tuple[tuple[dict[str, str], str, Any], ...] = (
    (ITEM, "credits", {"S": "many"}),
    (ITEM, "credits", {"N": "501"}),
    (ITEM, "credits", {"N": "-500"}),
    (ITEM, "taken", {"N": "501"}),
    (ITEM, "taken", {"N": "-1"}),
    (ITEM, "owed", {"N": "-1"}),
    (ITEM, "unspent", {"N": "-1"}),
    (ITEM, "refunds", {"L": []}),
    (ITEM, "grant_id", None),
    (ENTRY, "amount", {"N": "600"}),
    (ENTRY, "reason", {"S": "a gift"}),
    (ENTRY, "hash", {"B": b"0" * 32}),
)


def test_an_edited_payment_is_corrupt_and_moves_no_credits(
    table: Table,
    subtests: pytest.Subtests,
) -> None:
    books = Ledger(table, lambda: NOW)
    books.execute(opening("u1"))
    books.execute(
        Purchase(
            account_id="u1",
            entry_id=PAYMENT,
            keyed=False,
            actor=STRIPE,
            credits=500,
            money=1_000,
        ),
    )
    for names, attribute, value in EDITS:
        with subtests.test(sk=names["sk"], attribute=attribute, value=value):
            key: Any = {name: {"S": part} for name, part in names.items()}
            sound = table.client.get_item(TableName=table.name, Key=key)["Item"]
            edited = {**sound, attribute: value}
            if value is None:
                del edited[attribute]
            table.client.put_item(TableName=table.name, Item=edited)
            with pytest.raises(CorruptAccountError) as refused:
                books.execute(TAKE_BACK)
            assert refused.value.account_id == "u1"
            table.client.put_item(TableName=table.name, Item=sound)
    lost: Any = {name: {"S": part} for name, part in ENTRY.items()}
    entry = table.client.delete_item(TableName=table.name, Key=lost, ReturnValues="ALL_OLD")
    before = items(table)
    with pytest.raises(CorruptAccountError):
        books.execute(TAKE_BACK)
    assert items(table) == before
    table.client.put_item(TableName=table.name, Item=entry["Attributes"])
    books.execute(TAKE_BACK)
    assert books.account("u1").balance == 150 + 500 - 200

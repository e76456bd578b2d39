"""Payments in the table: an edited one moves no credits."""

from datetime import UTC, datetime
from typing import Any

import pytest

from scrip.domain.commands import Purchase, TakeBack
from scrip.domain.entries import Actor, ActorType
from scrip.domain.errors import CorruptAccountError
from scrip.domain.payments import RefundStatus
from scrip.ledger import Ledger, opening
from scrip.store.client import Table
from scrip.store.items import payment_of
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
    total=400,
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


def test_a_payment_that_0_1_0_wrote_means_what_it_meant() -> None:
    old: dict[str, Any] = {
        "pk": {"S": f"FACT#{PAYMENT}"},
        "sk": {"S": "FACT"},
        "account_id": {"S": "u1"},
        "version": {"N": "4"},
        "grant_id": {"S": PAYMENT},
        "credits": {"N": "500"},
        "money": {"N": "1000"},
        "returned": {"N": "0"},
        "refunds": {"M": {}},
        "disputes": {"M": {}},
        "taken": {"N": "0"},
        "owed": {"N": "0"},
        "unspent": {"N": "0"},
    }
    refund = {"refunds": {"M": {"stripe:re_1": {"N": "300"}}}}
    lost = {"stripe:du_1": {"M": {"outcome": {"S": "lost"}, "money": {"N": "400"}}}}
    nothing = {"stripe:du_1": {"M": {"outcome": {"S": "lost"}, "money": {"N": "0"}}}}
    for changes, back in (
        ({}, 0),
        ({"returned": {"N": "200"}}, 100),
        (refund, 150),
        ({"returned": {"N": "700"}, **refund}, 350),
        ({"disputes": {"M": lost}, **refund}, 350),
        ({"disputes": {"M": nothing}}, 0),
    ):
        assert payment_of(old | changes).credits_back == back, changes
    opened = {"stripe:du_1": {"M": {"outcome": {"S": "open"}, "money": {"N": "0"}}}}
    assert payment_of(old | {"disputes": {"M": opened}}).share_disputed == (1000, 1000)
    # What it knew without their charge is not counted again with it.
    known = payment_of(old | {"returned": {"N": "300"}, **refund})
    assert known.with_total("ch_1", 300).credits_back == 150
    assert known.with_refund("stripe:re_1", 300, charge_id="ch_1").credits_back == 150
    failed = known.with_refund("stripe:re_1", 300, status=RefundStatus.FAILED, charge_id="ch_1")
    assert failed.credits_back == 0
    with pytest.raises(CorruptAccountError):
        payment_of(old | {"refunds": {"L": []}})

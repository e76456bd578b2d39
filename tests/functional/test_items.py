"""The items of accounts: the attributes that a change writes, and the spellings that are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scrip.domain.errors import CorruptAccountError
from scrip.store.items import (
    account_changes,
    account_item,
    account_of,
    audit_item,
    audit_of,
    to_wire,
)
from scrip.store.keys import audit_key
from tests.unit.domain.examples import (
    DAY,
    NOW,
    close,
    consume,
    do,
    follow,
    freeze,
    hold,
    opened,
    opening,
    pay_period,
    purchase,
    quota,
    release,
    reset,
)

if TYPE_CHECKING:
    from scrip.domain.account import Account
    from scrip.store.items import Wire


def test_a_change_writes_only_differences_and_removes_missing_attributes() -> None:
    before: Account | None = None
    for day, command in enumerate(
        [
            opening(),
            consume(30),
            freeze(),
            freeze(frozen=False),
            quota("pro", limits={"storage_bytes": 10}),
            purchase(1_000),
            reset(),
            follow("active", NOW),
            pay_period(NOW + 7 * DAY, NOW + 38 * DAY),
            quota("free", monthly_credits=7),
            close(),
        ],
    ):
        after = do(before, command, NOW + day * DAY).after
        assert account_of(to_wire(account_item(after))) == after
        if before is not None:
            changed, removed = account_changes(before, after)
            was, now = account_item(before), account_item(after)
            assert changed == {n: value for n, value in now.items() if value != was.get(n)}
            assert set(removed) == was.keys() - now.keys()
        before = after


def test_an_account_is_the_same_for_any_spelling_of_its_numbers_and_defaults() -> None:
    sound = _wire()
    numbers = {
        name: {"N": f"{value['N']}E0"} for name, value in sound.items() if value.keys() == {"N"}
    }
    grants = {"L": [{"M": {**_grant(sound), "amount": {"N": "50.0"}}}, *sound["grants"]["L"][1:]]}
    for odd in (numbers, {"grants": grants}, {"debt": {"N": "0"}}, {"more": {"N": "0.5"}}):
        assert account_of(sound | odd) == account_of(sound)


def test_an_item_that_scrip_cannot_have_written_is_a_corrupt_account() -> None:
    sound = _wire()
    for name, value in {
        "version": {"N": "1.5"},
        "anchor": {"N": f"{int(sound['anchor']['N']) // 1_000}"},
        "hash": {"S": "h" * 32},
        "used": {"S": "30"},
        "debt": {"BOOL": True},
        "seq_last": {"L": [sound["seq_last"]]},
        "overrides": {"M": {"free": {"M": {"monthly_credits": {"S": "5"}}}}},
        "directory_sk": {"S": "00:00#u1"},
        "grants": {"L": [{"M": {**_grant(sound), "more": {"N": "1"}}}, *sound["grants"]["L"][1:]]},
    }.items():
        with pytest.raises(CorruptAccountError):
            account_of({**sound, name: value})


def test_an_audit_record_without_a_note_has_no_attribute_for_it() -> None:
    record = do(opened(), freeze()).audit
    assert record is not None
    item = to_wire(audit_item(audit_key("u1", "01K"), record))
    assert "note" not in item
    assert audit_of(item) == record
    noted = replace(record, note="ticket 4711")
    assert audit_of(to_wire(audit_item(audit_key("u1", "01K"), noted))) == noted


def _wire() -> Wire:
    return to_wire(account_item(do(opened(), consume(30)).after))


def _grant(sound: Wire) -> Wire:
    grant: Wire = sound["grants"]["L"][0]["M"]
    return grant


def test_a_hold_is_stored_as_version_0_1_0_reads_it_with_its_bounds_elsewhere() -> None:
    """That version may still run while this one is deployed."""
    account = do(opened(), hold(60)).after
    wire = to_wire(account_item(account))
    [stored] = wire["holds"]["L"]
    assert set(stored["M"]) == {"hold_id", "allocations", "expires_at"}
    assert account_of(wire) == account
    changed, removed = account_changes(account, do(account, release()).after)
    assert "hold_bounds" in removed
    assert "hold_bounds" not in changed


def test_a_hold_of_no_credits_has_the_allocations_that_earlier_versions_read() -> None:
    account = do(opened("unlimited"), hold(60)).after
    [stored] = to_wire(account_item(account))["holds"]["L"]
    assert stored["M"]["allocations"] == {"L": []}


def test_the_bounds_of_a_hold_that_version_0_1_0_ended_are_ignored() -> None:
    account = do(opened(), hold(60)).after
    wire = to_wire(account_item(account))
    ended = to_wire(account_item(do(account, release()).after))
    left_behind = ended | {"hold_bounds": wire["hold_bounds"]}
    assert account_of(left_behind).holds == ()
    for corrupt in (
        {"S": "x"},
        {"M": {"h1": {"S": "x"}}},
        {"M": {"h1": {"M": {"ends_by": {"S": "x"}}}}},
    ):
        with pytest.raises(CorruptAccountError):
            account_of(wire | {"hold_bounds": corrupt})

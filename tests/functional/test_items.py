"""The items of accounts: the attributes that a change writes, and the spellings that are read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from scrip.domain.commands import AdjustAction
from scrip.domain.errors import CorruptAccountError
from scrip.domain.grants import GrantKind
from scrip.store.items import (
    account_changes,
    account_item,
    account_of,
    audit_item,
    audit_of,
    to_wire,
)
from scrip.store.keys import audit_key
from simulation.dynamodb import item_size
from tests.unit.domain.examples import (
    DAY,
    NOW,
    adjust,
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
            *(purchase(100, f"stripe:pi_{n}") for n in range(2, 6)),  # a line for each grant
            consume(1_600),  # and maps again
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


@pytest.mark.parametrize(
    ("grants", "characters", "kilobytes"),
    [(4, 36, 1), (13, 7, 1), (9, 36, 1), (50, 7, 3), (50, 36, 5)],
)
def test_an_account_with_13_grants_fits_into_1_kb_and_one_with_50_into_3(
    grants: int, characters: int, kilobytes: int
) -> None:
    """With sources of few characters; those of 36, as of UUIDs, take more."""
    account = replace(_with_grants(grants, characters), account_id="a" * 36)
    assert len(account.grants) == grants
    assert item_size(to_wire(account_item(account))) <= kilobytes * 1_024


def test_more_grants_than_four_that_are_stored_as_maps_become_lines_with_the_next_change() -> None:
    """An earlier version wrote them."""
    account = _with_grants(5)
    stored = to_wire(account_item(account)) | {"format": {"N": "2"}, "grants": _maps(account)}
    assert account_of(stored) == account
    frozen = do(account_of(stored), freeze()).after
    changed, _ = account_changes(account_of(stored), frozen)
    lines = to_wire(account_item(frozen))
    assert stored | to_wire(changed) == lines
    assert account_of(lines) == frozen


def test_a_line_has_all_that_is_known_of_a_grant() -> None:
    account = _with_grants(6)
    spent, ended, *others = account.grants
    spent = replace(spent, remaining=1)
    ended = replace(ended, remaining=0, ended=True, source="any text, as a provider names it")
    edited = replace(account, grants=(spent, ended, *others))
    assert account_of(to_wire(account_item(edited))).grants == edited.grants


def test_a_line_that_scrip_cannot_have_written_is_a_corrupt_account() -> None:
    sound = to_wire(account_item(_with_grants(5)))
    first, *others = sound["grants"]["L"]
    assert first == {"S": "g1 signup 50 1769860800000 - signup:grant"}
    for line in (
        "g1 signup 50 1769860800000 -",
        "g1  signup 50 1769860800000 - signup:grant",
        "g1 gift 50 1769860800000 - signup:grant",
        "g1 signup 51 1769860800000 - signup:grant",
        "g1 signup 050 1769860800000 - signup:grant",
        "g1 signup 50/50 1769860800000 - signup:grant",
        "g1 signup 50 1769860800.0 - signup:grant",
        "g1 signup 50 1769860800000 never signup:grant",
    ):
        with pytest.raises(CorruptAccountError):
            account_of({**sound, "grants": {"L": [{"S": line}, *others]}})
    for corrupt in ({"S": "g1"}, {"L": [{"N": "1"}]}, _maps(_with_grants(5))):
        with pytest.raises(CorruptAccountError):
            account_of({**sound, "grants": corrupt})


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


def _with_grants(count: int, characters: int = 7) -> Account:
    """Return an account with a number of grants, whose sources have as many characters."""
    account = opened()
    for n in range(3, count + 1):
        end = NOW + n * DAY
        gift = adjust(
            AdjustAction.ADD,
            10_000,
            f"gift-{n:0>{characters - 5}}",
            kind=GrantKind.PROMO,
            expires_at=end,
        )
        account = do(account, gift).after
    return account


def _maps(account: Account) -> Wire:
    """Return the grants of an account as an account with few of them has them."""
    alone = [replace(account, grants=(grant,)) for grant in account.grants]
    return {"L": [part for one in alone for part in to_wire(account_item(one))["grants"]["L"]]}


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

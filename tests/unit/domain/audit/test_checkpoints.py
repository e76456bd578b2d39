"""Checkpoints: newer entries lead on from one to the next as all entries together do."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scrip.domain.audit.audit import audit_onto, next_checkpoint
from scrip.domain.audit.books import StoredEntry
from scrip.domain.audit.tally import Tally
from scrip.domain.holds import HOLD_SECONDS_MAX
from tests.unit.domain.examples import (
    DAY,
    NOW,
    capture,
    consume,
    hold,
    opening,
    pay_period,
    purchase,
    use,
)
from tests.unit.domain.lives import Life

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from scrip.domain.audit.checkpoint import Checkpoint

EVERY = timedelta(hours=20)
"""How long after another each command is: a hold that is not extended lives for 24 hours."""

COMMANDS = (
    opening("free"),
    consume(30, "c1"),
    purchase(1_000, "stripe:pi_1"),
    hold(50, "h1", expires_in=HOLD_SECONDS_MAX),
    use("chat", 4, "c2"),
    hold(5, "h2", expires_in=HOLD_SECONDS_MAX),
    capture(3, "p1", of="h2"),
    pay_period(NOW + 7 * EVERY, NOW + 7 * EVERY + 30 * DAY),
    consume(7, "c3"),
)


def stored(life: Life, since: int = 0) -> list[StoredEntry]:
    found = [
        StoredEntry(entry_id=name, seq=entry.seq, entry=entry)
        for name, entry in life.entries.items()
    ]
    return sorted((one for one in found if one.seq >= since), key=lambda one: one.seq)


def whole(life: Life, now: datetime) -> Checkpoint | None:
    """Return the checkpoint after all entries, of which none is wrong."""
    tally = Tally(life.books(), now)
    assert [*audit_onto(tally, stored(life), life.payments_of)] == []
    return tally.kept


def onward(life: Life, last: Checkpoint, now: datetime) -> Checkpoint | None:
    """Return the checkpoint after the entries from the last one on."""
    books = life.books(checkpoint=last)
    return next_checkpoint(books, stored(life, last.seq), life.payments_of, now)


def lived_to(last: int) -> Life:
    life = Life()
    for number, command in enumerate(COMMANDS[: last + 1]):
        life.do(command, NOW + number * EVERY)
    return life


def test_newer_entries_lead_to_the_checkpoint_that_all_entries_lead_to() -> None:
    life, last, went_on = Life(), None, 0
    for number, command in enumerate(COMMANDS):
        life.do(command, NOW + number * EVERY)
        now = NOW + number * EVERY + timedelta(hours=1)
        expected = whole(life, now)
        if last:
            went_on += 1
            assert onward(life, last, now) == expected, command
        last = expected
    assert went_on == len(COMMANDS) - 3, "entries of today and yesterday are in no checkpoint"


def checkpoint_of_c1() -> Checkpoint:
    """Return the checkpoint of the day after the purchase, when only the first use is settled."""
    life = lived_to(4)
    checkpoint = whole(life, NOW + 4 * EVERY + timedelta(hours=1))
    assert checkpoint
    assert checkpoint.hash == life.entries["c1"].hash
    return checkpoint


def rewrite(life: Life) -> None:
    life.edit("signup:grant", reason="another")
    life.seal()


TAMPERED: dict[str, Callable[[Life], object]] = {
    "the balance": lambda life: change_grant(life, remaining=1),
    "the debt": lambda life: life.change(debt=5),
    "a newer entry": lambda life: life.edit("c2", amount=-1),
    "a newer entry removed": lambda life: life.entries.pop("c2"),
    "the entry that was proved": lambda life: life.edit("c1", reason="another"),
    "the chain": rewrite,
    "the status": lambda life: life.change(status="frozen"),
    "what was used": lambda life: life.change(consumed_total=0),
    "the end of a hold": lambda life: life.hold_ends.clear(),
}


def change_grant(life: Life, **changed: Any) -> None:
    assert life.account
    first, *others = life.account.grants
    life.change(grants=(replace(first, **changed), *others))


@pytest.mark.parametrize("tamper", TAMPERED.values(), ids=TAMPERED)
def test_what_is_wrong_from_a_checkpoint_on_needs_the_whole_audit(
    tamper: Callable[[Life], object],
) -> None:
    last, life = checkpoint_of_c1(), lived_to(6)
    now = NOW + 6 * EVERY + timedelta(hours=1)
    assert onward(life, last, now)
    tamper(life)
    assert onward(life, last, now) is None


def test_a_checkpoint_without_a_state_needs_the_whole_audit() -> None:
    dropped = replace(checkpoint_of_c1(), state=None)
    assert onward(lived_to(4), dropped, NOW + 4 * EVERY) is None

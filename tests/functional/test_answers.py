"""A command's answer shows the account as it was written, at first and in every replay."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scrip.http.accounts import account_json
from scrip.ledger import ledger, utc_now
from scrip.store.queries import read
from tests.functional.conftest import USER, Answer, send
from tests.functional.deliveries import Clock

if TYPE_CHECKING:
    from scrip.store.client import Table

SHOWN = ("account_id", "balance", "available", "held", "debt", "unlimited")


@pytest.fixture
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    clock.now = utc_now()
    send("account/me")
    monkeypatch.setattr(ledger(), "clock", clock)
    return clock


def as_written(clock: Clock) -> dict[str, Any]:
    """Return the account's item as the command wrote it, not rolled forward."""
    account = read(ledger().table, USER).account
    assert account is not None
    assert ledger().settled(account) == account, "a command settles all that is due"
    shown: dict[str, Any] = {**account_json(account, ledger().entitled(account), clock.now)}
    return {name: shown[name] for name in SHOWN}


numbers = iter(range(1_000_000))


def execute(clock: Clock, name: str, body: dict[str, Any] | None = None) -> Answer:
    """Execute a command; its answer and that of its replay must show the account's item."""
    key = f"key-{next(numbers)}"
    answer = send(name, body=body, key=key)
    assert answer.status in {200, 201}, answer.body
    assert answer.body["account"] == as_written(clock), name
    if name != "consume/extend":  # it writes no entry, so it has no replay
        again = send(name, body=body, key=key)
        assert (again.body, again.status) == (answer.body, answer.status)
        assert again.headers["Idempotency-Replayed"] == "true"
    return answer


LIVES: dict[str, list[tuple[str, dict[str, Any] | None, timedelta]]] = {
    "uses": [
        ("consume/amount", {"amount": 7}, timedelta(0)),
        ("consume/feature", {"feature": "chat"}, timedelta(hours=1)),
        ("consume/batch", {"uses": [{"amount": 2}, {"feature": "chat"}]}, timedelta(0)),
        ("consume/batch", {"uses": [{"amount": 2}]}, timedelta(days=40)),
    ],
    "adjustments": [
        ("adjust/add", {"action": "add", "amount": 9, "reason": "r"}, timedelta(0)),
        ("adjust/deduct", {"action": "deduct", "amount": 4, "reason": "r"}, timedelta(0)),
        ("adjust/set", {"action": "set", "amount": 500, "reason": "r"}, timedelta(days=40)),
        ("adjust/set", {"action": "set", "amount": 3, "reason": "r"}, timedelta(0)),
        ("adjust/reset", {"reason": "r"}, timedelta(0)),
        ("adjust/freeze", None, timedelta(0)),
        ("adjust/unfreeze", None, timedelta(days=100)),
    ],
}
"""Commands that need only the account, and the time between each and the one before."""


@pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())
def test_every_answer_shows_the_account_as_it_was_written(
    clock: Clock,
    life: list[tuple[str, dict[str, Any] | None, timedelta]],
) -> None:
    for name, body, later in life:
        clock.now += later
        execute(clock, name, body)


GIFT = {"action": "add", "amount": 60, "reason": "r", "kind": "promo"}


@pytest.mark.parametrize("later", [timedelta(0), timedelta(minutes=2), timedelta(days=1)])
@pytest.mark.parametrize(
    "end",
    [
        ("consume/release", None),
        ("consume/capture", {"amount": 10}),
        ("consume/capture", {"amount": 10, "final": False}),
        ("consume/capture", {"amount": 61, "excess": "available"}),
        ("consume/extend", {"expires_in": 86_400}),
        ("adjust/deduct", {"action": "deduct", "amount": 100, "reason": "r"}),
        ("adjust/set", {"action": "set", "amount": 20, "reason": "r"}),
        ("adjust/set", {"action": "set", "amount": 2_000, "reason": "r"}),
    ],
)
def test_the_answer_to_a_hold_that_outlives_its_grant_shows_the_account_as_written(
    clock: Clock,
    end: tuple[str, dict[str, Any] | None],
    later: timedelta,
) -> None:
    """After 2 minutes the 60 credits have expired: when released, they expire at once."""
    expires_at = (clock.now + timedelta(minutes=1)).isoformat()
    execute(clock, "adjust/add", {**GIFT, "expires_at": expires_at})
    opened = send("consume/hold", body={"amount": 60, "expires_in": 86_400}, key="hold-1")
    assert opened.body["account"] == as_written(clock)
    clock.now += min(later, timedelta(days=1) - timedelta(seconds=1))
    execute(clock, *end)


def test_the_balance_before_has_what_came_due_and_stays_the_same_in_a_replay(
    clock: Clock,
) -> None:
    gift = {**GIFT, "expires_at": (clock.now + timedelta(minutes=1)).isoformat()}
    assert execute(clock, "adjust/add", gift).body["balance_before"] == 150
    clock.now += timedelta(minutes=2)
    used = execute(clock, "consume/batch", {"uses": [{"amount": 7}, {"amount": 3}]}).body
    assert (used["balance_before"], used["account"]["balance"]) == (150, 140), "60 had expired"
    held = execute(clock, "consume/hold", {"amount": 20}).body
    assert (held["balance_before"], held["account"]["balance"]) == (140, 140)
    deducted = execute(clock, "adjust/deduct", {"action": "deduct", "amount": 4, "reason": "r"})
    assert (deducted.body["balance_before"], deducted.body["account"]["balance"]) == (140, 136)


def test_the_answer_to_a_refund_shows_the_account_as_it_was_written(clock: Clock) -> None:
    used = execute(clock, "consume/amount", {"amount": 150}).body["entry"]["entry_id"]
    for amount, later in ((10, timedelta(0)), (20, timedelta(days=1)), (120, timedelta(days=60))):
        clock.now += later
        execute(clock, "refund/whole", {"entry_id": used, "amount": amount, "reason": "r"})

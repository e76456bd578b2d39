"""The rows of lists: what the stream makes of an account's history, however it is delivered."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from hypothesis import given
from hypothesis import strategies as st

from functions.events.lists import move
from functions.events.stream import AccountChanged
from scrip.domain.commands import AdjustAction
from scrip.domain.errors import RefusalError
from scrip.store.client import ConditionFailedError
from scrip.store.listing import IS_LATER
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
    pay_period,
    quota,
    release,
)

if TYPE_CHECKING:
    from scrip.domain.account import Account
    from scrip.domain.commands import Command
    from scrip.store.client import Table

TERM_ENDS = NOW + 30 * DAY


class Rows:
    """A table that has nothing but rows of one account, by their sort keys."""

    def __init__(self) -> None:
        self.items: dict[str, dict[str, Any]] = {}

    def put(self, item: dict[str, Any], condition: str, values: dict[str, Any]) -> None:
        """Put a row, unless it is as late as this one or later."""
        assert (condition, values) == (IS_LATER, {":version": item["version"]})
        if self.items.get(item["sk"], {"version": 0})["version"] >= item["version"]:
            raise ConditionFailedError([None])
        self.items[item["sk"]] = item

    @property
    def names(self) -> set[str]:
        """The lists that the account is in."""
        items = self.items.items()
        return {sk.removeprefix("LISTED#") for sk, item in items if "directory_pk" in item}


def deliver(rows: Rows, changes: list[AccountChanged]) -> None:
    move(cast("Table", rows), changes)


def changed(number: int, before: Account | None, after: Account) -> AccountChanged:
    at = NOW + timedelta(seconds=number)
    return AccountChanged(number=str(number), at=at, before=before, after=after)


def command(kind: str, number: int) -> Command:
    """Return a command that may move an account between lists."""
    key = f"{kind}-{number}"
    commands: dict[str, Command] = {
        "use": consume(60, key),
        "use all": adjust(AdjustAction.SET, 0, key),
        "give": adjust(AdjustAction.ADD, 70, key),
        "hold": hold(10, "h1"),
        "release": release(key),
        "freeze": freeze(),
        "unfreeze": freeze(frozen=False),
        "pay": pay_period(NOW, TERM_ENDS, payment_id=f"stripe:in_{number}"),
        "give plan": quota(("long", "overdraft")[number % 2], key=key),
        "close": close(key),
    }
    return commands.get(kind) or follow(kind, NOW + timedelta(seconds=number))


KINDS = (
    *("use", "use", "use", "use all", "give", "hold", "release", "freeze", "unfreeze", "pay"),
    *("give plan", "past_due", "active", "canceled"),
)


def history(kinds: list[str]) -> list[AccountChanged]:
    """Return what the stream has of an account: its opening, and every command that changed it."""
    account = opened("overdraft")
    changes = [changed(0, None, account)]
    for number, kind in enumerate(kinds, 1):
        at = NOW + timedelta(hours=number)
        try:
            after = do(account, command(kind, number), at).after
        except RefusalError:
            continue
        if after != account:
            changes.append(changed(number, account, after))
            account = after
    return changes


def expected(account: Account) -> set[str]:
    """Return the lists that an account should be in, without the code that is tested."""
    if account.status == "closed":
        return set()
    in_grants = sum(grant.remaining for grant in account.grants)
    reported = max(account.subscriptions, key=lambda one: one.at, default=None)
    is_paid = any(term.start <= account.as_of < term.end for term in account.terms)
    facts = {
        "opened": True,
        "id": True,
        "frozen": account.status == "frozen",
        "in_debt": account.debt > 0,
        "out_of_credits": in_grants - account.debt <= 0,
        "held": len(account.holds) > 0,
        "past_due": reported is not None and reported.status == "past_due",
        "plan:pro": is_paid,
        "plan:long": account.given_plan_id == "long",
        "plan:overdraft": account.given_plan_id == "overdraft"
        or (account.given_plan_id is None and not is_paid),
    }
    return {name for name, applies in facts.items() if applies}


@given(
    kinds=st.lists(st.sampled_from(KINDS), max_size=12),
    end=st.sampled_from([[], ["close"]]),
    data=st.data(),
)
def test_the_rows_are_those_of_the_account_however_its_changes_are_delivered(
    kinds: list[str], end: list[str], data: st.DataObject
) -> None:
    changes = history([*kinds, *end])
    rows, done = Rows(), 0
    while done < len(changes):
        last = data.draw(st.integers(done + 1, len(changes)), label="a batch ends before")
        again = data.draw(st.integers(0, done), label="and repeats all from")
        late = data.draw(st.integers(0, last - 1), label="and this one arrives late")
        deliver(rows, changes[again:last])
        deliver(rows, [changes[late]])
        done = last
    assert rows.names == expected(changes[-1].after)


def test_an_account_is_listed_by_when_it_was_opened_and_when_it_came_into_a_state() -> None:
    account = opened()
    frozen = do(account, freeze()).after
    rows = Rows()
    deliver(rows, [changed(0, None, account), changed(5, account, frozen)])
    assert {sk: item["directory_sk"] for sk, item in rows.items.items()} == {
        "LISTED#opened": "2026-01-31T12:00:00.000000#u1",
        "LISTED#id": "u1",
        "LISTED#plan:free": "2026-01-31T12:00:00.000000#u1",
        "LISTED#frozen": "2026-01-31T12:00:05.000000#u1",
    }


def test_a_change_that_moves_an_account_to_no_other_list_writes_nothing() -> None:
    account, rows = opened(), Rows()
    deliver(rows, [changed(1, account, do(account, consume(1)).after)])
    assert rows.items == {}


def test_a_row_that_has_ended_is_purged_later_and_is_found_no_more() -> None:
    account = do(opened(), freeze()).after
    rows = Rows()
    deliver(rows, [changed(0, account, do(account, freeze(frozen=False)).after)])
    [ended] = rows.items.values()
    assert ended == {
        "pk": "NAMES#u1",
        "sk": "LISTED#frozen",
        "version": 3,
        "purge_at": (NOW + 2 * DAY).timestamp(),
    }


def test_an_account_that_comes_back_from_a_backup_keeps_the_rows_that_came_with_it() -> None:
    rows = Rows()
    deliver(rows, [changed(1, None, do(opened(), consume(1)).after)])
    assert rows.items == {}

"""An account at any instant: as it was, as it will be, and by a clock of its own."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from scrip.audit.accounts import audit_account
from scrip.domain.entries import iso
from scrip.ledger import ledger
from scrip.settings import settings
from tests.functional.conftest import USER, items, send
from tests.functional.deliveries import Clock

if TYPE_CHECKING:
    from scrip.store.client import Table

DAY, YEAR = timedelta(days=1), timedelta(days=365)


@pytest.fixture
def clock(table: Table, monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The stack's clock: noon on 1 November 2026, when an account with 150 credits is opened."""
    clock = Clock()
    monkeypatch.setattr(ledger(), "clock", clock)
    send("account/me")
    return clock


def at(instant: Any) -> Any:
    query = {"at": instant if isinstance(instant, str) else instant.isoformat()}
    return send("account/me", query=query)


def test_a_past_instant_shows_the_balance_that_the_newest_entry_of_then_says(clock: Clock) -> None:
    said = []
    for number in range(1, 20):
        clock.now += timedelta(hours=1)
        send("consume/amount", body={"amount": 7}, key=f"use-{number}")
        said.append((clock.now, 150 - 7 * number))
    clock.now += DAY
    for when, balance in said:
        for moment in (when, when + timedelta(minutes=59)):
            assert at(moment).body == {
                "account_id": USER,
                "balance": balance,
                "available": balance,
                "held": 0,
                "debt": 0,
                "unlimited": False,
            }
    assert at(said[0][0] - timedelta(milliseconds=1)).body["balance"] == 150


def test_a_past_instant_shows_what_was_held(clock: Clock) -> None:
    send("consume/hold", body={"amount": 60}, key="hold-1")
    clock.now += DAY
    body = at(clock.now - DAY).body
    assert (body["balance"], body["available"], body["held"]) == (150, 90, 60)


def test_before_its_first_entry_an_account_has_no_past(clock: Clock) -> None:
    answer = at("2026-10-31")
    assert (answer.status, answer.body["code"]) == (404, "no_entry_yet")
    assert answer.body["at"] == "2026-10-31T00:00:00.000Z"


def test_a_future_instant_shows_the_whole_account_as_a_read_will_then(clock: Clock) -> None:
    send("consume/amount", body={"amount": 7}, key="use")
    for later in (timedelta(seconds=1), 29 * DAY, 30 * DAY, YEAR, 9 * YEAR):
        foreseen = at(clock.now + later)
        clock.now += later
        assert foreseen.body == send("account/me").body, later
        clock.now -= later


@pytest.mark.parametrize("instant", ["tomorrow", "", "2027-01-01T00:00:00", "1e9", "0000-01-01"])
def test_what_is_no_instant_is_refused(clock: Clock, instant: str) -> None:
    answer = at(instant)
    assert (answer.status, answer.body["code"]) == (422, "invalid")


def test_no_instant_is_more_than_ten_years_ahead(clock: Clock) -> None:
    assert at(clock.now + 10 * YEAR).status == 200
    answer = at("9999-12-31T23:59:59.999Z")
    assert (answer.status, answer.body["code"]) == (422, "instant_too_far")
    assert answer.body["latest"] == "2036-11-01T12:00:00.000Z"


def test_what_is_asked_for_is_never_written(clock: Clock) -> None:
    before = items(ledger().table)
    at(clock.now - DAY)
    at(clock.now + YEAR)
    send("account/upcoming")
    assert items(ledger().table) == before


def test_what_will_happen_is_listed_with_the_balance_after_it(clock: Clock) -> None:
    first, second, third = send("account/upcoming").body["upcoming"]
    assert first == {
        "at": "2026-12-01T12:00:00.000Z",
        "begins_period": True,
        "granted": 100,
        "expired": 100,
        "released": 0,
        "plan_id": "free",
        "account_id": USER,
        "balance": 150,
        "available": 150,
        "held": 0,
        "debt": 0,
        "unlimited": False,
    }
    assert (second["at"], third["at"]) == ("2027-01-01T12:00:00.000Z", "2027-02-01T12:00:00.000Z")
    for change in (first, second, third):
        assert change["balance"] == at(change["at"]).body["balance"]


@pytest.mark.parametrize("limit", ["0", "51", "all"])
def test_the_list_is_short(clock: Clock, limit: str) -> None:
    assert send("account/upcoming", query={"limit": limit}).status == 422


def move(clock: Clock, ahead: timedelta, **query: str) -> Any:
    return send("adjust/clock", body={"now": iso(clock.now + ahead)}, query=query)


def test_an_account_lives_on_at_the_time_that_its_clock_is_set_to(clock: Clock) -> None:
    moved = move(clock, 40 * DAY)
    assert moved.status == 200
    assert moved.body["clock"] == iso(clock.now + 40 * DAY)
    assert moved.body["period"]["start"] == "2026-12-01T12:00:00.000Z"
    booked = send("account/entries", query={"limit": "10"}).body["entries"]
    assert [entry["type"] for entry in booked] == ["plan", "expiry", "plan", "signup"]
    assert booked[0]["recorded_at"] == iso(clock.now + 40 * DAY)
    clock.now += timedelta(minutes=5)
    used = send("consume/amount", body={"amount": 7}, key="use").body["entry"]
    assert used["recorded_at"] == iso(clock.now + 40 * DAY)
    assert send("account/me").body["clock"] == iso(clock.now + 40 * DAY)
    assert at(clock.now + 40 * DAY).body["balance"] == 143, "its own now is its past"
    assert send("account/upcoming").body["upcoming"][0]["at"] == "2027-01-01T12:00:00.000Z"


def test_the_audit_finds_nothing_in_an_account_that_is_ahead(clock: Clock) -> None:
    move(clock, 40 * DAY)
    send("consume/amount", body={"amount": 7}, key="use")
    clock.now += DAY
    audited = audit_account(ledger().table, USER, clock.now)
    assert audited is not None
    assert audited.findings == ()


def test_a_dry_run_shows_the_account_at_that_time_and_sets_no_clock(clock: Clock) -> None:
    before = items(ledger().table)
    dry = move(clock, 40 * DAY, dry_run="true")
    assert items(ledger().table) == before
    assert dry.body == move(clock, 40 * DAY).body


def test_an_account_without_a_clock_of_its_own_shows_none(clock: Clock) -> None:
    assert send("account/me").body["clock"] is None


def test_a_clock_is_set_once_and_forward_only(clock: Clock) -> None:
    body = {"now": iso(clock.now + DAY)}
    first = send("adjust/clock", body=body).body
    before = items(ledger().table)
    assert send("adjust/clock", body=body).body == first
    assert items(ledger().table) == before
    back = move(clock, DAY - timedelta(seconds=1))
    assert (back.status, back.body["code"], back.body["now"]) == (
        409,
        "clock_behind",
        first["clock"],
    )
    assert send("account/me").body == first


def test_each_move_leaves_an_audit_record_with_both_times(clock: Clock) -> None:
    move(clock, DAY)
    move(clock, 2 * DAY)
    newest, oldest = send("adjust/audit").body["audit"]
    assert (newest["action"], oldest["before"]["now"]) == ("clock.set", iso(clock.now))
    assert (newest["before"]["now"], newest["after"]["now"]) == (
        iso(clock.now + DAY),
        iso(clock.now + 2 * DAY),
    )


def test_a_clock_is_at_most_ten_years_ahead(clock: Clock) -> None:
    answer = move(clock, 11 * YEAR)
    assert (answer.status, answer.body["code"]) == (422, "instant_too_far")


def test_no_other_stage_has_clocks(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    deployed = settings().model_copy(update={"stage": "staging"})
    monkeypatch.setattr("functions.adjust.handler.settings", lambda: deployed)
    before = items(ledger().table)
    answer = move(clock, DAY)
    assert (answer.status, answer.body["code"]) == (404, "not_found")
    assert items(ledger().table) == before

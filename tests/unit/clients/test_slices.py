"""What a lease holds, counts and sends, step by step on a clock of the test's own."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from scrip_client import AccountFrozenError, InsufficientCreditsError, ScripError, UnavailableError
from scrip_client.caller import Caller, api_at
from scrip_client.lease_steps import Capture, CountResult, Extend, LeaseSpec, Release, Step
from scrip_client.retries import Retries
from scrip_client.slices import Slices
from scrip_client.transport import BlockingTransport, finish
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    ScripInMemory,
    answer_lost,
    no_fault,
    request_lost,
    unreachable,
)
from tests.unit.domain.examples import freeze

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_client.calls import Call

SPEC = LeaseSpec(
    account_id=ACCOUNT_ID,
    feature=None,
    slice_credits=40,
    capture_seconds=1.0,
    capture_uses=10,
    expires_in=60,
)


@dataclass
class Driver:
    """Drives a lease: counts uses and takes the steps, with one request each."""

    server: ScripInMemory
    slices: Slices
    caller: Caller
    now: float = 0.0
    taken: list[Step] = field(default_factory=list)

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.server.wait(seconds)

    def use(self, units: int = 1) -> CountResult:
        """Count a use; take steps until there is room.

        Raises:
            ScripError: it is refused.
        """
        while (counted := self.slices.count(units, self.now)) is CountResult.NO_ROOM:
            refusal = self.slices.refusal(units, self.now)
            if refusal is not None:
                raise refusal
            step = self.slices.next_step(self.now, waiting=units)
            assert step is not None
            self._take(step)
        return counted

    def catch_up(self) -> None:
        """Take the steps that are due."""
        while (step := self.slices.next_step(self.now)) is not None:
            if not self._take(step):
                return

    def _take(self, step: Step) -> bool:
        self.taken.append(step)
        call: Call[Any] = step.call
        try:
            answer = finish(self.caller.send(call))
        except ScripError as error:
            return self.slices.failed(step, error, self.now)
        self.slices.answered(step, answer)
        return True


def driver(server: ScripInMemory, **changes: Any) -> Driver:
    transport = BlockingTransport(httpx.Client(transport=server, verify=False))
    caller = Caller(api_at("https://api.example"), transport, "token", Retries(tries_max=1))
    return Driver(server, Slices(replace(SPEC, **changes)), caller)


@pytest.fixture
def lease(server: ScripInMemory) -> Driver:
    """A lease that holds 40 credits at a time."""
    return driver(server)


def test_uses_are_counted_locally_and_charged_together(
    lease: Driver, server: ScripInMemory
) -> None:
    lease.use(3)
    lease.use(4)
    assert server.ledger == [("hold", 0)]
    lease.catch_up()
    assert server.ledger[1:] == [("usage", -7)]
    assert server.newest.metadata == {"uses": 2}
    assert (lease.slices.room, lease.slices.uncaptured.credits) == (33, 0)
    lease.catch_up()
    assert len(server.keys) == 2


def test_counting_reports_when_a_step_is_due(server: ScripInMemory) -> None:
    counted, due = CountResult.COUNTED, CountResult.STEP_DUE
    lease = driver(server, capture_uses=3)
    assert [lease.use() for _ in range(4)] == [counted, counted, due, counted]
    lease.catch_up()
    assert [lease.use() for _ in range(2)] == [counted, counted]
    lease = driver(server)
    assert [lease.use(units) for units in (19, 1, 1)] == [counted, due, counted]


def test_the_next_slice_is_held_before_the_current_one_is_used_up(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    lease.use(20)
    lease.catch_up()
    assert len(server.account.holds) == 1
    lease.use(1)
    lease.catch_up()
    assert [hold.left for hold in server.account.holds] == [19, 40]
    lease.use(30)
    lease.catch_up()
    assert [hold.left for hold in server.account.holds] == [29]
    assert (lease.slices.room, server.charged) == (29, 51)


def test_uncharged_uses_never_exceed_what_is_held_or_one_slice(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    for _ in range(30):
        lease.use(5)
        assert lease.slices.uncaptured.credits <= 40
        assert lease.slices.room >= 0
    with pytest.raises(InsufficientCreditsError):
        lease.use(1)
    lease.catch_up()
    assert (server.charged, server.account.available, server.account.held) == (150, 0, 0)
    lease = driver(ScripInMemory())
    lease.use(100)
    assert lease.slices.uncaptured.credits == 100


def test_the_last_credits_are_held_only_for_a_use_that_fits(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    server.client().consume(ACCOUNT_ID, amount=90)
    lease.use(25)
    lease.catch_up()
    assert (server.account.held, server.account.available) == (15, 20)
    with pytest.raises(InsufficientCreditsError) as refused:
        lease.use(36)
    error = refused.value
    assert (error.required, error.available, error.shortfall) == (36, 35, 1)
    lease.use(35)
    lease.slices.close()
    lease.catch_up()
    assert server.account.balance == 0


def test_a_refusal_is_remembered_for_a_while_for_uses_of_that_cost(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    with pytest.raises(InsufficientCreditsError):
        lease.use(151)
    before = len(server.keys)
    with pytest.raises(InsufficientCreditsError):
        lease.use(160)
    assert len(server.keys) == before
    lease.use(150)
    lease.catch_up()
    with pytest.raises(InsufficientCreditsError):
        lease.use(1)
    server.client().refund(ACCOUNT_ID, server.newest.entry_id, "a gift", 10)
    lease.wait(1)
    lease.use(10)


def test_each_use_costs_what_it_would_cost_alone(server: ScripInMemory) -> None:
    lease = driver(server, feature="tokens")
    for units in (1, 400, 334, 1_000):
        lease.use(units)
    lease.catch_up()
    assert server.charged == 3 + 3 * 3 - 4
    assert server.newest.feature == "tokens"
    assert server.newest.metadata == {"uses": 4, "quantity": 1_735}


def test_a_new_price_applies_from_the_next_slice_on(server: ScripInMemory) -> None:
    lease = driver(server, feature="chat")
    lease.use(1)
    dearer = replace(server.catalog.features["chat"], cost=10, version=2)
    features = {**server.catalog.features, "chat": dearer}
    server.catalog = replace(server.catalog, features=features)
    lease.use(3)
    lease.catch_up()
    assert server.charged == 4 * 5
    lease.use(1)
    lease.catch_up()
    lease.use(1)
    lease.catch_up()
    assert server.charged == 5 * 5 + 10


@pytest.mark.parametrize("feature", ["time-travel", "retired"])
def test_a_use_without_a_price_is_not_free(server: ScripInMemory, feature: str) -> None:
    lease = driver(server, feature=feature)
    with pytest.raises(ScripError, match="unknown_feature"):
        lease.use(1)
    assert server.ledger == []


@pytest.mark.parametrize("fault", [answer_lost, request_lost])
def test_a_use_is_held_and_charged_once_whatever_is_lost(
    lease: Driver,
    server: ScripInMemory,
    fault: Any,
) -> None:
    server.faults += [fault]
    with pytest.raises(UnavailableError):
        lease.use(30)
    lease.wait(1)
    lease.use(30)
    assert (server.account.held, server.account.available) == (40, 110)
    server.faults += [fault, fault]
    lease.catch_up()
    lease.wait(1)
    lease.catch_up()
    assert lease.slices.uncaptured.credits == 30
    lease.wait(1)
    lease.catch_up()
    assert (lease.slices.uncaptured.credits, server.charged) == (0, 30)


def test_while_scrip_is_unreachable_up_to_a_slice_of_uses_is_counted(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    lease.use(30)
    server.faults += [unreachable] * 3
    lease.catch_up()
    lease.use(10)
    with pytest.raises(UnavailableError):
        lease.use(1)
    assert server.ledger == [("hold", 0)]
    lease.wait(1)
    server.faults.clear()
    lease.use(1)
    lease.slices.close()
    lease.catch_up()
    assert server.charged == 41


def test_a_server_error_is_not_a_refusal(lease: Driver, server: ScripInMemory) -> None:
    lease.use(10)
    server.faults.append(lambda _: httpx.Response(500, json={"code": "catalog_unsound"}))
    lease.catch_up()
    assert lease.slices.uncaptured.credits == 10
    lease.catch_up()
    assert server.charged == 10


def test_a_slice_is_extended_while_it_is_used_and_released_when_idle(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    for _ in range(10):
        lease.use(1)
        lease.wait(29)
        lease.catch_up()
    assert sum(isinstance(step, Extend) for step in lease.taken) == 5
    assert (server.charged, server.account.held) == (10, 30)
    for _ in range(5):
        lease.wait(29)
        lease.catch_up()
    assert sum(isinstance(step, Release) for step in lease.taken) == 1
    assert (server.account.held, server.account.available) == (0, 140)
    before = len(server.keys)
    lease.use(1)
    assert len(server.keys) == before + 1


def test_a_slice_at_its_limit_is_charged_and_released_in_time(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    def hardly(answer: Callable[[], httpx.Response]) -> httpx.Response:
        server.wait(-31)
        response = answer()
        server.wait(31)
        return response

    lease.use(1)
    lease.wait(31)
    lease.use(1)
    server.faults += [hardly]
    lease.catch_up()
    [extend] = [step for step in lease.taken if isinstance(step, Extend)]
    assert (extend.slice.ends_at, extend.slice.is_at_limit) == (60, True)
    assert [type(step) for step in lease.taken[-3:-1]] == [Capture, Release]
    assert (server.charged, [hold.left for hold in server.account.holds]) == (2, [40])
    for _ in range(3):
        lease.use(1)
        lease.wait(29)
        lease.catch_up()
    assert (server.charged, server.account.held) == (5, 37)


def test_uses_that_cannot_be_charged_are_logged_and_raised(
    lease: Driver,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    lease.use(10)
    assert lease.slices.not_paid is None
    lease.wait(61)
    server.client().consume(ACCOUNT_ID, amount=145)
    lease.catch_up()
    assert lease.slices.uncaptured.credits == 0
    assert lease.slices.not_paid is not None
    assert (lease.slices.not_paid.expected, lease.slices.not_paid.paid) == (10, 0)
    assert "10 credits for 1 uses remain unpaid on account u1" in caplog.text


def test_uses_counted_on_a_lost_slice_are_charged_once_to_the_account(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    lease.use(10)
    lease.wait(61)
    assert lease.slices.count(1, lease.now) is CountResult.NO_ROOM
    server.faults += [no_fault, no_fault, answer_lost]
    lease.use(1)
    for _ in range(3):
        lease.catch_up()
        lease.wait(1)
    assert server.charged == 11
    [hold] = server.account.holds
    server.client().release_hold(ACCOUNT_ID, hold.hold_id)
    lease.use(2)
    server.faults += [no_fault, answer_lost]
    for _ in range(2):
        lease.catch_up()
        lease.wait(1)
    assert [amount for _, amount in server.ledger if amount] == [-11, -2]


def test_a_frozen_account_is_charged_only_for_what_was_held(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    lease.use(10)
    server.execute(freeze())
    lease.use(30)
    with pytest.raises(AccountFrozenError):
        lease.use(1)
    lease.catch_up()
    assert server.charged == 40


def test_closing_charges_all_uses_and_releases_the_rest(
    lease: Driver,
    server: ScripInMemory,
) -> None:
    lease.use(21)
    lease.catch_up()
    lease.use(3)
    assert len(server.account.holds) == 2
    lease.slices.close()
    lease.catch_up()
    assert (server.charged, server.account.held, server.account.available) == (24, 0, 126)
    with pytest.raises(RuntimeError, match="closed"):
        lease.use(1)

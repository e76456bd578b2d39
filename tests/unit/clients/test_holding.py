"""What a hold sets aside, charges and gives back, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest

from scrip_client import (
    AccountFrozenError,
    InsufficientCreditsError,
    Scrip,
    TooManyAttemptsError,
    UnavailableError,
)
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    ScripInMemory,
    answer_lost,
    request_lost,
    unreachable,
    well,
)
from tests.unit.domain.examples import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import httpx

    from scrip_client import Hold

CHAT = 5
HOLD, RELEASE = ("hold", 0), ("release", 0)


def taken(credits_: int) -> tuple[str, int]:
    return "usage", -credits_


class ModelError(Exception):
    """What the app's own work raises."""


def test_a_block_is_charged_for_what_it_says_it_used(scrip: Scrip, server: ScripInMemory) -> None:
    with scrip.hold("chat", ACCOUNT_ID, quantity=20, reference="order-1") as hold:
        assert hold.held is not None
        assert (hold.held.amount, scrip.balance(ACCOUNT_ID).available) == (100, 50)
        hold.use(2)
        hold.use(1)
    assert server.ledger == [HOLD, RELEASE, taken(3 * CHAT)]
    assert hold.entry is not None
    assert (hold.entry.quantity, hold.entry.reference) == (3, "order-1")
    assert hold.account is not None
    assert (hold.account.available, hold.account.held) == (135, 0)


def test_a_block_that_says_nothing_is_charged_for_all_and_one_that_used_nothing_for_nothing(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.hold(None, ACCOUNT_ID, amount=60):
        pass
    with scrip.hold(None, ACCOUNT_ID, amount=60) as hold:
        hold.use(0)
    assert server.ledger == [HOLD, taken(60), HOLD, RELEASE]


@pytest.mark.parametrize("kind", [ModelError, KeyboardInterrupt, GeneratorExit])
def test_a_block_that_raises_is_charged_only_for_what_it_captured_itself(
    scrip: Scrip,
    server: ScripInMemory,
    kind: type[BaseException],
) -> None:
    def work(hold: Hold) -> None:
        assert hold.capture() is None
        hold.use(3)
        hold.capture()
        hold.use(4)
        raise kind

    with pytest.raises(kind), scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
        work(hold)
    assert server.ledger == [HOLD, taken(3 * CHAT), RELEASE]
    assert server.account.held == 0
    assert str(server.newest.reason).endswith(kind.__name__)


def test_parts_and_the_rest_are_each_charged_once_though_answers_get_lost(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [answer_lost, well]
    with scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
        hold.use(3)
        server.faults += [answer_lost] * 8
        with pytest.raises(UnavailableError) as failed:
            hold.capture()
        assert failed.value.idempotency_key == f"{hold.hold_id}.capture-1"
        hold.use(4)
        server.faults += [well, answer_lost, well]
    assert server.ledger == [HOLD, taken(3 * CHAT), RELEASE, taken(4 * CHAT)]


def test_captures_of_several_threads_charge_each_unit_once(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    def slowly(answer: Callable[[], httpx.Response]) -> httpx.Response:
        sleep(0.01)
        return answer()

    with scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold, ThreadPoolExecutor(4) as pool:
        hold.use(3)
        server.faults += [slowly] * 4
        for captured in [pool.submit(hold.capture) for _ in range(4)]:
            captured.result()
        hold.use(1)
    assert server.ledger == [HOLD, taken(3 * CHAT), RELEASE, taken(1 * CHAT)]


def test_nothing_is_used_or_captured_outside_the_block(scrip: Scrip, server: ScripInMemory) -> None:
    hold = scrip.hold("chat", ACCOUNT_ID, quantity=20)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="in its block only"):
            hold.use(3)
        with pytest.raises(RuntimeError, match="in its block only"):
            hold.capture()
        with suppress(RuntimeError), hold:
            hold.use(2)
    assert server.ledger == [HOLD, RELEASE, taken(2 * CHAT)]


def test_a_capture_that_nobody_waits_for_any_more_counts_once(server: ScripInMemory) -> None:
    async def session() -> None:
        scrip = server.async_client()
        async with scrip, scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
            hold.use(3)
            server.go_on.clear()
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await hold.capture()
            asyncio.get_running_loop().call_later(0.01, server.go_on.set)
            hold.use(1)

    run(session())
    assert server.ledger == [HOLD, taken(3 * CHAT), RELEASE, taken(1 * CHAT)]


def test_a_generator_that_is_not_read_to_its_end_may_charge_for_what_was_read(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    def stream() -> Generator[int]:
        with scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
            try:
                for token in range(20):
                    hold.use(1)
                    yield token
            finally:
                hold.capture()

    tokens = stream()
    assert [next(tokens), next(tokens)] == [0, 1]
    tokens.close()
    assert server.ledger == [HOLD, taken(2 * CHAT), RELEASE]


def test_what_is_used_above_the_hold_is_taken_from_what_is_available(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        hold.use(30)
    assert server.ledger == [HOLD, taken(150)]


def test_what_cannot_be_taken_above_the_hold_is_raised_and_the_hold_is_charged_whole(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with (
        pytest.raises(InsufficientCreditsError) as raised,
        scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold,
    ):
        hold.use(31)
    assert (raised.value.required, raised.value.shortfall) == (31 * CHAT - 20, 5)
    assert "captured in full" in raised.value.__notes__[0]
    server.execute(freeze(frozen=False))
    hold = scrip.hold("chat", ACCOUNT_ID, quantity=4).__enter__()
    hold.use(5)
    server.execute(freeze())
    with pytest.raises(AccountFrozenError):
        hold.__exit__(None, None, None)
    assert server.account.held == 0
    assert [line for line in server.ledger if line[1]] == [taken(20), taken(20)]


def test_what_is_used_after_all_was_captured_and_cannot_be_taken_is_raised(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    hold = scrip.hold("chat", ACCOUNT_ID, quantity=4).__enter__()
    hold.use(4)
    hold.capture()
    hold.use(27)
    with pytest.raises(InsufficientCreditsError):
        hold.__exit__(None, None, None)
    assert server.ledger == [HOLD, taken(20)]


def test_a_hold_is_extended_for_as_long_as_its_block_runs(
    scrip: Scrip,
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("scrip_client.holding.EXTEND_AFTER", 1e-5)
    monkeypatch.setattr("scrip_client.holding.TRY_AGAIN_AFTER", 1e-5)
    server.faults += [well, *[unreachable] * 8]
    with scrip.hold("chat", ACCOUNT_ID, quantity=4):
        for _ in range(3):
            server.wait(200)
            asked = len(server.asked)
            while len(server.asked) < asked + 2:
                sleep(0.001)
    assert server.ledger[-1] == taken(20)
    assert "Could not extend" in caplog.text
    extensions = len(server.asked)
    sleep(0.02)
    assert len(server.asked) == extensions


def test_a_hold_that_expired_meanwhile_is_charged_once_without_it(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    for used in (None, 3):
        with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
            server.wait(301)
            assert server.account.held == 0
            server.faults += [well, answer_lost, well]
            if used:
                hold.use(used)
    assert server.ledger == [HOLD, RELEASE, taken(20), HOLD, RELEASE, taken(15)]


def test_a_hold_that_cannot_be_had_lets_no_block_run(scrip: Scrip, server: ScripInMemory) -> None:
    refused = scrip.hold("chat", ACCOUNT_ID, quantity=31, fail_open=True)
    with pytest.raises(InsufficientCreditsError), refused:
        raise AssertionError("it runs")
    with pytest.raises(RuntimeError, match="one block"), refused:
        raise AssertionError("it runs")
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError), scrip.hold("chat", ACCOUNT_ID, quantity=4):
        raise AssertionError("it runs")
    assert server.ledger == [HOLD, RELEASE]


def test_fail_open_charges_afterwards_if_it_can(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for fault in (request_lost, answer_lost):
        server.faults += [fault] * 8
        with scrip.hold("chat", ACCOUNT_ID, quantity=4, fail_open=True) as hold:
            assert not hold.is_held
            hold.use(2)
    assert server.ledger == [taken(10), HOLD, RELEASE, taken(10)]
    server.faults += [unreachable] * 16
    with scrip.hold("chat", ACCOUNT_ID, quantity=4, fail_open=True):
        pass
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 4
    server.faults += [answer_lost] * 8
    with pytest.raises(ModelError), scrip.hold("chat", ACCOUNT_ID, quantity=4, fail_open=True):
        raise ModelError
    assert server.ledger[4:] == [HOLD, RELEASE]


def test_a_capture_that_nobody_answers_is_raised_with_what_to_do(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [well, *[unreachable] * 8]
    with (
        pytest.raises(UnavailableError) as failed,
        scrip.hold("chat", ACCOUNT_ID, quantity=4, reference="order-1") as hold,
    ):
        hold.use(1)
    key = f"{hold.hold_id}.capture"
    asked: dict[str, Any] = {"quantity": 1, "final": True, "excess": "available"}
    asked["reference"] = "order-1"
    assert f"capture it with {asked} and the idempotency key {key}" in failed.value.__notes__[0]
    assert f"idempotency key {key}" in caplog.text
    for _ in range(2):
        scrip.capture_hold(ACCOUNT_ID, hold.hold_id, idempotency_key=key, **asked)
    assert server.ledger == [HOLD, RELEASE, taken(CHAT)]


def test_a_release_that_fails_does_not_hide_why_the_block_raised(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [well, *[unreachable] * 8]
    with pytest.raises(ModelError), scrip.hold("chat", ACCOUNT_ID, quantity=4):
        raise ModelError
    assert "which will expire" in caplog.text
    server.wait(301)
    assert server.account.available == 150


def deliver(scrip: Scrip, *, fails: bool = False, dies: bool = False, used: int = 2) -> bool:
    """Run a job once; return whether an earlier delivery was charged."""
    hold = scrip.hold("chat", ACCOUNT_ID, quantity=4, idempotency_key="job")
    if dies:
        hold.__enter__()
        return False
    with hold:
        hold.use(used)
        if fails:
            raise ModelError
    return hold.is_charged


def test_a_job_that_is_delivered_again_is_charged_once(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    deliver(scrip, dies=True)
    server.wait(200)
    with pytest.raises(ModelError):
        deliver(scrip, fails=True)
    assert [deliver(scrip), deliver(scrip)] == [False, True]
    charged = [line for line in server.ledger if line[1]]
    assert charged == [taken(2 * CHAT)]
    assert server.account.held == 0
    assert {"job", "job.release", "job.2", "job.2.capture"} <= set(server.asked)


def test_a_job_whose_hold_expired_holds_again_unless_it_was_charged_late(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    deliver(scrip, dies=True)
    server.wait(301)
    with scrip.hold("chat", ACCOUNT_ID, quantity=4, idempotency_key="job") as hold:
        assert hold.hold_id == "job.2"
        server.wait(301)
    assert deliver(scrip, used=4)
    assert [line for line in server.ledger if line[1]] == [taken(4 * CHAT)]


def test_a_named_hold_that_another_delivery_may_use_is_not_released(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError):
        deliver(scrip)
    assert server.account.held == 4 * CHAT
    assert not deliver(scrip)
    assert server.ledger[-1] == taken(2 * CHAT)


def test_two_deliveries_at_once_are_charged_once(scrip: Scrip, server: ScripInMemory) -> None:
    for fails in (False, True):
        name = f"job-{fails}"
        with scrip.hold("chat", ACCOUNT_ID, quantity=4, idempotency_key=name) as hold:
            hold.use(1)
            other = scrip.hold("chat", ACCOUNT_ID, quantity=4, idempotency_key=name)
            other.__enter__()
            other.use(1)
            other.__exit__(None, ModelError() if fails else None, None)
    assert [line for line in server.ledger if line[1]] == [taken(CHAT), taken(CHAT)]


def test_a_charged_job_that_was_refunded_is_charged_again_and_not_for_ever(
    scrip: Scrip,
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    deliver(scrip)
    scrip.refund(ACCOUNT_ID, "job.capture", "a bad answer")
    assert not deliver(scrip)
    scrip.refund(ACCOUNT_ID, "job.2.capture", "a bad answer")
    monkeypatch.setattr("scrip_client.held_credits.ATTEMPTS_MAX", 2)
    with pytest.raises(TooManyAttemptsError):
        deliver(scrip)
    assert server.account.available == 150


def test_what_an_unlimited_plan_held_for_nothing_is_charged_at_its_price_when_that_plan_ends(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    free = server.catalog.plans["free"]
    for unlimited in (True, False):
        plans = {**server.catalog.plans, "free": replace(free, unlimited=unlimited)}
        server.catalog = replace(server.catalog, plans=plans)
        if unlimited:
            hold = scrip.hold("chat", ACCOUNT_ID, quantity=4).__enter__()
    hold.use(6)
    hold.__exit__(None, None, None)
    assert server.ledger == [HOLD, taken(6 * CHAT)]


def test_an_app_with_its_users_own_token_holds_and_is_charged_as_one_with_a_services(
    server: ScripInMemory,
) -> None:
    scrip = server.client("user")
    server.faults += [answer_lost, well, answer_lost, well]
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        assert hold.hold_id.startswith("user:")
        hold.use(1)
        hold.capture()
        hold.use(1)
        server.faults += [answer_lost, well]
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        server.wait(301)
        server.faults += [well, answer_lost, well]
    with pytest.raises(ModelError), scrip.hold("chat", ACCOUNT_ID, quantity=4):
        raise ModelError
    assert [line for line in server.ledger if line[1]] == [
        taken(CHAT),
        taken(CHAT),
        taken(4 * CHAT),
    ]
    assert [deliver(scrip), deliver(scrip)] == [False, True]
    server.wait(301)
    assert deliver(scrip)
    assert (server.account.held, server.account.available) == (0, 150 - 8 * CHAT)


def test_a_hold_of_a_user_whose_opening_was_not_answered_is_found_under_the_users_name(
    server: ScripInMemory,
) -> None:
    scrip = server.client("user")
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError), scrip.hold("chat", ACCOUNT_ID, quantity=4):
        raise AssertionError("it runs")
    assert server.ledger == [HOLD, RELEASE]
    server.faults += [answer_lost] * 8
    with scrip.hold("chat", ACCOUNT_ID, quantity=4, fail_open=True) as hold:
        hold.use(1)
    assert hold.hold_id.startswith("user:")
    server.faults += [request_lost] * 8
    with scrip.hold("chat", ACCOUNT_ID, quantity=4, fail_open=True) as hold:
        hold.use(1)
    assert [line for line in server.ledger if line[1]] == [taken(CHAT), taken(CHAT)]
    assert server.account.held == 0


def test_the_hold_that_follows_one_that_was_let_go_is_not_taken_for_it(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    deliver(scrip, dies=True)
    server.wait(301)
    server.faults += [well, well, well, *[answer_lost] * 8]
    name = {"idempotency_key": "job", "fail_open": True}
    with scrip.hold("chat", ACCOUNT_ID, quantity=4, **name) as hold:  # type: ignore[arg-type]
        assert (hold.hold_id, hold.is_held) == ("job.2", False)
        hold.use(1)
    assert (server.account.held, server.ledger[-1]) == (0, taken(CHAT))


def test_use_is_a_whole_number(scrip: Scrip, server: ScripInMemory) -> None:
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        mistakes: list[Any] = [-1, 1.5, "1"]
        for units in mistakes:
            with pytest.raises(ValueError, match="whole number"):
                hold.use(units)
        hold.use(1)
    assert server.ledger[-1] == taken(CHAT)


@pytest.mark.parametrize("moment", ["holding", "working", "ending"])
def test_a_task_that_is_cancelled_at_any_moment_holds_nothing(
    server: ScripInMemory,
    moment: str,
) -> None:
    async def session() -> None:
        working = asyncio.Event()

        async def work() -> None:
            async with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
                hold.use(1)
                working.set()
                if moment == "ending":
                    server.go_on.clear()
                    server.under_way.clear()
                    return
                await asyncio.Event().wait()

        async with server.async_client() as scrip:
            if moment == "holding":
                server.go_on.clear()
            task = asyncio.create_task(work())
            await (server.under_way if moment == "holding" else working).wait()
            if moment == "ending":
                await server.under_way.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.go_on.set()

    run(session())
    ended = [RELEASE, taken(CHAT)] if moment == "ending" else [RELEASE]
    assert server.ledger == [HOLD, *ended]


def test_the_async_hold_does_the_same(
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip_client.holding.EXTEND_AFTER", 1e-5)

    async def session() -> None:
        async with (
            server.async_client() as scrip,
            scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold,
        ):
            server.wait(200)
            server.under_way.clear()
            await server.under_way.wait()
            await asyncio.sleep(0)
            server.wait(200)
            hold.use(1)
            await hold.capture()
            hold.use(2)

    run(session())
    assert [line for line in server.ledger if line[1]] == [taken(CHAT), taken(2 * CHAT)]

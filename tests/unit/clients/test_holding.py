"""What a hold sets aside, charges and gives back, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest
from starlette.requests import ClientDisconnect

from scrip_client import (
    AccountFrozenError,
    CostOutOfRangeError,
    InsufficientCreditsError,
    Scrip,
    TooManyAttemptsError,
    UnavailableError,
    UnknownMeterError,
    UnknownUsageError,
)
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    CHAT,
    ModelError,
    ScripInMemory,
    answer_lost,
    no_fault,
    request_lost,
    unreachable,
)
from tests.unit.domain.examples import freeze

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    import httpx

    from scrip_client import Hold

HOLD, RELEASE = ("hold", 0), ("release", 0)


def taken(credits_: int) -> tuple[str, int]:
    return "usage", -credits_


def test_a_block_is_charged_for_what_it_used(scrip: Scrip, server: ScripInMemory) -> None:
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


def test_a_block_without_reported_use_is_charged_in_full_and_zero_use_is_free(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.hold(None, ACCOUNT_ID, amount=60):
        pass
    with scrip.hold(None, ACCOUNT_ID, amount=60) as hold:
        hold.use(0)
    assert server.ledger == [HOLD, taken(60), HOLD, RELEASE]


MOST = {"input": 40_000, "output": 5_000}
"""It costs 20 credits."""

OPENAI = {"prompt_tokens": 4_000, "completion_tokens": 500, "total_tokens": 4_500}
"""It costs 2 credits."""


def test_counts_of_meters_add_up_to_one_entry(scrip: Scrip, server: ScripInMemory) -> None:
    with scrip.hold("model", ACCOUNT_ID, usage=MOST, metadata={"run": 7}) as hold:
        hold.use(usage={"input": 1_000})
        hold.use(usage={"input": 1_400, "output": 200})
    assert server.ledger == [HOLD, RELEASE, taken(1)]
    assert hold.entry is not None
    assert hold.entry.usage == {"input": 2_400, "output": 200}
    assert hold.entry.metadata == {"run": 7}


def test_each_providers_usage_is_an_entry_and_an_estimate_says_so(
    scrip: Scrip, server: ScripInMemory
) -> None:
    with scrip.hold("model", ACCOUNT_ID, usage=MOST, metadata={"run": 7}) as hold:
        hold.use(usage=OPENAI, usage_of="openai")
        hold.use(usage=OPENAI, usage_of="openai")
        hold.use(usage={"output": 500}, estimated=True)
    assert server.ledger == [HOLD, taken(2), taken(2), RELEASE, taken(1)]
    assert hold.entry is not None
    assert hold.entry.metadata == {"run": 7, "estimated": True}
    with scrip.hold("model", ACCOUNT_ID, usage=MOST) as hold:
        pass
    assert server.ledger[-1] == taken(20)


def test_usage_without_a_price_charges_its_fallback_or_nothing(
    scrip: Scrip, server: ScripInMemory
) -> None:
    strange = {**OPENAI, "holograms": 5}
    with scrip.hold("model", ACCOUNT_ID, usage=MOST) as hold:
        hold.use(usage=strange, usage_of="openai", fallback={"output": 1_500})
        hold.use(usage=strange, usage_of="openai", fallback={"output": 1_000})
    assert server.ledger == [HOLD, taken(3), RELEASE, taken(2)]
    assert server.newest.metadata == {"estimated": True}
    with (
        pytest.raises(UnknownUsageError) as refused,
        scrip.hold("model", ACCOUNT_ID, usage=MOST) as hold,
    ):
        hold.use(usage=strange, usage_of="openai")
    assert (refused.value.provider, refused.value.field) == ("openai", "holograms")
    assert server.ledger[4:] == [HOLD, RELEASE]


LINES: Any = [
    {"feature": "chat", "quantity": 4},
    {"feature": "model", "usage": MOST},
    {"amount": 7},
]
"""They cost 20 + 20 + 7 credits."""


def test_a_hold_with_several_lines_is_charged_by_feature(
    scrip: Scrip, server: ScripInMemory
) -> None:
    with scrip.hold(None, ACCOUNT_ID, lines=LINES, reference="run-1") as hold:
        assert hold.held is not None
        assert (hold.held.amount, hold.held.features) == (47, ("chat", "model"))
        hold.use(1, feature="chat")
        hold.use(usage={"output": 500}, feature="model")
        hold.use(2)
        hold.use(2, feature="chat")
    uses = [entry for entry in server.entries if entry["type"] == "usage"]
    assert [(entry["feature"], entry["cost"]) for entry in uses] == [
        ("chat", 15),
        ("model", 1),
        (None, 2),
    ]
    assert {entry["reference"] for entry in uses} == {"run-1"}
    assert server.account.held == 0


def test_all_lines_are_charged_if_a_block_reports_no_use(
    scrip: Scrip, server: ScripInMemory
) -> None:
    with scrip.hold(None, ACCOUNT_ID, lines=LINES):
        pass
    assert server.ledger[-1] == taken(47)
    with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
        server.wait(301)
    assert (server.ledger[-1], hold.is_charged) == (taken(47), False)


def test_lines_that_could_not_be_held_are_charged_their_price(
    scrip: Scrip, server: ScripInMemory
) -> None:
    for fault in (request_lost, answer_lost):
        server.faults += [fault] * 8
        with scrip.hold(None, ACCOUNT_ID, lines=LINES, fail_open=True):
            pass
        assert server.account.held == 0
    assert server.charged == 2 * 47


def test_a_use_of_lines_that_exceeds_them_or_whose_hold_has_ended_is_charged_in_full(
    scrip: Scrip, server: ScripInMemory
) -> None:
    with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
        hold.use(12, feature="chat")
    assert server.ledger[-1] == taken(60)
    with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
        server.wait(301)
        hold.use(3, feature="chat")
    assert (server.newest.feature, server.newest.cost) == ("chat", 15)


def test_a_use_of_a_feature_of_no_line_is_an_error_of_the_app(
    scrip: Scrip, server: ScripInMemory
) -> None:
    for held in ({"lines": LINES}, {"amount": 5}):
        with (
            pytest.raises(ValueError, match="not for the feature 'image'"),
            scrip.hold(None, ACCOUNT_ID, **held) as hold,
        ):
            hold.use(1, feature="image")
    assert server.account.held == 0


def test_the_end_of_a_hold_is_one_charge_of_all_its_uses(
    scrip: Scrip, server: ScripInMemory
) -> None:
    with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
        hold.use(2, feature="chat")
        hold.use(usage=OPENAI, usage_of="openai", feature="model")
        hold.use(usage=OPENAI, usage_of="openai", feature="model")
    assert server.ledger == [*[HOLD] * 3, RELEASE, taken(10), taken(2), taken(2)]
    key = f"{hold.hold_id}.capture"
    assert [entry["entry_id"] for entry in server.entries[-3:]] == [key, f"{key}~2", f"{key}~3"]


@pytest.mark.parametrize("uses", [[(2, "chat"), (0, None)], [(0, None), (2, "chat")]])
@pytest.mark.parametrize("captures", [False, True])
def test_a_job_with_lines_is_charged_once_whatever_it_reports_last(
    scrip: Scrip, server: ScripInMemory, uses: list[tuple[int, str | None]], *, captures: bool
) -> None:
    for number in range(2):
        with scrip.hold(None, ACCOUNT_ID, lines=LINES, idempotency_key="job-7") as hold:
            assert hold.is_charged == bool(number)
            if not hold.is_charged:
                for units, feature in uses:
                    hold.use(units, feature=feature)
                if captures:
                    hold.capture()
    assert (server.charged, server.account.held) == (10, 0)


@pytest.mark.parametrize(("again", "paid"), [(2, 10), (3, 15), (1, 10)])
@pytest.mark.parametrize("expires_first", [False, True])
def test_a_job_that_was_killed_pays_only_what_its_captures_have_not(
    scrip: Scrip, server: ScripInMemory, again: int, paid: int, *, expires_first: bool
) -> None:
    job = scrip.hold(None, ACCOUNT_ID, lines=LINES, idempotency_key="job-7")
    killed = job.__enter__()
    killed.use(2, feature="chat")
    if expires_first:
        server.wait(301)
    killed.capture()
    server.wait(301)
    with scrip.hold(None, ACCOUNT_ID, lines=LINES, idempotency_key="job-7") as hold:
        assert not hold.is_charged
        hold.use(again, feature="chat")
        hold.capture()
        hold.use(4)
    assert (server.charged, server.account.held) == (paid + 4, 0)


@pytest.mark.parametrize(("more", "charged"), [(0, 11), (1, 12)])
def test_what_somebody_else_captured_by_lines_counts_in_full(
    scrip: Scrip, server: ScripInMemory, more: int, charged: int
) -> None:
    elsewhere: Any = [
        {"feature": "model", "usage": {"output": 500}},
        {"feature": "chat", "quantity": 2},
    ]
    with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
        hold.use(2, feature="chat")
        hold.use(usage={"output": 500 * (1 + more)}, feature="model")
        scrip.capture_hold(ACCOUNT_ID, hold.hold_id, lines=elsewhere)
    assert server.charged == charged


def test_a_use_without_a_price_makes_no_other_free(scrip: Scrip, server: ScripInMemory) -> None:
    def report(*uses: dict[str, Any]) -> None:
        with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
            for use in uses:
                hold.use(**use)

    good: Any = {"units": 2, "feature": "chat"}
    strange: Any = {"usage": {"weird": 5}, "feature": "model"}
    huge: Any = {"units": 10**12, "feature": "chat"}
    refused = (
        (UnknownMeterError, (good, strange)),
        (UnknownMeterError, (strange, good)),
        (CostOutOfRangeError, (huge, {"units": 10})),
    )
    for error, uses in refused:
        with pytest.raises(error):
            report(*uses)
        assert server.account.held == 0
    assert server.charged == 3 * 10
    with scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold:
        hold.use(2, feature="chat")
        strange_usage = {**OPENAI, "holograms": 5}
        fallback = {"output": 1_500}
        hold.use(usage=strange_usage, usage_of="openai", fallback=fallback, feature="model")
    assert server.ledger[-2:] == [RELEASE, taken(3)]
    assert server.newest.feature == "model"


def test_usage_of_a_hold_with_lines_needs_its_feature(scrip: Scrip, server: ScripInMemory) -> None:
    with (
        pytest.raises(ValueError, match="which feature"),
        scrip.hold(None, ACCOUNT_ID, lines=LINES) as hold,
    ):
        hold.use(usage={"output": 500})
    assert server.account.held == 0


@pytest.mark.parametrize(
    "use", [{}, {"units": 1, "usage": {"input": 1}}, {"units": -1}, {"usage": {"input": 1.5}}]
)
def test_a_use_is_measured_in_one_way_in_whole_numbers(
    scrip: Scrip, server: ScripInMemory, use: dict[str, Any]
) -> None:
    with scrip.hold("model", ACCOUNT_ID, usage=MOST) as hold:
        with pytest.raises(ValueError, match="units"):
            hold.use(**use)
        hold.use(usage={"input": 0})
    assert server.ledger == [HOLD, RELEASE]


@pytest.mark.parametrize("kind", [ModelError, KeyboardInterrupt])
def test_a_block_that_raises_is_charged_only_for_what_it_captured(
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


def test_parts_and_the_rest_are_charged_once_even_if_answers_are_lost(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [answer_lost, no_fault]
    with scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
        hold.use(3)
        server.faults += [answer_lost] * 8
        with pytest.raises(UnavailableError) as failed:
            hold.capture()
        assert failed.value.idempotency_key == f"{hold.hold_id}.capture-1"
        hold.use(4)
        server.faults += [no_fault, answer_lost, no_fault]
    assert server.ledger == [HOLD, taken(3 * CHAT), RELEASE, taken(4 * CHAT)]


def test_concurrent_captures_charge_each_unit_once(
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


def test_a_hold_can_be_used_and_captured_only_in_its_block(
    scrip: Scrip, server: ScripInMemory
) -> None:
    hold = scrip.hold("chat", ACCOUNT_ID, quantity=20)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="in its block only"):
            hold.use(3)
        with pytest.raises(RuntimeError, match="in its block only"):
            hold.capture()
        with suppress(RuntimeError), hold:
            hold.use(2)
    assert server.ledger == [HOLD, RELEASE, taken(2 * CHAT)]


def test_a_capture_whose_task_was_cancelled_counts_once(server: ScripInMemory) -> None:
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


@pytest.mark.parametrize("kind", [GeneratorExit, ClientDisconnect, asyncio.CancelledError])
def test_a_block_that_is_left_is_charged_for_what_it_reported(
    scrip: Scrip, server: ScripInMemory, kind: type[BaseException]
) -> None:
    def leave(hold: Hold) -> None:
        hold.use(2)
        raise kind

    with pytest.raises(kind), scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
        leave(hold)
    with pytest.raises(kind), scrip.hold("chat", ACCOUNT_ID, quantity=20):
        raise kind
    assert server.ledger == [HOLD, RELEASE, taken(2 * CHAT), HOLD, RELEASE]


def test_a_generator_that_is_closed_early_is_charged_for_what_was_read(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    def stream() -> Generator[int]:
        with scrip.hold("chat", ACCOUNT_ID, quantity=20) as hold:
            for token in range(20):
                hold.use(1)
                yield token

    tokens = stream()
    assert [next(tokens), next(tokens)] == [0, 1]
    tokens.close()
    assert server.ledger == [HOLD, RELEASE, taken(2 * CHAT)]


def test_a_block_that_is_left_and_cannot_be_charged_ends_as_it_was_left(
    scrip: Scrip, server: ScripInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    def stream() -> Generator[int]:
        with scrip.hold("chat", ACCOUNT_ID, quantity=1) as hold:
            hold.use(31)
            try:
                yield 1
            except GeneratorExit as exc:
                left.append(exc)
                raise

    left: list[BaseException] = []
    read = stream()
    next(read)
    read.close()
    assert server.ledger == [HOLD, taken(CHAT)]
    assert "what was delivered could not be charged: 402" in left[0].__notes__[-1]
    assert "Could not charge for what was delivered" in caplog.text


def test_use_beyond_the_hold_is_taken_from_available_credits(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        hold.use(30)
    assert server.ledger == [HOLD, taken(150)]


def test_use_beyond_the_hold_that_is_refused_raises_after_the_hold_is_charged_in_full(
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


def test_use_beyond_a_fully_captured_hold_that_is_refused_raises(
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


def test_a_hold_is_extended_while_its_block_runs(
    scrip: Scrip,
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("scrip_client.holding.EXTEND_AFTER", 1e-5)
    monkeypatch.setattr("scrip_client.holding.TRY_AGAIN_AFTER", 1e-5)
    server.faults += [no_fault, *[unreachable] * 8]
    with scrip.hold("chat", ACCOUNT_ID, quantity=4):
        for _ in range(3):
            server.wait(200)
            before = len(server.keys)
            while len(server.keys) < before + 2:
                sleep(0.001)
    assert server.ledger[-1] == taken(20)
    assert "Could not extend" in caplog.text
    extensions = len(server.keys)
    sleep(0.02)
    assert len(server.keys) == extensions


def test_a_hold_that_expired_in_its_block_is_charged_once_to_the_account(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    for used in (None, 3):
        with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
            server.wait(301)
            assert server.account.held == 0
            server.faults += [no_fault, answer_lost, no_fault]
            if used:
                hold.use(used)
    assert server.ledger == [HOLD, RELEASE, taken(20), HOLD, RELEASE, taken(15)]


def test_without_a_hold_the_block_does_not_run(scrip: Scrip, server: ScripInMemory) -> None:
    refused = scrip.hold("chat", ACCOUNT_ID, quantity=31, fail_open=True)
    with pytest.raises(InsufficientCreditsError), refused:
        raise AssertionError("it runs")
    with pytest.raises(RuntimeError, match="one block"), refused:
        raise AssertionError("it runs")
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError), scrip.hold("chat", ACCOUNT_ID, quantity=4):
        raise AssertionError("it runs")
    assert server.ledger == [HOLD, RELEASE]


def test_fail_open_charges_at_the_end_of_the_block_if_possible(
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


def test_an_unanswered_capture_raises_with_instructions(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [no_fault, *[unreachable] * 8]
    with (
        pytest.raises(UnavailableError) as failed,
        scrip.hold("chat", ACCOUNT_ID, quantity=4, reference="order-1") as hold,
    ):
        hold.use(1)
    key = f"{hold.hold_id}.capture"
    body: dict[str, Any] = {"reference": "order-1", "quantity": 1}
    body |= {"final": True, "excess": "available"}
    assert f"capture it with {body} and the idempotency key {key}" in failed.value.__notes__[0]
    assert f"idempotency key {key}" in caplog.text
    for _ in range(2):
        scrip.capture_hold(ACCOUNT_ID, hold.hold_id, idempotency_key=key, **body)
    assert server.ledger == [HOLD, RELEASE, taken(CHAT)]


def test_a_release_that_fails_does_not_hide_why_the_block_raised(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [no_fault, *[unreachable] * 8]
    with pytest.raises(ModelError), scrip.hold("chat", ACCOUNT_ID, quantity=4):
        raise ModelError
    assert "which will expire" in caplog.text
    server.wait(301)
    assert server.account.available == 150


def deliver(scrip: Scrip, *, fails: bool = False, dies: bool = False, used: int = 2) -> bool:
    """Deliver a job once; return whether an earlier delivery was charged."""
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
    assert {"job", "job.release", "job.2", "job.2.capture"} <= set(server.keys)


def test_a_job_whose_hold_expired_holds_again_unless_it_was_charged(
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


def test_a_hold_that_another_delivery_may_rely_on_is_not_released(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError):
        deliver(scrip)
    assert server.account.held == 4 * CHAT
    assert not deliver(scrip)
    assert server.ledger[-1] == taken(2 * CHAT)


def test_concurrent_deliveries_are_charged_once(scrip: Scrip, server: ScripInMemory) -> None:
    for fails in (False, True):
        name = f"job-{fails}"
        with scrip.hold("chat", ACCOUNT_ID, quantity=4, idempotency_key=name) as hold:
            hold.use(1)
            other = scrip.hold("chat", ACCOUNT_ID, quantity=4, idempotency_key=name)
            other.__enter__()
            other.use(1)
            other.__exit__(None, ModelError() if fails else None, None)
    assert [line for line in server.ledger if line[1]] == [taken(CHAT), taken(CHAT)]


def test_a_refunded_job_is_charged_again_a_limited_number_of_times(
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


def test_a_free_hold_of_an_unlimited_plan_is_charged_if_the_plan_has_ended(
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


def test_an_app_with_a_users_token_holds_and_is_charged_like_a_service(
    server: ScripInMemory,
) -> None:
    scrip = server.client("user")
    server.faults += [answer_lost, no_fault, answer_lost, no_fault]
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        assert hold.hold_id.startswith("user:")
        hold.use(1)
        hold.capture()
        hold.use(1)
        server.faults += [answer_lost, no_fault]
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        server.wait(301)
        server.faults += [no_fault, answer_lost, no_fault]
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


def test_an_unanswered_hold_of_a_users_token_is_found_under_its_prefixed_id(
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


def test_an_unanswered_second_hold_is_not_mistaken_for_the_first(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    deliver(scrip, dies=True)
    server.wait(301)
    server.faults += [no_fault, no_fault, no_fault, *[answer_lost] * 8]
    name = {"idempotency_key": "job", "fail_open": True}
    with scrip.hold("chat", ACCOUNT_ID, quantity=4, **name) as hold:  # type: ignore[arg-type]
        assert (hold.hold_id, hold.is_held) == ("job.2", False)
        hold.use(1)
    assert (server.account.held, server.ledger[-1]) == (0, taken(CHAT))


def test_use_requires_a_whole_number(scrip: Scrip, server: ScripInMemory) -> None:
    with scrip.hold("chat", ACCOUNT_ID, quantity=4) as hold:
        mistakes: list[Any] = [-1, 1.5, "1"]
        for units in mistakes:
            with pytest.raises(ValueError, match="whole number"):
                hold.use(units)
        hold.use(1)
    assert server.ledger[-1] == taken(CHAT)


@pytest.mark.parametrize("moment", ["holding", "working", "ending"])
def test_a_task_cancelled_at_any_moment_pays_for_what_it_reported_and_holds_nothing(
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
    ended = [RELEASE] if moment == "holding" else [RELEASE, taken(CHAT)]
    assert server.ledger == [HOLD, *ended]


def test_the_async_hold_behaves_the_same(
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

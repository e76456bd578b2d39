"""What a charge takes, gives back and tells, whatever goes wrong on the way."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Any

import httpx
import pytest

from scrip_client import (
    AlreadyRefundedError,
    InsufficientCreditsError,
    RefundTooLargeError,
    Scrip,
    TooManyAttemptsError,
    UnavailableError,
)
from scrip_client.charges import REASON_LENGTH_MAX, reason_of
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    ScripInMemory,
    answer_lost,
    request_lost,
    unreachable,
    well,
)

CHAT = 5


class ModelError(Exception):
    """What the app's own work raises."""


def test_a_block_is_charged_once_and_a_block_that_raises_is_refunded(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.charge("chat", ACCOUNT_ID, quantity=2) as charge:
        assert charge.is_charged
        assert charge.entry is not None
        assert charge.entry.amount == -2 * CHAT
    mine = ModelError("no\nsuch model")
    with pytest.raises(ModelError) as raised, scrip.charge("chat", ACCOUNT_ID) as charge:
        raise mine
    assert raised.value is mine
    assert not hasattr(mine, "__notes__")
    assert charge.account is not None
    assert charge.account.available == 140
    assert server.ledger == [("usage", -2 * CHAT), ("usage", -CHAT), ("refund", CHAT)]
    newest = server.newest
    assert (newest.entry_id, newest.refunds) == (f"{charge.entry_id}.refund", charge.entry_id)
    assert newest.reason == f"{__name__}.ModelError: no such model"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit, GeneratorExit])
def test_a_block_that_is_interrupted_is_refunded(
    scrip: Scrip,
    server: ScripInMemory,
    kind: type[BaseException],
) -> None:
    with pytest.raises(kind), scrip.charge("chat", ACCOUNT_ID):
        raise kind
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_a_block_that_cannot_be_charged_does_not_run(scrip: Scrip, server: ScripInMemory) -> None:
    with pytest.raises(InsufficientCreditsError), scrip.charge(None, ACCOUNT_ID, amount=200):
        raise AssertionError("it runs")
    assert (len(server.asked), server.ledger) == (1, [])


def test_parts_are_refunded_and_then_only_the_rest(scrip: Scrip, server: ScripInMemory) -> None:
    def ask_four_times(*parts: int) -> None:
        with scrip.charge("chat", ACCOUNT_ID, quantity=4) as charge:
            for part in parts:
                charge.refund(part, reason="no answer")
            raise ModelError

    with pytest.raises(ModelError):
        ask_four_times(5, 5)
    assert server.ledger == [("usage", -20), ("refund", 5), ("refund", 5), ("refund", 10)]
    with pytest.raises(ModelError):
        ask_four_times(5, 15)
    with pytest.raises(RefundTooLargeError) as raised:
        ask_four_times(5, 16)
    assert (raised.value.refunded, raised.value.refundable) == (5, 15)
    assert scrip.balance(ACCOUNT_ID).available == 150


def test_a_charge_can_be_refunded_after_its_block(scrip: Scrip) -> None:
    with scrip.charge("chat", ACCOUNT_ID) as charge:
        pass
    posting = charge.refund(reason="nobody read it")
    assert posting is not None
    assert posting.entry.amount == CHAT
    with pytest.raises(AlreadyRefundedError):
        charge.refund(1, reason="again")


def test_lost_answers_charge_once_and_refund_once(scrip: Scrip, server: ScripInMemory) -> None:
    server.faults += [answer_lost, unreachable, well, answer_lost, well]
    with pytest.raises(ModelError), scrip.charge("chat", ACCOUNT_ID):
        raise ModelError
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]
    key = server.asked[0]
    assert server.asked == [key, key, f"{key}.refund", f"{key}.refund"]


def test_a_refund_that_fails_leaves_a_note_and_a_log_line(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [well, *[unreachable] * 8]
    with pytest.raises(ModelError) as raised, scrip.charge("chat", ACCOUNT_ID) as charge:
        raise ModelError
    [note] = raised.value.__notes__
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    for told in (note, record.getMessage()):
        assert f"refund entry {charge.entry_id} of account {ACCOUNT_ID}" in told
        assert f"idempotency key {charge.entry_id}.refund" in told
    by_hand = f"{charge.entry_id}.refund"
    scrip.refund(ACCOUNT_ID, charge.entry_id, "by hand", idempotency_key=by_hand)
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_a_token_that_may_not_refund_does_not_hide_why_the_block_raised(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [well, lambda _: httpx.Response(403, json={"code": "forbidden"})]
    with pytest.raises(ModelError), scrip.charge("chat", ACCOUNT_ID):
        raise ModelError
    assert "Could not refund" in caplog.text


def test_a_job_that_is_delivered_again_is_charged_again_only_if_it_was_refunded(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    for fails in (True, True, False, False):
        with suppress(ModelError), scrip.charge("chat", ACCOUNT_ID, idempotency_key="job"):
            if fails:
                raise ModelError
    taken, given = ("usage", -CHAT), ("refund", CHAT)
    assert server.ledger == [taken, given, taken, given, taken]
    assert set(server.asked) - {""} == {"job", "job.refund", "job.2", "job.2.refund", "job.3"}


def test_a_job_that_another_delivery_may_run_is_not_asked_back(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.charge("chat", ACCOUNT_ID, idempotency_key="job"):
        server.faults += [answer_lost] * 8
        with pytest.raises(UnavailableError):
            scrip.charge("chat", ACCOUNT_ID, idempotency_key="job").__enter__()
    assert server.ledger == [("usage", -CHAT)]


def test_a_job_is_not_charged_and_refunded_for_ever(
    scrip: Scrip,
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip_client.charges.ATTEMPTS_MAX", 2)
    for kind in (ModelError, ModelError, TooManyAttemptsError):
        with pytest.raises(kind), scrip.charge("chat", ACCOUNT_ID, idempotency_key="job"):
            raise ModelError
    assert len(server.ledger) == 4


def test_without_scrip_the_block_does_not_run_and_a_lost_charge_is_asked_back(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [unreachable] * 8
    with pytest.raises(UnavailableError), scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert server.asked == []

    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError) as failed, scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert failed.value.may_have_taken_effect
    assert not hasattr(failed.value, "__notes__")
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_fail_open_lets_the_block_run_uncharged(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [unreachable] * 8
    with scrip.charge("chat", ACCOUNT_ID, fail_open=True) as charge:
        assert (charge.is_charged, charge.entry, charge.account) == (False, None, None)
        assert charge.refund(1, reason="there is nothing") is None
    [record] = caplog.records
    assert (record.levelno, ACCOUNT_ID in record.getMessage()) == (logging.WARNING, True)
    server.faults += [unreachable] * 8
    with pytest.raises(ModelError), scrip.charge("chat", ACCOUNT_ID, fail_open=True):
        raise ModelError
    assert server.asked == []


def test_fail_open_is_for_an_absent_scrip_not_for_its_refusals(scrip: Scrip) -> None:
    refused = scrip.charge(None, ACCOUNT_ID, amount=200, fail_open=True)
    with pytest.raises(InsufficientCreditsError), refused:
        raise AssertionError("it runs")


def test_fail_open_after_a_lost_answer_gives_back_what_was_taken_if_anything_was(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [answer_lost] * 8
    with pytest.raises(ModelError), scrip.charge("chat", ACCOUNT_ID, fail_open=True) as charge:
        raise ModelError
    assert not charge.is_charged
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]

    server.faults += [request_lost] * 8
    with pytest.raises(ModelError) as raised, scrip.charge("chat", ACCOUNT_ID, fail_open=True):
        raise ModelError
    assert not hasattr(raised.value, "__notes__")
    server.faults += [request_lost] * 8
    with scrip.charge("chat", ACCOUNT_ID, fail_open=True) as charge:
        assert charge.refund(1, reason="a part of nothing") is None
    assert len(server.ledger) == 2


def test_an_interrupted_charge_is_asked_back(scrip: Scrip, server: ScripInMemory) -> None:
    def interrupted(answer: Any) -> httpx.Response:
        answer()
        raise KeyboardInterrupt

    server.faults.append(interrupted)
    with pytest.raises(KeyboardInterrupt), scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


@pytest.mark.parametrize("moment", ["charging", "working", "refunding"])
def test_a_task_that_is_cancelled_at_any_moment_is_refunded(
    server: ScripInMemory,
    moment: str,
) -> None:
    async def session() -> None:
        working = asyncio.Event()

        async def work() -> None:
            async with scrip.charge("chat", ACCOUNT_ID):
                working.set()
                if moment == "refunding":
                    server.go_on.clear()
                    server.under_way.clear()
                    raise ModelError
                await asyncio.Event().wait()

        async with server.async_client() as scrip:
            if moment == "charging":
                server.go_on.clear()
            task = asyncio.create_task(work())
            await (working if moment == "working" else server.under_way).wait()
            if moment == "refunding":
                await working.wait()
                await server.under_way.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.go_on.set()

    run(session())
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_a_cancelled_charge_that_was_refused_is_not_refunded(server: ScripInMemory) -> None:
    async def session() -> None:
        async with server.async_client() as scrip:
            server.go_on.clear()
            charge = scrip.charge(None, ACCOUNT_ID, amount=200)
            task = asyncio.create_task(charge.__aenter__())
            await server.under_way.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            server.go_on.set()

    run(session())
    assert (len(server.asked), server.ledger) == (1, [])


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


@pytest.mark.parametrize(
    ("exc", "reason"),
    [
        (ValueError("no such model"), "ValueError: no such model"),
        (ValueError("two\nlines\tand \x00\x1b[31m more"), "ValueError: two lines and [31m more"),
        (ValueError("\ud800"), "ValueError:"),
        (ValueError(), "ValueError"),
        (asyncio.CancelledError(), "asyncio.exceptions.CancelledError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_the_reason_is_the_type_and_the_message_in_one_line(
    exc: BaseException,
    reason: str,
) -> None:
    assert reason_of(exc) == reason


def test_no_exception_is_without_a_reason_or_with_too_long_a_one() -> None:
    assert "SpeechlessError" in reason_of(SpeechlessError())
    assert len(reason_of(ValueError("x" * 1_000))) == REASON_LENGTH_MAX
    noted = ValueError("said")
    noted.add_note("and noted")
    assert reason_of(noted) == "ValueError: said"

"""What a charge takes, refunds and reports, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from scrip_client import (
    AlreadyRefundedError,
    InsufficientCreditsError,
    RefundTooLargeError,
    Scrip,
    ScripError,
    TokenError,
    TooManyAttemptsError,
    UnavailableError,
    UnreadableAnswerError,
)
from scrip_client.charges import REASON_LENGTH_MAX, reason_of
from tests.event_loops import run
from tests.unit.clients.conftest import CREDENTIALS
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

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator

    from tests.unit.clients.scrip_in_memory import Fault


@dataclass(frozen=True)
class FrozenError(Exception):
    """An exception that accepts no notes."""

    said: str


class SoftLimit(BaseException):
    """Raised by an app's own signal handler."""


def replaced(status: int, **content: Any) -> Fault:
    """The call takes effect, but something other than Scrip answers."""

    def fault(answer: Callable[[], httpx.Response]) -> httpx.Response:
        answer()
        return httpx.Response(status, **content)

    return fault


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
    assert newest.reason == f"{ModelError.__module__}.ModelError: no such model"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_a_block_that_is_interrupted_is_refunded(
    scrip: Scrip,
    server: ScripInMemory,
    kind: type[BaseException],
) -> None:
    with pytest.raises(kind), scrip.charge("chat", ACCOUNT_ID):
        raise kind
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_a_generator_that_is_left_stays_charged_and_one_that_fails_is_refunded(
    scrip: Scrip, server: ScripInMemory
) -> None:
    def stream() -> Generator[int]:
        with scrip.charge("chat", ACCOUNT_ID):
            yield 1
            raise ModelError

    left = stream()
    next(left)
    left.close()
    assert server.ledger == [("usage", -CHAT)]
    with pytest.raises(ModelError):
        list(stream())
    assert server.ledger[1:] == [("usage", -CHAT), ("refund", CHAT)]


def test_an_async_generator_that_is_left_stays_charged_also_if_its_task_is_cancelled(
    server: ScripInMemory,
) -> None:
    async def session() -> None:
        async def stream() -> AsyncGenerator[int]:
            async with scrip.charge("chat", ACCOUNT_ID):
                yield 1
                await asyncio.Event().wait()

        async def read() -> None:
            async for _ in stream():
                """Wait for the next one."""

        async with server.async_client() as scrip:
            closed = stream()
            await anext(closed)
            await closed.aclose()
            for _ in range(2):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.01):
                        await read()

    run(session())
    assert server.ledger == [("usage", -CHAT)] * 3


def test_work_that_returns_an_error_is_refunded_if_the_app_says_so(
    scrip: Scrip, server: ScripInMemory
) -> None:
    def is_error(answer: str) -> bool:
        return answer == "sorry"

    @scrip.charged("chat", account_id=lambda _: ACCOUNT_ID, refund_if=is_error)
    def work(answer: str) -> str:
        return answer

    assert [work("here"), work("sorry")] == ["here", "sorry"]
    with scrip.charge("chat", ACCOUNT_ID, refund_if=lambda: is_error(answer)):
        answer = "sorry"
    back = ("refund", CHAT)
    assert server.ledger == [("usage", -CHAT), ("usage", -CHAT), back, ("usage", -CHAT), back]
    assert server.newest.reason == "the work returned an error"


def test_a_refund_of_returned_work_that_fails_is_logged(
    scrip: Scrip, server: ScripInMemory, caplog: pytest.LogCaptureFixture
) -> None:
    with scrip.charge("chat", ACCOUNT_ID, refund_if=lambda: True):
        server.faults += [unreachable] * 8
    assert "credits may still be taken: refund entry" in caplog.text


def test_a_block_that_cannot_be_charged_does_not_run(scrip: Scrip, server: ScripInMemory) -> None:
    with pytest.raises(InsufficientCreditsError), scrip.charge(None, ACCOUNT_ID, amount=200):
        raise AssertionError("it runs")
    assert (len(server.keys), server.ledger) == (1, [])


def test_a_charge_is_for_one_block(scrip: Scrip, server: ScripInMemory) -> None:
    charge = scrip.charge("chat", ACCOUNT_ID)
    with charge:
        pass
    with pytest.raises(RuntimeError, match="one block"), charge:
        raise AssertionError("it runs")
    assert (len(server.keys), server.ledger) == (1, [("usage", -CHAT)])


def test_an_answer_about_another_entry_is_unreadable(scrip: Scrip, server: ScripInMemory) -> None:
    def of_another(answer: Callable[[], httpx.Response]) -> httpx.Response:
        text = answer().text.replace(server.newest.entry_id, "another")
        return httpx.Response(200, text=text)

    server.faults.append(of_another)
    with pytest.raises(UnreadableAnswerError), scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]
    server.faults.append(of_another)
    with pytest.raises(UnreadableAnswerError):
        scrip.entry(ACCOUNT_ID, server.newest.entry_id)


def test_a_block_that_raises_after_partial_refunds_is_refunded_the_rest(
    scrip: Scrip, server: ScripInMemory
) -> None:
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


def test_a_partial_refund_that_is_repeated_after_a_failure_counts_once(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.charge("chat", ACCOUNT_ID, quantity=4) as charge:
        server.faults += [answer_lost] * 8
        with pytest.raises(UnavailableError) as failed:
            charge.refund(5, reason="no answer")
        assert failed.value.idempotency_key == f"{charge.entry_id}.refund-1"
        for _ in range(2):
            charge.refund(5, reason="no answer")
    assert server.ledger == [("usage", -20), ("refund", 5), ("refund", 5)]


def test_a_charge_can_be_refunded_after_its_block(scrip: Scrip) -> None:
    with scrip.charge("chat", ACCOUNT_ID) as charge:
        pass
    posting = charge.refund(reason="not read")
    assert posting is not None
    assert posting.entry.amount == CHAT
    with pytest.raises(AlreadyRefundedError):
        charge.refund(1, reason="again")


def test_lost_answers_charge_once_and_refund_once(scrip: Scrip, server: ScripInMemory) -> None:
    server.faults += [answer_lost, unreachable, no_fault, answer_lost, no_fault]
    with pytest.raises(ModelError), scrip.charge("chat", ACCOUNT_ID):
        raise ModelError
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]
    key = server.keys[0]
    assert server.keys == [key, key, f"{key}.refund", f"{key}.refund"]


def test_a_refund_that_fails_leaves_a_note_and_a_log_line(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [no_fault, *[unreachable] * 8]
    with pytest.raises(ModelError) as raised, scrip.charge("chat", ACCOUNT_ID) as charge:
        raise ModelError
    [note] = raised.value.__notes__
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    for message in (note, record.getMessage()):
        assert f"refund entry {charge.entry_id} of account {ACCOUNT_ID}" in message
        assert f"idempotency key {charge.entry_id}.refund" in message
    by_hand = f"{charge.entry_id}.refund"
    scrip.refund(ACCOUNT_ID, charge.entry_id, "by hand", idempotency_key=by_hand)
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_a_refund_whose_key_is_taken_is_noted_unless_another_delivery_took_it(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    charge = scrip.charge("chat", ACCOUNT_ID, idempotency_key="job")
    with pytest.raises(ModelError), charge:  # noqa: PT012 - two steps
        scrip.refund(ACCOUNT_ID, "job", "another reason", idempotency_key="job.refund")
        raise ModelError
    assert caplog.text == ""
    server.is_older = True
    server.client("user").consume(ACCOUNT_ID, amount=1, idempotency_key="job.2.refund")
    with (
        pytest.raises(ModelError) as raised,
        scrip.charge("chat", ACCOUNT_ID, idempotency_key="job"),
    ):
        raise ModelError
    [note] = raised.value.__notes__
    assert "refund entry job.2 of account u1" in note
    assert note.endswith("job.2.refund, which is taken: choose another")


def test_an_exception_that_accepts_no_notes_is_still_raised(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [no_fault, *[unreachable] * 8]
    with pytest.raises(FrozenError), scrip.charge("chat", ACCOUNT_ID) as charge:
        raise FrozenError("no")
    assert f"refund entry {charge.entry_id}" in caplog.text


def test_a_forbidden_refund_does_not_hide_why_the_block_raised(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [no_fault, lambda _: httpx.Response(403, json={"code": "forbidden"})]
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
    assert set(server.keys) - {""} == {"job", "job.refund", "job.2", "job.2.refund", "job.3"}


def test_an_app_with_a_users_token_is_charged_once(server: ScripInMemory) -> None:
    scrip = server.client("user")
    server.faults.append(answer_lost)
    for _ in range(2):
        with scrip.charge("chat", ACCOUNT_ID, idempotency_key="job") as charge:
            assert charge.entry_id == "user:job"
    batch = scrip.consume_batch(ACCOUNT_ID, [{"amount": 1}, {"amount": 2}], idempotency_key="b")
    assert [entry.entry_id for entry in batch.entries] == ["user:b", "user:b~2"]
    assert server.ledger == [("usage", -CHAT), ("usage", -1), ("usage", -2)]


def test_a_charge_that_another_delivery_may_rely_on_is_not_refunded(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    with scrip.charge("chat", ACCOUNT_ID, idempotency_key="job"):
        server.faults += [answer_lost] * 8
        with pytest.raises(UnavailableError):
            scrip.charge("chat", ACCOUNT_ID, idempotency_key="job").__enter__()
    assert server.ledger == [("usage", -CHAT)]


def test_a_job_is_charged_and_refunded_a_limited_number_of_times(
    scrip: Scrip,
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("scrip_client.charges.ATTEMPTS_MAX", 2)
    for kind in (ModelError, ModelError, TooManyAttemptsError):
        with pytest.raises(kind), scrip.charge("chat", ACCOUNT_ID, idempotency_key="job"):
            raise ModelError
    assert len(server.ledger) == 4


def test_without_scrip_the_block_does_not_run_and_a_lost_charge_is_refunded(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    server.faults += [unreachable] * 8
    with pytest.raises(UnavailableError), scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert server.keys == []

    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError) as failed, scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert failed.value.may_have_taken_effect
    assert not hasattr(failed.value, "__notes__")
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


@pytest.mark.parametrize(
    "faults",
    [
        [replaced(302)],
        [replaced(403, json={"message": "Forbidden"})],
        [replaced(404, text="<html>")],
        [replaced(200, text="<html>")],
        [replaced(200, json={"entry": None, "account": None})],
        [replaced(408)] * 8,
        [replaced(501)] * 8,
        [replaced(524)] * 8,
        [answer_lost, lambda _: httpx.Response(403, json={"code": "forbidden"})],
    ],
)
def test_a_charge_answered_by_something_other_than_scrip_is_refunded(
    scrip: Scrip,
    server: ScripInMemory,
    faults: list[Fault],
) -> None:
    server.faults += faults
    with pytest.raises(ScripError) as failed, scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert failed.value.may_have_taken_effect
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


def test_a_charge_that_may_still_arrive_is_noted_and_logged(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [request_lost] * 8
    charge = scrip.charge("chat", ACCOUNT_ID)
    with pytest.raises(UnavailableError) as failed, charge:
        raise AssertionError("it runs")
    [note] = failed.value.__notes__
    [record] = caplog.records
    assert record.levelno == logging.WARNING
    for message in (note, record.getMessage()):
        assert f"if the charge still arrives, refund entry {charge.entry_id}" in message
        assert f"idempotency key {charge.entry_id}.refund" in message


def test_a_charge_that_was_never_sent_is_not_refunded(
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def ask(scrip: Scrip, kind: type[Exception], **use: Any) -> None:
        with pytest.raises(kind) as failed, scrip.charge("chat", ACCOUNT_ID, **use):
            raise AssertionError("it runs")
        assert not hasattr(failed.value, "__notes__")

    http = httpx.Client(transport=server, verify=False)
    server.faults.append(lambda _: httpx.Response(400, json={"error": "invalid_client"}))
    ask(Scrip("https://api.example", credentials=CREDENTIALS, http=http), TokenError)
    ask(Scrip("https://api.example", token="t", http=http), TypeError, metadata={"a": object()})
    http.close()
    ask(Scrip("https://api.example", token="t", http=http), RuntimeError)
    assert (server.keys, caplog.records) == ([], [])


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
    assert server.keys == []


def test_fail_open_does_not_ignore_refusals(scrip: Scrip) -> None:
    refused = scrip.charge(None, ACCOUNT_ID, amount=200, fail_open=True)
    with pytest.raises(InsufficientCreditsError), refused:
        raise AssertionError("it runs")


def test_fail_open_refunds_a_failed_block_if_a_lost_charge_was_made(
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
    assert "if the charge still arrives" in raised.value.__notes__[0]
    server.faults += [request_lost] * 8
    with scrip.charge("chat", ACCOUNT_ID, fail_open=True) as charge:
        assert charge.refund(1, reason="a part of nothing") is None
    assert len(server.ledger) == 2


def test_fail_open_ignores_a_partial_refund_that_fails(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    server.faults += [*[answer_lost] * 8, *[unreachable] * 8]
    with scrip.charge("chat", ACCOUNT_ID, fail_open=True) as charge:
        assert charge.refund(1, reason="blurred") is None
    assert f"{charge.entry_id}.refund-1" in caplog.text
    charge.refund(1, reason="blurred")
    assert server.ledger == [("usage", -CHAT), ("refund", 1)]
    assert server.newest.entry_id == f"{charge.entry_id}.refund-1"


@pytest.mark.parametrize("kind", [KeyboardInterrupt, ModelError, SoftLimit])
def test_an_interrupted_charge_is_refunded(
    scrip: Scrip,
    server: ScripInMemory,
    kind: type[BaseException],
) -> None:
    def interrupted(answer: Callable[[], httpx.Response]) -> httpx.Response:
        answer()
        raise kind

    server.faults.append(interrupted)
    with pytest.raises(kind), scrip.charge("chat", ACCOUNT_ID):
        raise AssertionError("it runs")
    assert server.ledger == [("usage", -CHAT), ("refund", CHAT)]


@pytest.mark.parametrize("moment", ["charging", "working", "refunding"])
def test_a_task_cancelled_at_any_moment_is_refunded(
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
    assert (len(server.keys), server.ledger) == (1, [])


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
        (SyntaxError("bad", ("f", 1, 2, "x y")), "SyntaxError: bad"),
    ],
)
def test_a_reason_is_the_exceptions_type_and_message_on_one_line(
    exc: BaseException,
    reason: str,
) -> None:
    assert reason_of(exc) == reason


def test_every_exception_has_a_reason_of_limited_length() -> None:
    assert "SpeechlessError" in reason_of(SpeechlessError())
    assert len(reason_of(ValueError("x" * 1_000))) == REASON_LENGTH_MAX
    noted = ValueError("said")
    noted.add_note("and noted")
    assert reason_of(noted) == "ValueError: said"

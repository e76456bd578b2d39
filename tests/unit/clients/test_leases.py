"""Leases as apps use them, from many threads or tasks of one process, until they are closed."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from time import sleep
from typing import TYPE_CHECKING, Any

import pytest

from scrip_client import InsufficientCreditsError, Scrip, UnavailableError
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import (
    ACCOUNT_ID,
    ScripInMemory,
    answer_lost,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_client import Lease

FOREVER = 1_000


def test_many_threads_use_exactly_the_available_credits(
    scrip: Scrip, server: ScripInMemory
) -> None:
    def use_up(lease: Lease) -> int:
        for number in range(FOREVER):
            try:
                lease.consume()
            except InsufficientCreditsError:
                return number
        raise AssertionError("there is no end")

    with scrip.lease(None, ACCOUNT_ID, slice_credits=20) as lease, ThreadPoolExecutor(16) as pool:
        used = sum(pool.map(use_up, [lease] * 16))
    assert (used, server.charged, server.account.balance) == (150, 150, 0)
    assert server.account.held == 0


def test_counted_uses_are_charged_in_the_background(scrip: Scrip, server: ScripInMemory) -> None:
    for seconds, uses in ((0.001, FOREVER), (FOREVER, 1)):
        lease = scrip.lease("chat", ACCOUNT_ID, capture_seconds=seconds, capture_uses=uses)
        before = server.charged
        lease.consume(2)
        while server.charged == before:
            sleep(0.001)
        lease.close()
    assert server.charged == 4 * 5
    assert server.account.held == 0


def test_an_unused_lease_sends_nothing(scrip: Scrip, server: ScripInMemory) -> None:
    with scrip.lease("chat", ACCOUNT_ID):
        pass
    assert server.keys == []


def test_a_closed_lease_counts_nothing(scrip: Scrip, server: ScripInMemory) -> None:
    lease = scrip.lease(None, ACCOUNT_ID)
    lease.consume()
    lease.close()
    lease.close()
    with pytest.raises(RuntimeError, match="closed"):
        lease.consume()
    assert server.charged == 1


def test_an_unanswered_close_can_be_repeated(
    scrip: Scrip,
    server: ScripInMemory,
) -> None:
    lease = scrip.lease(None, ACCOUNT_ID, capture_seconds=FOREVER)
    lease.consume(7)
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError, match="7 credits for 1 uses"):
        lease.close()
    lease.close()
    assert (server.charged, server.account.held) == (7, 0)


def test_an_unanswered_close_is_completed_in_the_background(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr("scrip_client.leases.atexit.register", at_exit.append)
    before = set(threading.enumerate())
    lease = scrip.lease(None, ACCOUNT_ID, capture_seconds=0.05)
    lease.consume(7)
    server.faults += [answer_lost] * 8
    with pytest.raises(UnavailableError):
        lease.close()
    [worker] = set(threading.enumerate()) - before
    worker.join()
    assert (server.charged, server.account.held) == (7, 0)
    caplog.clear()
    at_exit[0]()
    lease.close()
    assert caplog.text == ""


def test_a_block_that_raises_is_charged_for_its_uses(scrip: Scrip, server: ScripInMemory) -> None:
    with pytest.raises(KeyError), scrip.lease(None, ACCOUNT_ID) as lease:  # noqa: PT012 - two steps
        lease.consume(3)
        raise KeyError
    assert server.charged == 3


def test_invalid_options_and_uses_are_rejected(scrip: Scrip) -> None:
    no_terms: list[dict[str, Any]] = [
        {"slice_credits": 0},
        {"slice_credits": 1.5},
        {"slice_credits": "5"},
        {"expires_in": True},
        {"capture_uses": 0},
        {"capture_seconds": 0},
        {"capture_seconds": float("inf")},
        {"capture_seconds": float("nan")},
    ]
    for terms in no_terms:
        with pytest.raises(ValueError, match="a lease"):
            scrip.lease(None, ACCOUNT_ID, **terms)
    lease = scrip.lease(None, ACCOUNT_ID)
    mistakes: list[Any] = [0, -1, 1.5, "1", True]
    for units in mistakes:
        with pytest.raises(ValueError, match="whole number"):
            lease.consume(units)


def test_closing_the_client_before_the_lease_logs_what_is_uncharged(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr("scrip_client.leases.atexit.register", at_exit.append)
    lease = scrip.lease(None, ACCOUNT_ID, capture_seconds=0.05)
    lease.consume(7)
    scrip.close()
    while len(caplog.records) < 2:
        sleep(0.001)
    at_exit[0]()
    assert "Could not close" in caplog.text
    assert "7 credits for 1 uses may not be charged yet" in caplog.text
    with pytest.raises(RuntimeError, match="closed"):
        lease.close()


def test_a_fork_cannot_use_its_parents_lease(
    scrip: Scrip,
    server: ScripInMemory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with scrip.lease(None, ACCOUNT_ID) as lease:
        lease.consume(3)
        monkeypatch.setattr("scrip_client.leases.os.getpid", lambda: 1)
        with pytest.raises(RuntimeError, match="fork"):
            lease.consume()
        lease.close()
        assert server.charged == 0
        monkeypatch.undo()
    assert server.charged == 3


def test_a_lease_left_open_at_exit_is_logged_and_charged(
    scrip: Scrip,
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    at_exit: list[Callable[[], None]] = []
    monkeypatch.setattr("scrip_client.leases.atexit.register", at_exit.append)
    scrip.lease(None, ACCOUNT_ID).consume(7)
    [leave] = at_exit
    leave()
    [record] = caplog.records
    assert (record.levelno, server.charged) == (logging.WARNING, 7)


def test_the_async_lease_behaves_the_same(
    server: ScripInMemory,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def session() -> None:
        async with server.async_client() as scrip:

            async def use_up() -> int:
                for number in range(FOREVER):
                    try:
                        await lease.consume()
                    except InsufficientCreditsError:
                        return number
                raise AssertionError("there is no end")

            lease = scrip.lease(None, ACCOUNT_ID, slice_credits=20)
            async with lease:
                used = await asyncio.gather(*[use_up() for _ in range(16)])
                assert sum(used) == 150
            server.client().refund(ACCOUNT_ID, server.newest.entry_id, "a gift", 10)
            forgotten = scrip.lease(None, ACCOUNT_ID, slice_credits=10)
            server.keys.clear()
            await asyncio.gather(*[forgotten.consume() for _ in range(4)])
            assert len(server.keys) == 1
        assert "4 credits for 4 uses may not be charged yet" in caplog.text

    run(session())
    assert (server.charged, server.account.balance) == (140, 10)

"""Tokens are fetched when needed, and kept until shortly before they expire."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qs

import httpx
import pytest

from scrip_client import Retries, Scrip, TokenError, UnavailableError, UnreadableAnswerError
from tests.unit.clients.conftest import ACCOUNT, CREDENTIALS, Answers, Clock

type Connect = Callable[..., Scrip]


def test_a_token_is_used_until_shortly_before_it_expires(connect: Connect, clock: Clock) -> None:
    answers = Answers([200])
    scrip = connect(answers, credentials=CREDENTIALS)
    for now, fetched in ((0, 1), (89.9, 1), (90, 2), (179.9, 2), (180, 3)):
        clock.now = now
        scrip.balance("alice")
        assert answers.tokens == fetched, now


def test_concurrent_threads_fetch_one_token(connect: Connect) -> None:
    barrier = threading.Barrier(8)
    fetched: list[httpx.Request] = []

    def answers(request: httpx.Request) -> httpx.Response:
        if request.url == CREDENTIALS.token_url:
            fetched.append(request)
            return httpx.Response(200, json={"access_token": "t", "expires_in": 3600})
        return httpx.Response(200, json=ACCOUNT)

    scrip = connect(answers, credentials=CREDENTIALS)

    def ask(_: int) -> int:
        barrier.wait()
        return scrip.balance("alice").balance

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [10] * 8
    [request] = fetched
    assert parse_qs(request.content.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["scrip/service"],
    }
    assert request.headers["Authorization"] == "Basic c2VydmljZTpzZWNyZXQ="


def test_refused_credentials_raise_a_token_error(connect: Connect, clock: Clock) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        return httpx.Response(400, json={"error": "invalid_client"})

    with pytest.raises(TokenError, match="invalid_client"):
        connect(refuse, credentials=CREDENTIALS).consume("alice", "chat")


def test_refused_credentials_do_not_hide_that_an_earlier_try_may_have_taken_effect(
    connect: Connect,
    clock: Clock,
) -> None:
    answers = Answers([httpx.ReadTimeout("silent"), 401])

    def revoked(request: httpx.Request) -> httpx.Response:
        if request.url == CREDENTIALS.token_url and answers.tokens == 1:
            return httpx.Response(400, json={"error": "invalid_client"})
        return answers(request)

    with pytest.raises(TokenError) as refused:
        connect(revoked, credentials=CREDENTIALS).consume("alice", "chat")
    assert refused.value.may_have_taken_effect


def test_an_unreachable_token_endpoint_is_retried_within_the_same_limits(
    connect: Connect,
    clock: Clock,
) -> None:
    requests: list[httpx.Request] = []

    def away(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        raise httpx.ReadTimeout("silent")

    retries = Retries(tries_max=3)
    with pytest.raises(UnavailableError, match=r"auth\.example") as failed:
        connect(away, credentials=CREDENTIALS, retries=retries).consume("alice", "chat")
    assert len(requests) == 3
    assert not failed.value.may_have_taken_effect


@pytest.mark.parametrize(
    "body",
    ["<html>", "[]", "{}", '{"access_token": "t", "expires_in": "x"}', "[" * 100_000],
)
def test_an_answer_without_a_token_is_unreadable(connect: Connect, clock: Clock, body: str) -> None:
    def answers(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, text=body)

    with pytest.raises(UnreadableAnswerError, match="no token"):
        connect(answers, credentials=CREDENTIALS).balance("alice")


def test_a_secret_is_not_in_the_repr() -> None:
    assert "secret" not in repr(CREDENTIALS).replace("client_secret", "")

"""Calls are retried within limits, under one key, and errors admit what is unknown."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from scrip_client import (
    ApiError,
    BusyError,
    HoldRateLimitedError,
    Retries,
    Scrip,
    ScripError,
    ServerError,
    UnauthorizedError,
    UnavailableError,
    UnreadableAnswerError,
)
from tests.unit.clients.conftest import CREDENTIALS, Answers, Clock

type Connect = Callable[..., Scrip]

UNREACHED, SILENT = httpx.ConnectError("refused"), httpx.ReadTimeout("silent")
FORBIDDEN = {"code": "forbidden"}


def asked_key(answers: Answers) -> str:
    """The idempotency key of the last request."""
    return answers.requests[-1].headers["Idempotency-Key"]


def test_a_call_is_retried_with_the_same_key_until_it_is_answered(
    connect: Connect,
    clock: Clock,
) -> None:
    answers = Answers([UNREACHED, SILENT, 429, 500, 502, 503, 402])
    with pytest.raises(ApiError) as refused:
        connect(answers).consume("alice", "chat")
    assert refused.value.status == 402
    assert len(answers.requests) == 7
    assert len({request.headers["Idempotency-Key"] for request in answers.requests}) == 1
    assert len({request.content for request in answers.requests}) == 1
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0]


def test_each_call_has_its_own_key(connect: Connect, clock: Clock) -> None:
    answers = Answers([402])
    for _ in range(2):
        with pytest.raises(ApiError):
            connect(answers).consume("alice", "chat")
    assert len({request.headers["Idempotency-Key"] for request in answers.requests}) == 2


def test_a_retry_waits_as_long_as_retry_after_asks(connect: Connect, clock: Clock) -> None:
    busy = httpx.Response(503, headers={"Retry-After": "3"}, json={"code": "busy"})
    assert connect(Answers([busy, 200])).balance("alice").balance == 10
    assert clock.slept == [3.1]


def test_a_call_fails_at_once_if_retry_after_is_past_its_deadline(
    connect: Connect, clock: Clock
) -> None:
    away = httpx.Response(503, headers={"Retry-After": "3600"}, json={"code": "busy"})
    answers = Answers([away])
    with pytest.raises(UnavailableError) as failed:
        connect(answers).balance("alice")
    assert (len(answers.requests), clock.slept) == (1, [])
    assert isinstance(failed.value.__cause__, BusyError)


def test_the_deadline_limits_the_total_time_of_all_tries(clock: Clock, connect: Connect) -> None:
    allowed: list[float] = []

    def silent(request: httpx.Request) -> httpx.Response:
        allowed.append(request.extensions["timeout"]["read"])
        clock.now += allowed[-1]
        raise httpx.ReadTimeout("silent")

    with pytest.raises(UnavailableError):
        connect(silent, retries=Retries(deadline_seconds=7, try_seconds=3)).balance("alice")
    assert allowed == pytest.approx([3, 3, 0.7])
    assert clock.now == pytest.approx(7)


def test_the_number_of_tries_is_limited(connect: Connect, clock: Clock) -> None:
    answers = Answers([503])
    with pytest.raises(UnavailableError, match="in 3 tries"):
        connect(answers, retries=Retries(tries_max=3, deadline_seconds=1000)).balance("alice")
    assert len(answers.requests) == 3


@pytest.mark.parametrize(
    ("turns", "may_have"),
    [
        ([UNREACHED], False),
        ([httpx.ConnectTimeout("slow")], False),
        ([429], False),
        ([SILENT], True),
        ([httpx.RemoteProtocolError("cut off")], True),
        ([500], True),
        ([503], True),
        ([504], True),
        ([524], True),
        ([SILENT, UNREACHED], True),
    ],
)
def test_unavailable_says_whether_the_call_may_have_taken_effect(
    connect: Connect,
    clock: Clock,
    turns: list[int | Exception],
    may_have: bool,  # noqa: FBT001
) -> None:
    answers = Answers([*turns])
    with pytest.raises(UnavailableError) as failed:
        connect(answers).consume("alice", "chat")
    assert failed.value.may_have_taken_effect is may_have
    assert failed.value.idempotency_key == asked_key(answers)
    with pytest.raises(UnavailableError) as failed:
        connect(Answers([*turns])).balance("alice")
    assert (failed.value.may_have_taken_effect, failed.value.idempotency_key) == (False, None)


@pytest.mark.parametrize("options", [{}, {"credentials": CREDENTIALS}])
@pytest.mark.parametrize("refusal", [401, 403, 404, httpx.Response(403, json=FORBIDDEN)])
def test_a_refusal_does_not_hide_that_an_earlier_try_may_have_taken_effect(
    connect: Connect,
    clock: Clock,
    refusal: int | httpx.Response,
    options: dict[str, Any],
) -> None:
    answers = Answers([SILENT, refusal])
    with pytest.raises(ApiError) as refused:
        connect(answers, **options).consume("alice", "chat")
    assert refused.value.may_have_taken_effect
    assert refused.value.idempotency_key == asked_key(answers)


@pytest.mark.parametrize(
    ("turn", "may_have"),
    [
        (httpx.Response(403, json=FORBIDDEN), False),
        (httpx.Response(500, json={"code": "corrupt_account"}), False),
        (401, False),
        (httpx.Response(403, headers={"x-amzn-ErrorType": "AccessDeniedException"}), False),
        (httpx.Response(502, headers={"x-amzn-ErrorType": "InternalFailure"}), True),
        (302, True),
        (403, True),
        (httpx.Response(404, text="[" * 100_000), True),
        (httpx.Response(402, json={"code": 7}), True),
        (httpx.Response(200, text="<html>"), True),
        (httpx.DecodingError("not gzip"), True),
    ],
)
def test_only_a_refusal_by_scrip_itself_rules_out_an_effect(
    connect: Connect,
    turn: int | Exception | httpx.Response,
    may_have: bool,  # noqa: FBT001
) -> None:
    with pytest.raises(ScripError) as failed:
        connect(Answers([turn])).consume("alice", "chat")
    assert failed.value.may_have_taken_effect is may_have


def test_corrupt_data_is_not_retried(connect: Connect, clock: Clock) -> None:
    answers = Answers([httpx.Response(500, json={"code": "corrupt_account"})])
    with pytest.raises(ServerError):
        connect(answers).balance("alice")
    assert len(answers.requests) == 1


def test_an_hourly_rate_limit_is_raised_at_once(connect: Connect, clock: Clock) -> None:
    problem = {"code": "hold_rate_limited", "calls_max": 600, "retry_after": 2}
    answers = Answers([httpx.Response(429, headers={"Retry-After": "2"}, json=problem)])
    with pytest.raises(HoldRateLimitedError) as limited:
        connect(answers).open_hold("alice", amount=1)
    assert (limited.value.retry_after, limited.value.may_have_taken_effect) == (2, False)
    assert (len(answers.requests), clock.slept) == (1, [])


def test_a_mistake_in_the_program_is_not_retried(connect: Connect, clock: Clock) -> None:
    answers = Answers([httpx.LocalProtocolError("illegal header value")])
    with pytest.raises(httpx.LocalProtocolError):
        connect(answers).balance("alice")
    assert len(answers.requests) == 1


def test_a_client_needs_a_url_and_either_a_token_or_credentials() -> None:
    http = httpx.Client(verify=False)
    with pytest.raises(ValueError, match="https://"):
        Scrip("api.example", token="t", http=http)
    with pytest.raises(ValueError, match="token"):
        Scrip("https://api.example", http=http)
    with pytest.raises(ValueError, match="token"):
        Scrip("https://api.example", token="t", credentials=CREDENTIALS, http=http)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(200, text="<html>"),
        httpx.Response(200, text="[]"),
        httpx.Response(200, text="{}"),
        httpx.Response(200, text='{"account_id": "alice", "period": 1}'),
        httpx.Response(200, text="[" * 100_000),
        httpx.Response(402, json={"code": "insufficient_credits", "next_reset_at": 1}),
        httpx.DecodingError("not gzip"),
    ],
)
def test_an_answer_that_is_not_scrips_is_unreadable(
    connect: Connect,
    answer: httpx.Response | Exception,
) -> None:
    with pytest.raises(UnreadableAnswerError):
        connect(Answers([answer])).balance("alice")


def test_an_answer_about_another_account_is_unreadable(connect: Connect) -> None:
    scrip = connect(Answers([200]))
    assert scrip.balance("me").account_id == "alice"
    with pytest.raises(UnreadableAnswerError, match="something else"):
        scrip.balance("bob")


def test_a_refused_token_is_replaced_once(connect: Connect, clock: Clock) -> None:
    answers = Answers([401, 200])
    assert connect(answers, credentials=CREDENTIALS).balance("alice").balance == 10
    sent = [request.headers["Authorization"] for request in answers.requests]
    assert sent == ["Bearer t1", "Bearer t2"]

    answers = Answers([401])
    with pytest.raises(UnauthorizedError):
        connect(answers, credentials=CREDENTIALS).balance("alice")
    assert (len(answers.requests), answers.tokens) == (2, 2)

    answers = Answers([401])
    with pytest.raises(UnauthorizedError):
        connect(answers).balance("alice")
    assert len(answers.requests) == 1


def test_path_segments_are_quoted_and_missing_fields_are_not_sent(connect: Connect) -> None:
    answers = Answers([402])
    with pytest.raises(ApiError):
        connect(answers).quote("auth0|a/b", "chat")
    [request] = answers.requests
    assert request.url.raw_path == b"/v1/accounts/auth0%7Ca%2Fb/quote"
    assert (request.method, request.content) == ("POST", b'{"feature": "chat"}')

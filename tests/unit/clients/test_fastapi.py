"""FastAPI routes that charge. FastAPI reads annotations, so they are not postponed here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from scrip_client import AsyncCharge
from scrip_client.fastapi import add_problem_handlers, charged
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, ScripInMemory, unreachable


def signed_in() -> str:
    return ACCOUNT_ID


def app_of(server: ScripInMemory) -> FastAPI:
    scrip = server.async_client()
    app = FastAPI()
    add_problem_handlers(app)
    chat = charged(scrip, "chat", account_id=signed_in)
    everything = charged(scrip, None, account_id=signed_in, amount=150)

    @app.post("/answers")
    async def answer(charge: Annotated[AsyncCharge, Depends(chat)]) -> dict[str, int]:
        assert charge.account is not None
        return {"credits_left": charge.account.available}

    @app.post("/broken", dependencies=[Depends(chat)])
    async def break_down() -> None:
        raise HTTPException(status_code=422, detail="no question")

    @app.post("/streamed")
    async def stream(charge: Annotated[AsyncCharge, Depends(chat)]) -> StreamingResponse:
        async def words() -> AsyncIterator[bytes]:
            yield b"well, "
            raise ConnectionError("the model went away")

        return StreamingResponse(words())

    @app.post("/endless", dependencies=[Depends(chat)])
    async def go_on() -> StreamingResponse:
        async def words() -> AsyncIterator[bytes]:
            while True:
                yield b"and "
                await asyncio.sleep(0)

        return StreamingResponse(words())

    @app.post("/everything", dependencies=[Depends(everything)])
    async def take_everything() -> None: ...

    return app


async def hang_up(server: ScripInMemory, spec_version: str) -> None:
    """Request an endless answer, and disconnect after its first words."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "method": "POST",
        "path": "/endless",
        "query_string": b"",
        "headers": [],
    }
    heard = asyncio.Event()

    async def receive() -> dict[str, str]:
        await heard.wait()
        return {"type": "http.disconnect"}

    async def send(message: Mapping[str, Any]) -> None:
        if heard.is_set() and spec_version == "2.4":
            raise OSError
        if message.get("body"):
            heard.set()

    with suppress(ClientDisconnect):
        await app_of(server)(scope, receive, send)


def post(server: ScripInMemory, path: str) -> httpx.Response:
    async def posted() -> httpx.Response:
        transport = httpx.ASGITransport(app_of(server), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="https://app.example") as http:
            return await http.post(path)

    return run(posted())


def test_a_route_is_charged_and_receives_the_remaining_balance(server: ScripInMemory) -> None:
    answer = post(server, "/answers")
    assert (answer.status_code, answer.json()) == (200, {"credits_left": 145})
    assert server.ledger == [("usage", -5)]


def test_a_route_that_raises_is_refunded_and_its_answer_is_unchanged(server: ScripInMemory) -> None:
    answer = post(server, "/broken")
    assert (answer.status_code, answer.json()) == (422, {"detail": "no question"})
    assert server.ledger == [("usage", -5), ("refund", 5)]
    assert server.newest.reason == "fastapi.exceptions.HTTPException: 422: no question"


def test_a_stream_that_breaks_off_is_refunded(server: ScripInMemory) -> None:
    post(server, "/streamed")
    assert server.ledger == [("usage", -5), ("refund", 5)]


@pytest.mark.parametrize(
    ("spec_version", "ledger"),
    [("2.3", [("usage", -5)]), ("2.4", [("usage", -5), ("refund", 5)])],
)
def test_an_abandoned_stream_is_refunded_only_if_the_server_raises(
    server: ScripInMemory,
    spec_version: str,
    ledger: list[tuple[str, int]],
) -> None:
    run(hang_up(server, spec_version))
    assert server.ledger == ledger


def test_insufficient_credits_is_a_402_with_scrips_problem(server: ScripInMemory) -> None:
    post(server, "/answers")
    answer = post(server, "/everything")
    assert answer.status_code == 402
    assert answer.headers["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "insufficient_credits"
    assert (problem["required"], problem["available"], problem["shortfall"]) == (150, 145, 5)
    assert "next_reset_at" in problem


def test_without_scrip_a_route_answers_503(server: ScripInMemory) -> None:
    server.faults += [unreachable] * 8
    answer = post(server, "/answers")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) > 0
    assert server.ledger == []

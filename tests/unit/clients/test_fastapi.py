"""FastAPI routes that charge. FastAPI reads annotations, so they are not postponed here."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Annotated, Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect

from scrip_client import AsyncCharge, AsyncHold, AsyncScrip
from scrip_client.fastapi import add_problem_handlers, charged, held
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, ScripInMemory, unreachable


def signed_in() -> str:
    return ACCOUNT_ID


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"and "
        await asyncio.sleep(0)


def add_streams(app: FastAPI, scrip: AsyncScrip) -> None:
    chat = charged(scrip, "chat", account_id=signed_in)
    pages = held(scrip, "chat", account_id=signed_in, quantity=10)

    @app.post("/endless", dependencies=[Depends(chat)])
    @app.post("/uncounted", dependencies=[Depends(pages)])
    async def go_on() -> StreamingResponse:
        return StreamingResponse(endless())

    @app.post("/counted")
    async def count(hold: Annotated[AsyncHold, Depends(pages)]) -> StreamingResponse:
        async def words() -> AsyncIterator[bytes]:
            hold.use(1)
            async for word in endless():
                yield word

        return StreamingResponse(words())

    @app.post("/pages")
    async def write(hold: Annotated[AsyncHold, Depends(pages)], pages: int = 0) -> None:
        if pages < 0:
            raise HTTPException(status_code=422, detail="no pages")
        if pages:
            hold.use(pages)


def app_of(server: ScripInMemory) -> FastAPI:
    scrip = server.async_client()
    app = FastAPI()
    add_problem_handlers(app)
    chat = charged(scrip, "chat", account_id=signed_in)
    chat_unless_failed = charged(
        scrip, "chat", account_id=signed_in, refund_if=lambda status: status >= 500
    )
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

    @app.post("/slow", dependencies=[Depends(chat)])
    async def wait() -> None:
        await asyncio.Event().wait()

    @app.post("/returned", dependencies=[Depends(chat_unless_failed)])
    async def fail_quietly(status: int) -> Response:
        return Response(status_code=status)

    @app.post("/everything", dependencies=[Depends(everything)])
    async def take_everything() -> None: ...

    add_streams(app, scrip)
    return app


def scope_of(path: str, spec_version: str) -> dict[str, Any]:
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": spec_version},
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": [],
    }


async def hang_up(server: ScripInMemory, path: str, spec_version: str) -> None:
    """Request an endless answer, and disconnect after its first words."""
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
        await app_of(server)(scope_of(path, spec_version), receive, send)


def post(
    server: ScripInMemory, path: str, app: FastAPI | None = None, *, raises: bool = False
) -> httpx.Response:
    async def posted() -> httpx.Response:
        transport = httpx.ASGITransport(app or app_of(server), raise_app_exceptions=raises)
        async with httpx.AsyncClient(transport=transport, base_url="https://app.example") as http:
            return await http.post(path)

    return run(posted())


def test_a_route_is_charged_and_receives_the_remaining_balance(server: ScripInMemory) -> None:
    answer = post(server, "/answers")
    assert (answer.status_code, answer.json()) == (200, {"credits_left": 145})
    assert server.ledger == [("usage", -5)]


@pytest.mark.parametrize("dependency", [charged, held])
def test_the_ledger_names_the_endpoint_and_no_parameters_value(
    server: ScripInMemory, dependency: Any
) -> None:
    chat = dependency(
        server.async_client(), "chat", account_id=signed_in, reference="run-1", metadata={"run": 7}
    )
    router = APIRouter()

    @router.post("/chats/{chat_id}", dependencies=[Depends(chat)])
    async def answer(chat_id: str) -> None: ...

    app = FastAPI()
    add_problem_handlers(app)
    app.include_router(router, prefix="/v1")
    assert post(server, "/v1/chats/c-42?for=me", app).status_code == 200
    assert server.newest.metadata == {"run": 7, "endpoint": "POST /v1/chats/{chat_id}"}
    assert server.newest.reference == "run-1"


def test_a_route_that_raises_is_refunded_and_its_answer_is_unchanged(server: ScripInMemory) -> None:
    answer = post(server, "/broken")
    assert (answer.status_code, answer.json()) == (422, {"detail": "no question"})
    assert server.ledger == [("usage", -5), ("refund", 5)]
    assert server.newest.reason == "fastapi.exceptions.HTTPException: 422: no question"


def test_a_stream_that_breaks_off_is_refunded(server: ScripInMemory) -> None:
    post(server, "/streamed")
    assert server.ledger == [("usage", -5), ("refund", 5)]


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
def test_a_stream_that_its_reader_left_stays_charged(
    server: ScripInMemory, spec_version: str
) -> None:
    run(hang_up(server, "/endless", spec_version))
    assert server.ledger == [("usage", -5)]


@pytest.mark.parametrize("spec_version", ["2.3", "2.4"])
@pytest.mark.parametrize(
    ("path", "ledger"),
    [
        ("/counted", [("hold", 0), ("release", 0), ("usage", -5)]),
        ("/uncounted", [("hold", 0), ("release", 0)]),
    ],
)
def test_a_held_stream_that_its_reader_left_is_charged_for_what_was_reported(
    server: ScripInMemory, path: str, ledger: list[tuple[str, int]], spec_version: str
) -> None:
    run(hang_up(server, path, spec_version))
    assert server.ledger == ledger


def test_a_task_cancelled_by_the_server_is_refunded_until_its_answer_begins(
    server: ScripInMemory,
) -> None:
    async def cancelled(path: str) -> None:
        begun = asyncio.Event()

        async def send(message: Mapping[str, Any]) -> None:
            if message.get("body"):
                begun.set()

        async def never() -> dict[str, str]:
            server.under_way.set()
            await asyncio.Event().wait()
            raise AssertionError

        task = asyncio.create_task(app_of(server)(scope_of(path, "2.4"), never, send))
        await (begun.wait() if path == "/endless" else asyncio.sleep(0.05))
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    run(cancelled("/slow"))
    assert server.ledger == [("usage", -5), ("refund", 5)]
    run(cancelled("/endless"))
    assert server.ledger[2:] == [("usage", -5)]


def test_a_held_route_is_charged_for_what_it_reports_or_for_all(server: ScripInMemory) -> None:
    assert post(server, "/pages?pages=3").status_code == 200
    assert post(server, "/pages").status_code == 200
    assert post(server, "/pages?pages=-1").status_code == 422
    taken = [amount for kind, amount in server.ledger if kind == "usage"]
    assert (taken, server.account.held) == ([-15, -50], 0)


def test_a_held_stream_is_refused_before_it_begins(server: ScripInMemory) -> None:
    post(server, "/everything")
    answer = post(server, "/counted")
    assert (answer.status_code, answer.json()["code"]) == (402, "insufficient_credits")
    assert answer.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize(("status", "kept"), [(200, 5), (404, 5), (500, 0), (502, 0)])
def test_an_answer_that_is_an_error_is_refunded_if_the_app_says_so(
    server: ScripInMemory, status: int, kept: int
) -> None:
    assert post(server, f"/returned?status={status}").status_code == status
    assert server.charged == kept


def test_an_app_that_records_no_answers_is_a_mistake(server: ScripInMemory) -> None:
    app = FastAPI()
    for name, dependency in {
        "held": held(server.async_client(), "chat", account_id=signed_in),
        "charged": charged(
            server.async_client(), "chat", account_id=signed_in, refund_if=lambda _: True
        ),
    }.items():
        app.post(f"/{name}", dependencies=[Depends(dependency)])(lambda: None)
        with pytest.raises(RuntimeError, match=r"add_problem_handlers\(app\)"):
            post(server, f"/{name}", app, raises=True)
    assert server.ledger == []


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

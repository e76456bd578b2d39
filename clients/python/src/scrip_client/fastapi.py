"""Dependencies that charge for a FastAPI route, and the answers to users whose charge fails.

What may refuse runs before the route returns, so a user without credits gets a 402, and not the
beginning of a stream. The entries' metadata names the endpoint, such as `POST /chats/{chat_id}`.
Only this module needs FastAPI: `pip install "scrip-client[fastapi]"`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from typing import Annotated, Any, Unpack

from fastapi import Depends, FastAPI, Request, Response

from scrip_client.calls import HOLD_SECONDS, Use, with_called
from scrip_client.charges import AsyncCharge
from scrip_client.client import AsyncScrip
from scrip_client.holding import AsyncHold
from scrip_client.problems import USER_ERRORS, problem_answer

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

ANSWER = "scrip_client.answer"
"""Where a request's scope has its `Answer`."""


@dataclass
class Answer:
    """What was sent of a route's answer."""

    status: int | None = None
    is_complete: bool = False


class ReaderLeft(GeneratorExit):
    """The client disconnected before the answer was complete."""


def charged(
    scrip: AsyncScrip,
    feature: str | None,
    *,
    account_id: Callable[..., Any],
    fail_open: bool = False,
    refund_if: Callable[[int], object] | None = None,
    **use: Unpack[Use],
) -> Callable[..., AsyncIterator[AsyncCharge]]:
    """Return a dependency that charges before a route runs, and refunds if the route raises.

    `account_id` is a dependency that returns the signed-in user's id. `refund_if` is asked with the
    status of the answer: if it returns true, the credits are given back, too. A client that
    disconnects while the answer is sent stays charged. The route receives the `AsyncCharge`.
    """

    async def charge(
        request: Request,
        account: Annotated[str, Depends(account_id)],
    ) -> AsyncIterator[AsyncCharge]:
        answer = request.scope.get(ANSWER, Answer()) if refund_if is None else _answer_to(request)

        def is_error() -> object:
            return refund_if and answer.status is not None and refund_if(answer.status)

        charge = scrip.charge(
            feature, account, fail_open=fail_open, refund_if=is_error, **_for(request, use)
        )
        async with AsyncExitStack() as block:
            await block.enter_async_context(charge)
            try:
                yield charge
            except asyncio.CancelledError:
                if answer.status is not None:
                    # The answer is left, so it stays charged.
                    block.pop_all()
                raise

    return charge


def held(
    scrip: AsyncScrip,
    feature: str | None,
    *,
    account_id: Callable[..., Any],
    expires_in: int = HOLD_SECONDS,
    fail_open: bool = False,
    **use: Unpack[Use],
) -> Callable[..., AsyncIterator[AsyncHold]]:
    """Return a dependency that holds credits before a route runs, and charges after its answer.

    `account_id` is a dependency that returns the signed-in user's id. The route receives the
    `AsyncHold`, and reports what it used. One that reports nothing is charged for all that was
    held, and one that raises for nothing. If the client disconnects before the end of the answer,
    what was reported is charged.
    """

    async def hold(
        request: Request,
        account: Annotated[str, Depends(account_id)],
    ) -> AsyncIterator[AsyncHold]:
        answer = _answer_to(request)
        hold = scrip.hold(
            feature, account, expires_in=expires_in, fail_open=fail_open, **_for(request, use)
        )
        with suppress(ReaderLeft):
            async with hold:
                yield hold
                if not answer.is_complete:
                    raise ReaderLeft

    return hold


def add_problem_handlers(app: FastAPI) -> None:
    """Answer `USER_ERRORS` with Scrip's own problems, such as 402 with the missing credits.

    It also lets `held` and `refund_if` know what was sent.
    """
    for error in USER_ERRORS:
        app.add_exception_handler(error, _problem)
    app.add_middleware(_AnswerKeeper)


class _AnswerKeeper:
    """An ASGI application that records what another one answers."""

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app

    async def __call__(
        self, scope: Message, receive: Callable[[], Awaitable[Message]], send: Send
    ) -> None:
        answer = scope[ANSWER] = Answer()

        async def recording(message: Message) -> None:
            answer.status = message.get("status", answer.status)
            await send(message)
            is_last = message["type"] == "http.response.body" and not message.get("more_body")
            answer.is_complete |= is_last or message["type"] == "http.response.pathsend"

        await self._app(scope, receive, recording)


def _for(request: Request, use: Use) -> Use:
    """Return a use whose metadata names the endpoint: its template, as a path may name its user."""
    # Of a router that was included, only the context knows with which prefix.
    included = request.scope.get("fastapi", {}).get("effective_route_context")
    path = (included or request.scope["route"]).path
    return with_called(use, endpoint=f"{request.method} {path}")


def _answer_to(request: Request) -> Answer:
    """Return what is sent of the answer.

    Raises:
        RuntimeError: nobody records it.
    """
    answer: Answer | None = request.scope.get(ANSWER)
    if answer is None:
        raise RuntimeError("call add_problem_handlers(app) when you create the app")
    return answer


async def _problem(_: Request, error: Exception) -> Response:
    answer = problem_answer(error)
    return Response(answer.body, answer.status, headers=answer.headers)

"""A dependency that charges for a FastAPI route, and the answers to users whose charge fails.

Only this module needs FastAPI: `pip install "scrip-client[fastapi]"`.
"""

from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any, Unpack

from fastapi import Depends, FastAPI, Request, Response

from scrip_client.calls import Use
from scrip_client.charges import AsyncCharge
from scrip_client.client import AsyncScrip
from scrip_client.problems import USER_ERRORS, problem_answer


def charged(
    scrip: AsyncScrip,
    feature: str | None,
    *,
    account_id: Callable[..., Any],
    fail_open: bool = False,
    **use: Unpack[Use],
) -> Callable[..., AsyncIterator[AsyncCharge]]:
    """Return a dependency that charges before a route runs, and refunds if the route raises.

    `account_id` is a dependency that returns the signed-in user's id. The route receives the
    `AsyncCharge`.
    """

    async def charge(
        account: Annotated[str, Depends(account_id)],
    ) -> AsyncIterator[AsyncCharge]:
        async with scrip.charge(feature, account, fail_open=fail_open, **use) as charge:
            yield charge

    return charge


def add_problem_handlers(app: FastAPI) -> None:
    """Answer `USER_ERRORS` with Scrip's own problems, such as 402 with the missing credits."""
    for error in USER_ERRORS:
        app.add_exception_handler(error, _problem)


async def _problem(_: Request, error: Exception) -> Response:
    answer = problem_answer(error)
    return Response(answer.body, answer.status, headers=answer.headers)

"""Streams a model's answers, and charges the users for the tokens of each."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.responses import StreamingResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi.staticfiles import StaticFiles
from openai import AsyncOpenAI

from scrip_client import AsyncScrip, UnauthorizedError
from scrip_client.fastapi import add_problem_handlers

http = httpx.AsyncClient()
scrip = AsyncScrip.from_env(http=http)
model = AsyncOpenAI()  # It reads OPENAI_BASE_URL and OPENAI_API_KEY.


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Close the connections when the app ends."""
    async with model, scrip:
        yield


app = FastAPI(lifespan=lifespan)
add_problem_handlers(app)


async def signed_in(
    bearer: Annotated[HTTPAuthorizationCredentials, Depends(HTTPBearer())],
) -> str:
    """Return the account of the user whose token this is. Scrip verifies the token."""
    user = AsyncScrip(os.environ["SCRIP_API_URL"], token=bearer.credentials, http=http)
    try:
        account = await user.balance("me")
    except UnauthorizedError as error:
        raise HTTPException(401, "Sign in again: your token is not valid.") from error
    return account.account_id


@app.post("/answers")
async def post_answer(
    question: Annotated[str, Body(embed=True, min_length=1, max_length=4_000)],
    account_id: Annotated[str, Depends(signed_in)],
) -> StreamingResponse:
    """Answer a question. A user without credits gets a 402 before the model is asked."""
    charged = scrip.wrap(model, feature="openai.gpt-6.1-sol", account_id=account_id)
    stream = await charged.chat.completions.create(
        model="gpt-6.1-sol",
        messages=[{"role": "user", "content": question}],
        max_completion_tokens=500,
        stream=True,
    )

    async def text() -> AsyncIterator[str]:
        async with stream:  # If the user leaves, this charges for what was delivered.
            async for chunk in stream:
                if chunk.choices:
                    yield chunk.choices[0].delta.content or ""

    return StreamingResponse(text(), media_type="text/plain")


@app.get("/config.json")
def config() -> dict[str, str]:
    """Return what the page needs to sign users in and to show their credits. Nothing is secret."""
    names = ("SCRIP_API_URL", "SCRIP_ENDPOINT_URL", "SCRIP_CLIENT_ID")
    api_url, cognito_url, client_id = (os.environ[name] for name in names)
    return {"apiUrl": api_url, "cognitoUrl": cognito_url, "clientId": client_id}


app.mount("/", StaticFiles(directory=Path(__file__).parent / "page", html=True))

"""Calls under IAM: the function URLs of a stack, and the signature of each request to them.

Needs the extra `aws`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping

    from botocore.credentials import Credentials, ReadOnlyCredentials

SIGNED_HEADERS = ("Content-Type", "Idempotency-Key")
"""Headers that nobody may change on the way, beside those that every signature covers."""


class Signature(httpx.Auth):
    """Signs each try of a request (Signature Version 4), with credentials that stay fresh.

    If they cannot be renewed, the try fails as one that could not connect: nothing was sent.
    """

    def __init__(self, credentials: Credentials, region: str) -> None:
        """Take credentials that renew themselves, as those that boto3 finds do."""
        self._credentials = credentials
        self._region = region

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Sign a request."""
        self._sign(request, self._renewed())
        yield request

    async def async_auth_flow(
        self, request: httpx.Request
    ) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Sign a request; other tasks go on while credentials are renewed."""
        self._sign(request, await asyncio.to_thread(self._renewed))
        yield request

    def _renewed(self) -> ReadOnlyCredentials:
        try:
            return self._credentials.get_frozen_credentials()
        except (BotoCoreError, ClientError) as exc:
            raise httpx.ConnectError(f"there are no credentials: {exc}") from exc

    def _sign(self, request: httpx.Request, credentials: ReadOnlyCredentials) -> None:
        signed = AWSRequest(
            method=request.method,
            url=str(request.url),
            data=request.content,
            headers={
                name: request.headers[name] for name in SIGNED_HEADERS if name in request.headers
            },
        )
        SigV4Auth(credentials, "lambda", self._region).add_auth(signed)
        request.headers.update(signed.headers.items())


def function_urls(stack: str, region: str | None) -> tuple[Callable[[str], str], Signature]:
    """Return what gives a path of the API its address in a stack, and what signs the requests.

    Raises:
        ValueError: the stack has no function URLs.
        botocore.exceptions.BotoCoreError: there are no credentials, or no region.
        botocore.exceptions.ClientError: the stack does not exist, or may not be read.
    """
    session = boto3.Session(region_name=region)
    cloudformation = session.client("cloudformation")
    [described] = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    outputs = {one["OutputKey"]: one["OutputValue"] for one in described.get("Outputs", [])}
    if "ConsumeUrl" not in outputs:
        raise ValueError(f"the stack {stack} has no function URLs: deploy it with IamCallers=On")
    credentials = session.get_credentials()
    assert credentials is not None, "the call to CloudFormation was signed with them"
    return addresses(outputs), Signature(credentials, cloudformation.meta.region_name)


def addresses(outputs: Mapping[str, str]) -> Callable[[str], str]:
    """Return what gives a path of the API its address, by the outputs of a stack."""

    def address_of(path: str) -> str:
        return f"{outputs[output_of(path)].rstrip('/')}/{path}"

    return address_of


def output_of(path: str) -> str:
    """Return the stack output with the URL of the function that answers a path of the API."""
    match path.split("/"):
        case ["v1", "accounts", _, "quote" | "consume" | "holds", *_]:
            return "ConsumeUrl"
        case ["v1", "accounts", _, "refunds"]:
            return "RefundUrl"
        case ["v1", "accounts", *_]:
            return "AccountUrl"
        case _:
            return "CatalogUrl"

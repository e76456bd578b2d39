"""Signatures of requests to function URLs; tests/integration/test_iam.py has them verified."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import httpx
import pytest
from botocore.credentials import Credentials, ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError

from scrip_client import Retries, UnavailableError, calls
from scrip_client.aws import Signature
from scrip_client.caller import Caller, api_at
from scrip_client.transport import BlockingTransport, finish
from tests.event_loops import run

URL = "https://abc.lambda-url.eu-central-1.on.aws/v1/accounts/auth0%7C1/consume"


@dataclass
class RenewedCredentials:
    """Credentials that are others each time they are asked for."""

    times: int = 0

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.times += 1
        return ReadOnlyCredentials("key", "secret", f"session-{self.times}")


def request() -> httpx.Request:
    headers = {"Idempotency-Key": "job-7", "Content-Type": "application/json"}
    return httpx.Request("POST", URL, headers=headers, content=b"{}")


def answer(sent: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={**sent.headers})


def test_each_try_is_signed_with_the_credentials_of_the_moment() -> None:
    signature = Signature(cast("Credentials", RenewedCredentials()), "eu-central-1")
    again = request()
    with httpx.Client(
        transport=httpx.MockTransport(answer), auth=signature, verify=False, trust_env=False
    ) as http:
        first, second = http.send(again).json(), http.send(again).json()
    assert first["x-amz-security-token"] == "session-1"
    assert second["x-amz-security-token"] == "session-2"
    assert first["authorization"] != second["authorization"]


def test_a_signature_covers_what_the_request_asks_for() -> None:
    async def sent() -> httpx.Response:
        signature = Signature(cast("Credentials", RenewedCredentials()), "eu-central-1")
        async with httpx.AsyncClient(
            transport=httpx.MockTransport(answer), auth=signature, verify=False, trust_env=False
        ) as http:
            return await http.send(request())

    signature = run(sent()).json()["authorization"]
    assert "/eu-central-1/lambda/aws4_request" in signature
    assert (
        "SignedHeaders=content-type;host;idempotency-key;x-amz-date;x-amz-security-token"
        in signature
    )


class NoCredentials:
    """Credentials that cannot be renewed."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        raise CredentialRetrievalError(provider="container-role", error_msg="a timeout")


def test_a_call_without_credentials_was_never_sent() -> None:
    signature = Signature(cast("Credentials", NoCredentials()), "eu-central-1")
    with httpx.Client(
        transport=httpx.MockTransport(answer), auth=signature, verify=False, trust_env=False
    ) as http:
        transport = BlockingTransport(http)
        caller = Caller(api_at("https://api.example"), transport, None, Retries(tries_max=2))
        with pytest.raises(UnavailableError, match="container-role") as failed:
            finish(caller.send(calls.consume("alice", "chat")))
    assert not failed.value.may_have_taken_effect

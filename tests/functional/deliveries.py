"""Messages delivered to the webhook function as their providers would, through API Gateway."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from scrip.webhooks.providers import Provider
from scrip_cli.webhooks.signing import sign
from tests.functional.conftest import Answer, documented, event, invoke
from tests.unit.webhooks.examples import SECRETS


class Clock:
    """A clock that shows the time that is set."""

    now = datetime(2026, 11, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


def signed(
    provider: Provider,
    raw: bytes,
    secret: str,
    *,
    message_id: str = "msg_1",
    ago: timedelta = timedelta(0),
) -> dict[str, str]:
    at = datetime.now(UTC) - ago
    headers: dict[str, str] = sign(provider, raw, secret, message_id=message_id, at=at)
    return headers


def deliver(
    provider: Provider,
    payload: Any,
    *,
    headers: dict[str, str] | None = None,
    secret: str | None = None,
    message_id: str = "msg_1",
    in_base64: bool = False,
) -> Answer:
    """Send a payload as its provider would, or with other headers or another secret."""
    sent = event("webhook/request")
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    if headers is None:
        headers = signed(provider, raw, secret or SECRETS[provider], message_id=message_id)
    del sent["headers"]["stripe-signature"]
    sent["headers"] |= headers
    sent["pathParameters"]["provider"] = provider
    sent["rawPath"] = sent["requestContext"]["http"]["path"] = f"/v1/webhooks/{provider}"
    sent["isBase64Encoded"] = in_base64
    sent["body"] = base64.b64encode(raw).decode() if in_base64 else raw.decode()
    answer = invoke("webhook", sent)
    content = json.loads(answer["body"])
    content_type = answer["headers"]["Content-Type"]
    documented(sent["routeKey"], answer["statusCode"], content_type).validate(content)
    return Answer(answer["statusCode"], answer["headers"], content)

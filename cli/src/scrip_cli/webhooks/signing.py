"""Signs a webhook's body as a provider would, to send test events."""

import base64
import hashlib
import hmac
from datetime import datetime

from scrip.webhooks.providers import Provider


def sign(
    provider: Provider,
    body: bytes,
    secret: str,
    *,
    message_id: str,
    at: datetime,
) -> dict[str, str]:
    """Return the headers that sign a body; Stripe's message ID is in the body.

    Raises:
        ValueError: the secret is not base64, where it should be.
    """
    seconds = str(int(at.timestamp()))
    key, prefix = provider.scheme.key(secret), provider.scheme.headers
    if provider.scheme.is_stripes:
        signature = _digest(key, f"{seconds}.", body).hex()
        return {"stripe-signature": f"t={seconds},v1={signature}"}
    signature = base64.b64encode(_digest(key, f"{message_id}.{seconds}.", body)).decode()
    return {
        f"{prefix}-id": message_id,
        f"{prefix}-timestamp": seconds,
        f"{prefix}-signature": f"v1,{signature}",
    }


def _digest(key: bytes, prefix: str, body: bytes) -> bytes:
    return hmac.new(key, prefix.encode() + body, hashlib.sha256).digest()

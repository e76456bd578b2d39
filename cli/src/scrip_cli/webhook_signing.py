"""Signs a webhook's body as a provider would, to send test events with."""

import base64
import hashlib
import hmac
from datetime import datetime

from scrip.webhooks.messages import Provider

_SECRET_PREFIX = "whsec_"  # noqa: S105  what comes before a secret


def sign(
    provider: Provider,
    body: bytes,
    secret: str,
    *,
    message_id: str,
    at: datetime,
) -> dict[str, str]:
    """Return the headers that prove a body; Stripe's message id is in the body, not in them."""
    seconds = str(int(at.timestamp()))
    if provider is Provider.STRIPE:
        proof = _digest(secret.encode(), f"{seconds}.", body).hex()
        return {"stripe-signature": f"t={seconds},v1={proof}"}
    encoded = secret.startswith(_SECRET_PREFIX) and provider is not Provider.POLAR
    key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX)) if encoded else secret.encode()
    proof = base64.b64encode(_digest(key, f"{message_id}.{seconds}.", body)).decode()
    prefix = "svix" if provider is Provider.CLERK else "webhook"
    return {
        f"{prefix}-id": message_id,
        f"{prefix}-timestamp": seconds,
        f"{prefix}-signature": f"v1,{proof}",
    }


def _digest(key: bytes, prefix: str, body: bytes) -> bytes:
    return hmac.new(key, prefix.encode() + body, hashlib.sha256).digest()

"""Signatures: whether a message comes from its provider, and was sent just now.

Only this module and `functions/admin/stripe_api.py` need the providers' libraries.
"""

import re
import time
from collections.abc import Mapping, Sequence

from standardwebhooks import Webhook, WebhookVerificationError
from standardwebhooks.webhooks import EmptyWebhookSecretError
from stripe import SignatureVerificationError, WebhookSignature

from scrip.domain.errors import SignatureError
from scrip.webhooks.messages import Scheme

TOLERANCE_SECONDS = 300
"""How far a message's time may be from now, either way."""

# The libraries accept more than they should: 1e9, NaN, spaces, digits of other scripts.
EPOCH_SECONDS = re.compile(r"[1-9][0-9]{0,10}")
STRIPE_TIMESTAMP = re.compile(r"(?:^|,)t=([1-9][0-9]{0,10})(?=,|\Z)")


def verify(
    scheme: Scheme,
    headers: Mapping[str, str],
    body: bytes,
    secrets: Sequence[str],
) -> None:
    """Return if the body was signed with one of the secrets within the last 5 minutes.

    Raises:
        SignatureError: it was not, or headers are missing or malformed.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        text = body.decode()
    except UnicodeDecodeError as exc:
        raise SignatureError from exc
    if scheme.is_stripes:
        _verify_stripe(given.get("stripe-signature", ""), text, secrets)
    else:
        signed = {
            f"webhook-{name}": given.get(f"{scheme.headers}-{name}", "")
            for name in ("id", "timestamp", "signature")
        }
        _verify_standard(signed, text, scheme, secrets)


def _verify_stripe(header: str, text: str, secrets: Sequence[str]) -> None:
    times = STRIPE_TIMESTAMP.findall(header)
    # The library refuses what is too old, but not what is too new.
    if not header.isascii() or len(times) != 1 or int(times[0]) > time.time() + TOLERANCE_SECONDS:
        raise SignatureError
    for secret in secrets:
        try:
            WebhookSignature.verify_header(text, header, secret, TOLERANCE_SECONDS)
        except SignatureVerificationError:
            continue
        return
    raise SignatureError


def _verify_standard(
    signed: dict[str, str],
    text: str,
    scheme: Scheme,
    secrets: Sequence[str],
) -> None:
    if not EPOCH_SECONDS.fullmatch(signed["webhook-timestamp"]):
        raise SignatureError
    for secret in secrets:
        try:
            Webhook(scheme.key(secret)).verify(text, signed, json_parse=False)
        # ValueError: a signature or a secret that is not base64 or ASCII, or not a list of them.
        except (WebhookVerificationError, EmptyWebhookSecretError, ValueError):
            continue
        return
    raise SignatureError

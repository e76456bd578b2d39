"""Messages: what a provider sent, read from its headers and body but not yet translated."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

SECRET_PREFIX = "whsec_"  # noqa: S105 - what comes before a secret


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message. `message_id` is the provider's, and the same when the provider sends it again.

    `sent_at` is when the provider says that it happened. `payload` is the whole body.
    """

    provider: str
    message_id: str
    type: str
    payload: Mapping[str, Any]
    sent_at: datetime

    @property
    def inbox_id(self) -> str:
        """The message's ID in the inbox."""
        return f"{self.provider}:{self.message_id}"


@dataclass(eq=False)
class IgnoredError(Exception):
    """The message is valid, and has nothing to do with credits."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Scheme:
    """How a provider signs and wraps its messages.

    The headers are `<headers>-id`, `<headers>-timestamp` and `<headers>-signature`, as in
    https://www.standardwebhooks.com. Stripe has only the last; its ID and time are in the body.
    `key` makes the HMAC key from a secret, `path` leads to the event's object within the payload.
    """

    headers: str = "webhook"
    key: Callable[[str], bytes]
    path: tuple[str, ...] = ("data",)

    @property
    def is_stripes(self) -> bool:
        """Whether all but the signature is in the body."""
        return self.headers == "stripe"


def base64_key(secret: str) -> bytes:
    """Decode a secret of Standard Webhooks, with or without its prefix and padding.

    Raises:
        ValueError: it is not base64.
    """
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX) + "==")

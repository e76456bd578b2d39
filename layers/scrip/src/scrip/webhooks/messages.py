"""Messages: what a provider sent, taken out of headers and body and not yet translated."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from scrip.domain.errors import PayloadError
from scrip.webhooks.shapes import Instant, Shape, read


class Provider(StrEnum):
    """Who sends messages; the last part of the path that they are sent to."""

    STRIPE = "stripe"
    CLERK = "clerk"
    STANDARD = "standard"
    POLAR = "polar"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A message: `message_id` is the provider's, and the same when it is sent again.

    `sent_at` is when the provider says that it happened, `payload` the whole body.
    """

    provider: Provider
    message_id: str
    type: str
    payload: Mapping[str, Any]
    sent_at: datetime


@dataclass(eq=False)
class IgnoredError(Exception):
    """The message is understood, and tells nothing about credits."""

    reason: str


class Envelope(Shape):
    """What all providers tell, wherever they put it."""

    message_id: Annotated[str, Field(pattern="^[!-~]{1,256}$")]
    type: Annotated[str, Field(min_length=1, max_length=256)]
    sent_at: Instant


def read_message(provider: Provider, headers: Mapping[str, str], body: bytes) -> Message:
    """Read a message whose signature was verified, or one that was kept.

    Raises:
        PayloadError: it is no JSON object, or lacks what every message has.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise PayloadError("the body is not JSON") from exc
    if not isinstance(payload, dict):
        raise PayloadError("the body is not a JSON object")
    given = {name.lower(): value for name, value in headers.items()}
    # A header's time is that of the attempt, the body's that of what happened.
    match provider:
        case Provider.STRIPE:
            message_id, sent_at = payload.get("id"), payload.get("created")
        case Provider.CLERK:
            # What an event has no id for of its own, its delivery has.
            message_id = given.get("svix-id")
            sent_at = payload.get("timestamp") or given.get("svix-timestamp")
        case Provider.STANDARD | Provider.POLAR:
            message_id = given.get("webhook-id")
            sent_at = payload.get("timestamp") or given.get("webhook-timestamp")
    told = {"message_id": message_id, "type": payload.get("type"), "sent_at": sent_at}
    envelope = read(Envelope, told)
    return Message(
        provider=provider,
        message_id=envelope.message_id,
        type=envelope.type,
        payload=payload,
        sent_at=envelope.sent_at,
    )

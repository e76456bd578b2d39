"""The registry of providers: who sends messages, and how to read and translate them.

To add one, add its module and one line here, sample events and tests, and its part of
docs/reference/webhooks.md. Its secrets are then found under its name.
"""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field

from scrip.domain.entries import is_text
from scrip.domain.errors import PayloadError
from scrip.webhooks import clerk, polar, standard, stripe
from scrip.webhooks.facts import Fact
from scrip.webhooks.messages import IgnoredError, Message, Scheme
from scrip.webhooks.shapes import Event, Instant, Shape, read
from scrip.webhooks.stripe_lists import with_whole_lists


class Provider(StrEnum):
    """A sender of messages; the last part of the path that it sends them to.

    `events` are the types that Scrip handles; `kind.*` stands for all events of a kind.
    """

    scheme: Scheme
    events: Mapping[str, type[Event]]

    STRIPE = "stripe", stripe.SCHEME, stripe.EVENTS
    CLERK = "clerk", clerk.SCHEME, clerk.EVENTS
    STANDARD = "standard", standard.SCHEME, standard.EVENTS
    POLAR = "polar", polar.SCHEME, polar.EVENTS

    # Not (name, scheme, events): mypy takes Provider("stripe") for a call of this.
    def __new__(cls, name: str, *row: Any) -> Self:
        """Make a member from its line."""
        provider = str.__new__(cls, name)
        provider._value_ = name
        provider.scheme, provider.events = row
        return provider


class Envelope(Shape):
    """What every message has, wherever its provider puts it."""

    message_id: Annotated[str, Field(pattern="^[!-~]{1,256}$")]
    type: Annotated[str, Field(min_length=1, max_length=256)]
    sent_at: Instant


def read_message(provider: Provider, headers: Mapping[str, str], body: bytes) -> Message:
    """Read a message whose signature has been verified.

    Raises:
        PayloadError: it is not a JSON object, or lacks what every message has.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError) as exc:
        raise PayloadError("the body is not JSON") from exc
    if not isinstance(payload, dict):
        raise PayloadError("the body is not a JSON object")
    if provider.scheme.is_stripes:
        message_id, sent_at = payload.get("id"), payload.get("created")
    else:
        given, prefix = (
            {name.lower(): value for name, value in headers.items()},
            provider.scheme.headers,
        )
        message_id = given.get(f"{prefix}-id")
        # A header's time is that of the attempt, the body's that of what happened.
        sent_at = payload.get("timestamp") or given.get(f"{prefix}-timestamp")
    found = {"message_id": message_id, "type": payload.get("type"), "sent_at": sent_at}
    return Message(provider=provider, payload=payload, **dict(read(Envelope, found)))


def facts_of(message: Message) -> tuple[Fact, ...]:
    """Return what a message says, at least one fact.

    What Stripe has left out of its lists is fetched.

    Raises:
        IgnoredError: it has nothing to do with credits; the reason says why.
        ProviderBusyError: the rest of a list cannot be fetched right now.
        PayloadError: it lacks something that it needs, and the reason says where; or it contains
            a lone surrogate, which neither a key nor an entry can hold.
    """
    if not is_text(message.payload):
        raise PayloadError("half a character (a lone surrogate) is not text")
    provider = Provider(message.provider)
    kind = message.type.rpartition(".")[0]
    shape = provider.events.get(message.type) or provider.events.get(f"{kind}.*")
    if shape is None:
        raise IgnoredError(f"Scrip does not use {message.type} events")
    if provider is Provider.STRIPE:
        stripe.check_source(message.payload)
    event = read(shape, message.payload, *provider.scheme.path)
    if event.cut_lists:
        whole = with_whole_lists(message.payload, event.cut_lists)
        event = read(shape, whole, *provider.scheme.path)
    return tuple(event.facts(message))

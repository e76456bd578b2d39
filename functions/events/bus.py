"""The stack's EventBridge bus, which receives events in order and at least once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scrip.aws import client
from scrip.domain.entries import canonical_json
from scrip.domain.errors import BusyError
from scrip.retrying import retrying
from scrip.store.client import CONFIG, answered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_boto3_events import EventBridgeClient

    from functions.events.events import Event

SOURCE = "scrip"
"""The source of every event."""

EVENTS_MAX = 10
"""The most events that one call may carry."""

TRIES_MAX = 4
BACKOFF_SECONDS = 0.05
"""The pause after try n is up to BACKOFF * 2^n."""


@dataclass(frozen=True)
class Bus:
    """The bus: its client and its name."""

    client: EventBridgeClient
    name: str


def open_bus(name: str) -> Bus:
    """Return the bus of a name."""
    return Bus(client("events", CONFIG), name)


def publish(bus: Bus, events: Sequence[Event]) -> list[int]:
    """Send events in order; return the positions of those that the bus did not accept."""
    return [
        position
        for first in range(0, len(events), EVENTS_MAX)
        for position in _send(bus, events, range(first, min(first + EVENTS_MAX, len(events))))
    ]


def _send(bus: Bus, events: Sequence[Event], positions: Sequence[int]) -> Sequence[int]:
    """Send up to EVENTS_MAX events, and again those that are refused; return what is left."""
    left = positions

    def send() -> None:
        nonlocal left
        with answered():
            answer = bus.client.put_events(
                Entries=[_entry(bus, events[position]) for position in left],
            )
        results = zip(left, answer["Entries"], strict=True)
        left = [position for position, result in results if "ErrorCode" in result]
        if left:
            raise BusyError

    with suppress(BusyError):
        retrying(send, tries=TRIES_MAX, backoff=BACKOFF_SECONDS)
    return left


def _entry(bus: Bus, event: Event) -> Any:
    return {
        "EventBusName": bus.name,
        "Source": SOURCE,
        "DetailType": event.name,
        "Detail": canonical_json(event.detail).decode(),
    }

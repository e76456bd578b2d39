"""Sample messages of all providers from `events/webhook`, unchanged or with changes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scrip.domain.naming import Names
from scrip.webhooks.facts import Fact
from scrip.webhooks.messages import Message
from scrip.webhooks.providers import Provider, facts_of, read_message
from scrip_cli.webhooks.signing import sign

EVENTS = Path(__file__).parents[3] / "events" / "webhook"

ALICE = "5d1f0c7e-9d4e-4c7e-8a55-0a6d3f1b2c3d"
"""The account in all of them; Clerk has IDs of its own."""

SECRETS = {
    Provider.STRIPE: "whsec_stripe_0123456789abcdef",
    Provider.CLERK: "whsec_c2NyaXAgY2xlcmsgc2VjcmV0IDAxMjM0NTY3ODk=",
    Provider.STANDARD: "whsec_c2NyaXAgc3RhbmRhcmQgc2VjcmV0IDAxMjM0NTY=",
    Provider.POLAR: "polar_whs_0123456789abcdefghijklmnopqrstuv",
}

SENT_AT = datetime(2027, 1, 1, tzinfo=UTC)
"""When a provider tries to deliver a message, long after what happened."""


def body(provider: Provider, name: str) -> Any:
    """Read `events/webhook/<provider>/<name>.json`."""
    return json.loads((EVENTS / provider / f"{name}.json").read_text())


def message(provider: Provider, payload: Any) -> Message:
    """Read a payload as delivered with the headers of its provider."""
    sent = json.dumps(payload).encode()
    headers = sign(provider, sent, SECRETS[provider], message_id="msg_01", at=SENT_AT)
    return read_message(provider, headers, sent)


def translated(provider: Provider, payload: Any) -> tuple[Fact, ...]:
    """Return the facts that a payload states."""
    return facts_of(message(provider, payload))


def named(**ranked: str) -> Names:
    """Return names with at most one of each rank: `accounts`, `subscriptions` and so on."""
    return Names(**{rank: (name,) for rank, name in ranked.items()})


def sample(provider: Provider, name: str, *, of: str = "data", **changes: Any) -> tuple[Fact, ...]:
    """Return the facts that a sample states, with changes to the fields at a path."""
    payload = body(provider, name)
    place = payload
    for step in filter(None, of.split(".")):
        place = place[int(step)] if step.isdigit() else place[step]
    place |= changes
    return translated(provider, payload)


def day(month: int, of_month: int, seconds: float = 0) -> datetime:
    """Return a day of the story's winter, 2026 or early 2027, with seconds past midnight."""
    midnight = datetime(2026 + (month < 10), month, of_month, tzinfo=UTC)
    return datetime.fromtimestamp(midnight.timestamp() + seconds, UTC)

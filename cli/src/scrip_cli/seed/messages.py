"""Messages of billing providers: one for each way in which a message can end."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from scrip.domain.entries import iso
from scrip.store.inbox import InboxRecord
from scrip.webhooks.providers import Provider


@dataclass(frozen=True, slots=True, kw_only=True)
class SentMessage:
    """A message, and its provider's ID for it."""

    provider: Provider
    message_id: str
    payload: dict[str, Any]

    @property
    def body(self) -> bytes:
        """The body as it is sent."""
        return json.dumps(self.payload, separators=(",", ":")).encode()


def interrupted(account_id: str, at: datetime) -> InboxRecord:
    """Return a message that was kept, but whose function died before it was applied."""
    data = {"payment_id": f"demo-kept-{at.date()}", "account_id": account_id, "credits": 500}
    sent = _standard("interrupted", {"type": "credits.purchased", "data": data}, at)
    return InboxRecord(
        inbox_id=f"{sent.provider}:{sent.message_id}",
        type=sent.payload["type"],
        payload=sent.body,
        sent_at=at,
        received_at=at,
        changed_at=at,
    )


def messages(account_id: str, at: datetime) -> Iterator[SentMessage]:
    """Yield messages of a day: about an account, about nobody known, and about nothing of ours."""
    day = at.date()
    pack = {"credits": 2_000, "money": 3_500, "currency": "usd"}
    sent = {
        "purchase": {
            "type": "credits.purchased",
            "data": {"payment_id": f"demo-pack-{day}", "account_id": account_id, **pack},
        },
        "unknown-customer": {
            "type": "credits.purchased",
            "data": {"payment_id": f"demo-lost-{day}", "email": "somebody@example.net", **pack},
        },
        "unreadable": {
            "type": "credits.purchased",
            "data": {"payment_id": f"demo-text-{day}", "account_id": account_id, "credits": "many"},
        },
        "unknown-plan": {
            "type": "subscription.renewed",
            "data": {
                "invoice_id": f"demo-gold-{day}",
                "subscription_id": "demo-gold",
                "account_id": account_id,
                "plan": "price_not_in_the_catalog",
                "period_start": iso(at),
                "period_end": iso(at.replace(year=at.year + 1, day=min(at.day, 28))),
                "money": 19_000,
                "currency": "usd",
            },
        },
    }
    for name, payload in sent.items():
        yield _standard(name, payload, at)
    product = f"evt_demo_{day:%Y%m%d}"
    yield SentMessage(
        provider=Provider.STRIPE,
        message_id=product,
        payload={
            "id": product,
            "type": "product.updated",
            "created": int(at.timestamp()),
            "data": {"object": {"id": "prod_demo", "object": "product"}},
        },
    )


def _standard(name: str, payload: dict[str, Any], at: datetime) -> SentMessage:
    return SentMessage(
        provider=Provider.STANDARD,
        message_id=f"demo-{at.date()}-{name}",
        payload={**payload, "timestamp": iso(at)},
    )

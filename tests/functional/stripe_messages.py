"""A customer's life in Stripe's messages: the events of `events/webhook/stripe`, filled in.

Every item of a subscription has prices of its own, as two items never have the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scrip.domain.commands import FollowSubscription, PayTerms, TakeBack
from scrip.domain.payments import DisputeOutcome, RefundStatus
from scrip.webhooks.providers import Provider
from tests.unit.domain.entitlement.lives import PRICES
from tests.unit.domain.entitlement.oracle import seconds
from tests.unit.webhooks.examples import body

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scrip.domain.terms import Line
    from tests.unit.domain.entitlement.lives import Life, Message

type Payload = dict[str, Any]

DISPUTES = {
    DisputeOutcome.OPEN: "dispute_created",
    DisputeOutcome.LOST: "dispute_closed_lost",
    DisputeOutcome.WON: "dispute_closed_won",
}
REFUNDS = {RefundStatus.SUCCEEDED: "refund_created", RefundStatus.FAILED: "refund_failed"}
CUSTOMER = "cus_Life"


@dataclass(frozen=True)
class Stripe:
    """Stripe, with the shapes of an API version before or since 2025-03-31."""

    account_id: str
    is_new: bool

    def messages(self, life: Life) -> list[tuple[datetime, Payload]]:
        """Return all events of a life, and when each is heard of."""
        messages = [
            (message.heard, payload) for message in life.messages for payload in self.of(message)
        ]
        for number, (_, payload) in enumerate(messages):
            payload["id"] = f"evt_{number}"
        return messages

    def of(self, message: Message) -> Iterator[Payload]:
        """Yield the events of a message."""
        match message.command:
            case PayTerms() as paid:
                yield self._invoice(paid, message.at)
                if paid.money and self.is_new:
                    yield self._invoice_payment(paid, message.at)
            case FollowSubscription() as state:
                yield self._subscription(state)
            case TakeBack() as back:
                yield self._money_back(back, message.at)

    def _event(self, sample: str, at: datetime, *, is_in_both: bool = False) -> Payload:
        """Return a sample as of an instant; some have the same shape in both versions."""
        shape = "" if self.is_new or is_in_both else "_before_2025_03_31"
        payload: Payload = body(Provider.STRIPE, f"{sample}{shape}")
        return payload | {"created": seconds(at)}

    def _invoice(self, paid: PayTerms, at: datetime) -> Payload:
        payload = self._event("invoice_paid", at)
        invoice = payload["data"]["object"]
        subscription = {"subscription": paid.subscription_id}
        details = {"metadata": {"account_id": self.account_id}}
        invoice |= {"id": paid.entry_id, "customer": CUSTOMER}
        invoice |= {"total": paid.money, "amount_paid": paid.money}
        if self.is_new:
            invoice["parent"]["subscription_details"] = details | subscription
        else:
            invoice |= charge_of(paid.entry_id) | subscription | {"subscription_details": details}
        invoice["lines"]["data"] = [self._line(line, subscription) for line in paid.lines]
        return payload

    def _invoice_payment(self, paid: PayTerms, at: datetime) -> Payload:
        payload = self._event("invoice_payment_paid", at, is_in_both=True)
        payment = {"invoice": paid.entry_id, "payment": charge_of(paid.entry_id)}
        payload["data"]["object"] |= payment
        return payload

    def _line(self, line: Line, subscription: dict[str, str]) -> Payload:
        """Return a line of an invoice. That of a proration may name no item, but only its price."""
        has_item = not line.item_id.startswith("price:")
        sample = "invoice_paid" if has_item else "invoice_paid_upgrade"
        shown: Payload = self._event(sample, line.start)["data"]["object"]["lines"]["data"][0]
        amount = PRICES[line.plan_id] * line.quantity
        price_id = f"price:{line.item_id}:{line.plan_id}" if has_item else line.item_id
        product_id = f"prod_{line.plan_id}"
        about = subscription | {"proration": line.prorated}
        item = {"subscription_item": line.item_id} if has_item else {}
        shown |= {
            "amount": -amount if line.credited else amount,
            "quantity": line.quantity,
            "period": {"start": seconds(line.start), "end": seconds(line.end)},
        }
        if self.is_new:
            shown["parent"][shown["parent"]["type"]] |= about | item
            shown["pricing"]["price_details"] = {"price": price_id, "product": product_id}
        else:
            del shown["subscription_item"]
            shown |= about | item | {"type": "invoiceitem" if line.prorated else "subscription"}
            for name in ("plan", "price"):
                shown[name] |= {"id": price_id, "product": product_id}
        return shown

    def _subscription(self, state: FollowSubscription) -> Payload:
        kind = "deleted" if state.ended else "updated"
        payload = self._event(f"subscription_{kind}", state.at)
        payload["data"]["object"] |= {
            "id": state.subscription_id,
            "status": state.status,
            "customer": CUSTOMER,
            "metadata": {"account_id": self.account_id},
        }
        return payload

    def _money_back(self, back: TakeBack, at: datetime) -> Payload:
        charge = charge_of(back.payment_id)
        if back.total is not None:
            payload = self._event("charge_refunded_of_invoice", at)
            invoice = {} if self.is_new else {"invoice": back.payment_id}
            payload["data"]["object"] |= invoice | {
                "id": charge["charge"],
                "payment_intent": charge["payment_intent"],
                "amount_refunded": back.total,
            }
            return payload
        if back.outcome is not None:
            sample, own_id = DISPUTES[back.outcome], back.dispute_id
        else:
            sample, own_id = REFUNDS[back.status], back.refund_id
        payload = self._event(sample, at, is_in_both=True)
        payload["data"]["object"] |= charge | {"id": own_id, "amount": back.money}
        return payload


def charge_of(payment_id: str) -> dict[str, str]:
    """Return the names by which refunds and disputes know a payment."""
    return {"payment_intent": f"pi_{payment_id}", "charge": f"ch_{payment_id}"}

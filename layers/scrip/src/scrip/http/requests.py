"""From a request to a command: what every command takes from whoever asks and how."""

from typing import Any

from ulid import ULID

from scrip.domain.commands import OpenAccount
from scrip.http.models import CommandRequest
from scrip.http.principals import Caller
from scrip.ledger import opening


def command_fields(
    caller: Caller,
    body: CommandRequest,
    idempotency_key: str | None,
) -> dict[str, Any]:
    """Return the fields of `Command`; without a key of the caller's own, a ULID names it."""
    return {
        "account_id": caller.account_id,
        "entry_id": idempotency_key or str(ULID()),
        "keyed": idempotency_key is not None,
        "actor": caller.actor,
        "reason": body.reason,
        "reference": body.reference,
        "metadata": body.metadata,
    }


def opening_for(caller: Caller) -> OpenAccount | None:
    """Return what opens a signed-in user's own account on their first call; None for others'."""
    return opening(caller.account_id) if caller.is_owner else None

"""Cursors: where the next page begins, opaque and good for one question only."""

import base64
import binascii
import hashlib
import json
from typing import Any

from scrip.domain.entries import canonical_json
from scrip.domain.errors import InvalidCursorError

DIGEST_BYTES = 8
"""How much of a cursor tells which question it belongs to."""


def seal(question: object, place: object) -> str:
    """Return a cursor at a place of the answer to a question, both of them JSON."""
    told = canonical_json(place)
    return base64.urlsafe_b64encode(_digest(question, told) + told).decode().rstrip("=")


def unseal(question: object, cursor: str) -> Any:
    """Return the place that a cursor stands at.

    Raises:
        InvalidCursorError: it was not made for this question.
    """
    try:
        decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except (binascii.Error, ValueError) as exc:
        raise InvalidCursorError from exc
    digest, told = decoded[:DIGEST_BYTES], decoded[DIGEST_BYTES:]
    if digest != _digest(question, told):
        raise InvalidCursorError
    return json.loads(told)


def _digest(question: object, told: bytes) -> bytes:
    return hashlib.sha256(canonical_json(question) + b"\0" + told).digest()[:DIGEST_BYTES]

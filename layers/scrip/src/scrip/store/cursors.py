"""Cursors: opaque positions in a list, each good for one query only."""

import base64
import hashlib
import json
from typing import Any

from scrip.domain.entries import canonical_json
from scrip.domain.errors import InvalidCursorError

DIGEST_BYTES = 8
"""How many bytes at the start of a cursor bind it to its query."""


def seal(query: object, place: object) -> str:
    """Return the cursor of a place in the results of a query; both are JSON."""
    text = canonical_json(place)
    digest = hashlib.sha256(canonical_json(query) + b"\0" + text).digest()[:DIGEST_BYTES]
    return base64.urlsafe_b64encode(digest + text).decode().rstrip("=")


def unseal(query: object, cursor: str) -> Any:
    """Return the place of a cursor.

    Raises:
        InvalidCursorError: it belongs to a different query.
    """
    try:
        sealed = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        place = json.loads(sealed[DIGEST_BYTES:])
        is_of_query = seal(query, place) == cursor
    except (ValueError, RecursionError) as exc:
        raise InvalidCursorError from exc
    if not is_of_query:
        raise InvalidCursorError
    return place

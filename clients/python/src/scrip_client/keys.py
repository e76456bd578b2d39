"""Idempotency keys: `A-Z a-z 0-9 . _ -`, at most 128 of them, unique within an account for ever."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from scrip_client.models import Entry

KEY_LENGTH_MAX = 128

USER_PREFIX = "user:"
"""What the id of every entry and hold begins with that a user's token made."""

_KEY = re.compile(rf"[A-Za-z0-9._-]{{1,{KEY_LENGTH_MAX}}}")


def new_key() -> str:
    """Return a key that nobody else has."""
    return str(uuid4())


def checked_key(key: str) -> str:
    """Return a key of the app's own.

    Raises:
        ValueError: it may not be one. `.` and `..` are no part of an address.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key) or key in {".", ".."}:
        raise ValueError(f"an idempotency key is 1 to 128 of A-Z a-z 0-9 . _ -, unlike {key!r}")
    return key


def is_of_app(entry: Entry, own_id: str) -> bool:
    """Whether the app may believe an entry: no user's token made it.

    If the app's own token is a user's, `own_id` says so, which is of something that it made.
    """
    return own_id.startswith(USER_PREFIX) or entry.actor.type != "user"


def key_after(key: str, suffix: str) -> str:
    """Return the key that follows from another: the same every time, and short enough."""
    if len(key) + len(suffix) <= KEY_LENGTH_MAX:
        return key + suffix
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: KEY_LENGTH_MAX - len(digest) - len(suffix) - 1]}.{digest}{suffix}"

"""Idempotency keys: 1 to 128 of `A-Z a-z 0-9 . _ -`, unique within an account."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    from scrip_client.models import Entry

KEY_LENGTH_MAX = 128

USER_PREFIX = "user:"
"""Prefix of the id of every entry and hold that a user's token created."""

_KEY = re.compile(rf"[A-Za-z0-9._-]{{1,{KEY_LENGTH_MAX}}}")


def new_key() -> str:
    """Return a key that is unique."""
    return str(uuid4())


def checked_key(key: str) -> str:
    """Return a key that the app chose, if it is valid.

    Raises:
        ValueError: it is not; `.` and `..` cannot be part of a URL path.
    """
    if not isinstance(key, str) or not _KEY.fullmatch(key) or key in {".", ".."}:
        raise ValueError(f"an idempotency key is 1 to 128 of A-Z a-z 0-9 . _ -, not {key!r}")
    return key


def is_by_app(entry: Entry, own_id: str) -> bool:
    """Whether the app, and not a user on their own, created an entry.

    `own_id` is the id of something the app created; its prefix shows whether the app itself uses
    a user's token.
    """
    return own_id.startswith(USER_PREFIX) or entry.actor.type != "user"


def derived_key(key: str, suffix: str) -> str:
    """Return a key made of another key and a suffix: always the same, and never too long."""
    if len(key) + len(suffix) <= KEY_LENGTH_MAX:
        return key + suffix
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: KEY_LENGTH_MAX - len(digest) - len(suffix) - 1]}.{digest}{suffix}"

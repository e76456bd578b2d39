"""Idempotency keys: `A-Z a-z 0-9 . _ -`, at most 128 of them, unique within an account for ever."""

from __future__ import annotations

import hashlib
from uuid import uuid4

KEY_LENGTH_MAX = 128


def new_key() -> str:
    """Return a key that nobody else has."""
    return str(uuid4())


def key_after(key: str, suffix: str) -> str:
    """Return the key that follows from another: the same every time, and short enough."""
    if len(key) + len(suffix) <= KEY_LENGTH_MAX:
        return key + suffix
    digest = hashlib.sha256(key.encode()).hexdigest()[:32]
    return f"{key[: KEY_LENGTH_MAX - len(digest) - len(suffix) - 1]}.{digest}{suffix}"

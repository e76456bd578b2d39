"""How long and how often the client tries a call, and how long it pauses between tries."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

PAUSE_SECONDS = 0.1
PAUSE_SECONDS_MAX = 2.0
"""The pause after try n is up to PAUSE_SECONDS * 2^n, on top of what `Retry-After` asks for."""

NOT_CONNECTED = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
)
NEVER_SENT = (*NOT_CONNECTED, httpx.LocalProtocolError, httpx.UnsupportedProtocol)
"""Errors that occur before a request is sent."""

TRANSIENT = (
    *NOT_CONNECTED,
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
)
"""Errors worth another try. Any other is a mistake in the program."""

LASTING_CODES = ("catalog_unsound", "corrupt_account", "hold_rate_limited")
"""Problems that outlast any call: corrupt data, and a rate limit of an hour."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """The limits of one call: seconds in all, seconds per try, and number of tries."""

    deadline_seconds: float = 10.0
    try_seconds: float = 5.0
    tries_max: int = 8


def is_transient(status: int, problem: Mapping[str, object]) -> bool:
    """Whether another try may help: a timeout, too many requests, or a failure that may pass."""
    may_pass = status in {408, 429} or status >= httpx.codes.INTERNAL_SERVER_ERROR
    return may_pass and problem.get("code") not in LASTING_CODES


def pause_seconds(number: int, retry_after: str | None, now: datetime) -> float:
    """Return how long to pause after try `number`, from 0: `Retry-After` plus full jitter."""
    jitter = random.uniform(0, min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2**number))  # noqa: S311
    return _retry_after_seconds(retry_after, now) + jitter


def _retry_after_seconds(retry_after: str | None, now: datetime) -> float:
    """Parse `Retry-After`, seconds or an HTTP date; 0 if it is missing or invalid."""
    if retry_after is None:
        return 0.0
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        # A date with the zone -0000 is parsed without one.
        until = until.replace(tzinfo=until.tzinfo or UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, OverflowError):
        return 0.0

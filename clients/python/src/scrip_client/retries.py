"""How long and how often a call is tried, and how long it waits in between."""

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

UNREACHED = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError)
NEVER_SENT = (*UNREACHED, httpx.LocalProtocolError, httpx.UnsupportedProtocol)
"""What goes wrong before a request is on its way."""

TRANSIENT = (
    *UNREACHED,
    httpx.TimeoutException,
    httpx.NetworkError,
    httpx.RemoteProtocolError,
)
"""What may go better the next time. Everything else is a mistake in the program, and stays one."""

LASTING = ("catalog_unsound", "corrupt_account", "hold_rate_limited")
"""What stays as it is for longer than anybody waits: broken data, and a bound of an hour."""


@dataclass(frozen=True, kw_only=True)
class Retries:
    """The bounds of one call, whatever goes wrong: its time in all, one try's time, its tries."""

    deadline_seconds: float = 10.0
    try_seconds: float = 5.0
    tries_max: int = 8


def is_transient(status: int, problem: Mapping[str, object]) -> bool:
    """Whether asking again may help: too late, too many requests, or a failure that may pass."""
    may_pass = status in {408, 429} or status >= httpx.codes.INTERNAL_SERVER_ERROR
    return may_pass and problem.get("code") not in LASTING


def pause_seconds(number: int, retry_after: str | None, now: datetime) -> float:
    """Return how long to wait after try `number`, from 0: full jitter, after what was asked for."""
    jitter = random.uniform(0, min(PAUSE_SECONDS_MAX, PAUSE_SECONDS * 2**number))  # noqa: S311
    return _asked_seconds(retry_after, now) + jitter


def _asked_seconds(retry_after: str | None, now: datetime) -> float:
    """Read `Retry-After`: seconds or an HTTP date; what cannot be read asks for nothing."""
    if retry_after is None:
        return 0.0
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        until = parsedate_to_datetime(retry_after)
        # A date with the zone -0000 is read without one.
        until = until.replace(tzinfo=until.tzinfo or UTC)
        return max(0.0, (until - now).total_seconds())
    except (ValueError, OverflowError):
        return 0.0

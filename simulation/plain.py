"""Plain values: items, entry hashes, times and months.

Written separately, so that the model shares no code with the product. Times are in milliseconds
since 1970, as in the table.
"""

from __future__ import annotations

import calendar
import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any

DAY = 24 * 3600 * 1000
WITH_LINES = 3
"""The form of an account that has a line of text for each grant."""

NOT_HASHED = {"pk", "sk", "hash", "previous_hash", "correlation_id"}
"""The attributes of a ledger item that are not part of its hash."""


def plain(item: dict[str, Any]) -> dict[str, Any]:
    """Convert an item of DynamoDB's API to plain values; an account's grants are dictionaries."""
    values = {name: _value(value) for name, value in item.items()}
    if values.get("format") == WITH_LINES:
        values["grants"] = [_grant(line) for line in values["grants"]]
    return values


def _grant(line: str) -> dict[str, Any]:
    grant_id, kind, left, granted_at, expires_at, source = line.split(" ", 5)
    grant = {
        "grant_id": grant_id,
        "kind": kind.removeprefix("ended:"),
        "amount": int(left.split("/")[-1]),
        "remaining": int(left.split("/")[0]),
        "granted_at": int(granted_at),
        "source": source,
    }
    if expires_at != "-":
        grant["expires_at"] = int(expires_at)
    if kind.startswith("ended:"):
        grant["ended"] = True
    return grant


def _value(typed: dict[str, Any]) -> Any:
    [[kind, value]] = typed.items()
    match kind:
        case "N":
            return int(value)
        case "M":
            return plain(value)
        case "L":
            return [_value(part) for part in value]
        case "NULL":
            return None
    return value


def typed(item: dict[str, Any]) -> dict[str, Any]:
    """Convert plain values to an item of DynamoDB's API."""
    return {name: _typed(value) for name, value in item.items()}


def _typed(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case bytes():
            return {"B": value}
        case dict():
            return {"M": typed(value)}
        case list():
            return {"L": [_typed(part) for part in value]}
    raise TypeError(value)


def chained(entry: dict[str, Any]) -> bytes:
    """Return the hash that an entry must have: of its canonical JSON and the previous hash."""
    fields = {"held_after": 0, "debt_after": 0, "unlimited": False, "allocations": []}
    fields |= {name: value for name, value in entry.items() if name not in NOT_HASHED}
    fields["entry_id"] = entry_id(entry)
    for name in {"recorded_at", "effective_at", "expires_at"} & entry.keys():
        instant = datetime.fromtimestamp(entry[name] // 1000, UTC)
        fields[name] = f"{instant:%Y-%m-%dT%H:%M:%S}.{entry[name] % 1000:03}Z"
    if "price" in entry:
        fields["price"] = {meter: {"per": 1, **price} for meter, price in entry["price"].items()}
    if "metadata" in entry:
        fields["metadata"] = json.loads(entry["metadata"])
    if "request_hash" in entry:
        fields["request_hash"] = entry["request_hash"].hex()
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(entry["previous_hash"] + text.encode()).digest()


def entry_id(entry: dict[str, Any]) -> str:
    """Return an entry's ID, which is in its sort key."""
    return str(entry["sk"]).removeprefix("ENTRY#")


def named(key: str, count: int) -> list[str]:
    """Return the IDs of as many entries as a request writes under a key."""
    return [key, *(f"{key}~{n}" for n in range(2, count + 1))]


def month(anchor: int, k: int) -> int:
    """Return the start of the k-th month after an anchor, in UTC."""
    begun = datetime.fromtimestamp(anchor / 1000, UTC)
    year, number = divmod(begun.year * 12 + begun.month - 1 + k, 12)
    day = min(begun.day, calendar.monthrange(year, number + 1)[1])
    moved = begun.replace(year=year, month=number + 1, day=day)
    return anchor + round((moved - begun) / timedelta(milliseconds=1))


def month_at(anchor: int, now: float) -> int:
    """Return the number of the month after an anchor that an instant is in."""
    k = int((now - anchor) // (31 * DAY))
    while month(anchor, k + 1) <= now:
        k += 1
    return k


def milliseconds(instant: str) -> int:
    """Convert a time of the API to milliseconds."""
    return round(datetime.fromisoformat(instant).timestamp() * 1000)


def day_of(instant: int) -> str:
    """Return the UTC day of a time."""
    return f"{datetime.fromtimestamp(instant / 1000, UTC):%Y-%m-%d}"

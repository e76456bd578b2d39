"""Accounts as versions before 0.3.0 stored them: with one plan, one paid time, and no terms.

Such an item is read as an account with a term for the paid time. It is written in the new form with
its next change.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from scrip.domain.account import PERIOD
from scrip.domain.entries import iso
from scrip.domain.periods import boundary
from scrip.domain.terms import MEAN_MONTH

GONE = frozenset({"monthly_credits", "limits", "next_quota", "paid_until", "paid_by"})
"""The attributes that an account no longer has."""

OVERRIDDEN = ("monthly_credits", "limits")
"""What an admin could give an account instead of what its plan gives."""

HALF_MONTH = timedelta(days=15)
"""A month that would have ended less than this before the paid time did ended with it."""

UNKNOWN_PAYMENT = "unknown:payment"
"""The payment of a term if its account did not keep it."""

UNKNOWN_LOT = {"allowance": 0, "booked": 0}
"""What is known of months before the running one: that nothing more of them is to be granted."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


def is_old(item: Mapping[str, Any]) -> bool:
    """Return whether an account's item has the old form.

    While an update is deployed, version 0.2.0 may pay for, or give a quota to, an account without
    subscriptions that has been written in the new form. (It refuses those with subscriptions.)
    """
    return "anchor" in item and (
        "as_of" not in item
        or not GONE.isdisjoint(item)
        or any("plan_after" in one for one in item.get("subscriptions", []))
    )


def converted(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item of an account in the new form, except that its terms are maps.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: it lacks a part, or it has another type.
    """
    known, pending = item.get("subscriptions", []), item.get("next_quota", {})
    counting = max(known, key=lambda one: (not one["ended"], one["at"]), default=None)
    grants = item.get("grants", [])
    place = next((n for n, grant in enumerate(grants) if grant["kind"] == "plan"), None)
    granted = 0 if place is None else grants[place]["amount"]
    month, changed = (_unpaid if item.get("paid_until") is None else _paid)(item, counting, granted)
    if place is not None:
        allowance = {**grants[place], "source": month}
        if counting and counting["ended"] and "paid_until" in item:
            allowance["expires_at"] = min(allowance["expires_at"], item["paid_until"])
        changed["grants"] = [*grants[:place], allowance, *grants[place + 1 :]]
    kept = {name: value for name, value in item.items() if name not in GONE}
    return {
        **kept,
        "allowance_spent": 0,
        "subscriptions": [
            {name: value for name, value in one.items() if name != "plan_after"} for one in known
        ],
        "overrides": {
            **item.get("overrides", {}),
            **{
                quota["plan_id"]: override
                for quota in (item, pending)
                if (override := {name: quota[name] for name in OVERRIDDEN if name in quota})
            },
        },
        **changed,
    }


def _unpaid(
    item: Mapping[str, Any],
    counting: Mapping[str, Any] | None,
    granted: int,
) -> tuple[str, dict[str, Any]]:
    """Return the running month and what changes about an account without a paid time."""
    plan_id, start = item["plan_id"], _begins(item, item["period"])
    changed: dict[str, Any] = {"as_of": _milliseconds(start), "allowance": granted}
    if counting and counting["plan_after"] != plan_id:
        changed |= {"plan_id": counting["plan_after"], "given_plan_id": plan_id}
    if _next_plan_id(item) != plan_id:
        changed["next_plan_id"] = _next_plan_id(item)
    return f"{PERIOD}{iso(start)}", changed


def _paid(
    item: Mapping[str, Any],
    counting: Mapping[str, Any] | None,
    granted: int,
) -> tuple[str, dict[str, Any]]:
    """Return the running month and what changes about an account with a paid time."""
    plan_id, period, months = item["plan_id"], item["period"], list(_paid_months(item))
    terms = list(_terms(item, months, counting["subscription_id"] if counting else "", granted))
    running = max((term for term in terms if term["lots"]), key=lambda term: term["number"])
    base_plan_id = counting["plan_after"] if counting else plan_id
    if period == len(months) - 2 and _next_plan_id(item) != plan_id:
        base_plan_id = _next_plan_id(item)
    return f"{running['payment_id']}:{running['number']}:{max(running['lots'])}", {
        "plan_id": base_plan_id,
        "terms": terms,
        "as_of": _milliseconds(months[period]),
        "period": -1,
        "allowance": 0,
    }


def _terms(
    item: Mapping[str, Any],
    months: list[datetime],
    subscription_id: str,
    granted: int,
) -> Iterator[dict[str, Any]]:
    """Yield a term for the paid time, or one for each part of it.

    A change of plan that waits for the next period parts it, and so does a last month that is so
    short that a term would not count it.
    """
    count, period = len(months) - 1, item["period"]
    counted = max(1, round((months[-1] - months[0]) / MEAN_MONTH))
    cuts = {0, min(count, counted), count}
    if _next_plan_id(item) != item["plan_id"]:
        cuts.add(period + 1)
    for number, (first, end) in enumerate(pairwise(sorted(cuts))):
        lots = {month - first: UNKNOWN_LOT for month in range(first, min(end, period))}
        if first <= period < end:
            lots[period - first] = {"allowance": granted, "booked": granted}
        yield {
            "payment_id": item.get("paid_by", UNKNOWN_PAYMENT),
            "number": number,
            "subscription_id": subscription_id,
            "plan_id": item["plan_id"] if first <= period else _next_plan_id(item),
            "start": _milliseconds(months[first]),
            "end": _milliseconds(months[end]),
            "lots": lots,
        }


def _paid_months(item: Mapping[str, Any]) -> Iterator[datetime]:
    """Yield the starts of the paid months, and the end of the last."""
    paid_until, month = _EPOCH + item["paid_until"] * _MILLISECOND, 0
    yield _begins(item, 0)
    while month < item["period"] or _begins(item, month + 1) <= paid_until - HALF_MONTH:
        month += 1
        yield _begins(item, month)
    yield paid_until


def _next_plan_id(item: Mapping[str, Any]) -> str:
    """Return the plan of the next period, as far as an admin has chosen it."""
    plan_id: str = item.get("next_quota", item)["plan_id"]
    return plan_id


def _begins(item: Mapping[str, Any], period: int) -> datetime:
    """Return the first instant of a period."""
    anchor = _EPOCH + item["anchor"] * _MILLISECOND
    return boundary(anchor, ZoneInfo(item.get("time_zone", "UTC")), period)


def _milliseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // _MILLISECOND

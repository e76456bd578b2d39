"""A month in the life of demo accounts: who uses what, when, and what goes wrong.

The same seed, account and day always give the same commands with the same keys.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from scrip.domain.catalog import Feature
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    Command,
    Consume,
    Purchase,
    Refund,
    entry_name,
)
from scrip.domain.entries import Actor, ActorType
from scrip.domain.grants import GrantKind

USES_PER_DAY = (1, 2, 3, 6)
"""For people who try the app, use it, like it and live in it."""

CALL = {"input": (200, 4_000), "output": (50, 800)}
"""How many tokens a call of a model uses: the fewest and the most."""

FAVORITES = 3
DAY_BEGINS, DAY_ENDS = 7, 23
"""The hours (UTC) between which commands are given."""

SIGNUP_DAYS = 14
REFUNDED = 0.04
"""The fraction of uses that fail and are refunded."""

ADJUSTED = 0.03
"""The fraction of an account's days on which support changes its balance."""

PURCHASED = 0.04
"""The fraction of an account's days on which credits are bought."""

PACKS = ((500, 1_000), (2_000, 3_500), (5_000, 7_900))
"""Packs on sale: credits, and their price in cents."""

_APP = Actor(ActorType.SERVICE, "demo-app")
_SHOP = Actor(ActorType.WEBHOOK, "demo")
_SUPPORT = Actor(ActorType.ADMIN, "demo-support")
_FAILURES = ("the model failed", "timed out", "the answer was empty", "the user canceled")
_SATURDAY = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedCommand:
    """A command, and when it was given (UTC)."""

    at: datetime
    command: Command


def account_ids(users: int) -> list[str]:
    """Return the IDs of the demo accounts: demo-001, demo-002 ..."""
    return [f"demo-{number:03}" for number in range(1, users + 1)]


def email(account_id: str) -> str:
    """Return the email address of a demo account."""
    return f"{account_id}@example.com"


def opened_at(seed: int, account_id: str, first_day: date) -> datetime:
    """Return when an account was opened: up to two weeks before the first day of the month.

    So the monthly resets of most accounts fall within the month.
    """
    random = _random(seed, account_id, "opened")
    day = first_day - timedelta(days=random.randrange(SIGNUP_DAYS))
    return _midnight(day) + timedelta(minutes=random.randrange(DAY_BEGINS * 60))


def is_used(feature: Feature) -> bool:
    """Return whether people use a feature; one for long input is not for their calls."""
    has_price = not feature.meters or CALL.keys() <= feature.meters.keys()
    return feature.active and has_price and "-above-" not in feature.feature_id


def commands_on(
    seed: int, account_id: str, day: date, features: Sequence[Feature]
) -> list[TimedCommand]:
    """Return the commands for an account on a day, in order and all before 24:00 UTC."""
    person = _random(seed, account_id, "person")
    uses_per_day = person.choice(USES_PER_DAY)
    known = sorted(features, key=lambda feature: feature.feature_id)
    favorites = person.sample(known, min(FAVORITES, len(known)))
    today = _random(seed, account_id, day.isoformat())
    uses = today.randint(0, 2 * uses_per_day)
    if day.weekday() >= _SATURDAY:
        uses //= 2
    found: list[TimedCommand] = []
    for number in range(uses):
        key = f"demo-{day}-{number}"
        at = _moment(today, day)
        use = _use(account_id, key, at, today.choice(favorites), today)
        found.append(use)
        if today.random() < REFUNDED:
            found.append(_refund(use, key, today))
    found += _purchases(seed, account_id, day)
    if today.random() < ADJUSTED:
        found.append(_adjustment(account_id, f"demo-{day}-support", _moment(today, day), today))
    return sorted(found, key=lambda timed: timed.at)


def _use(account_id: str, key: str, at: datetime, feature: Feature, random: Random) -> TimedCommand:
    actor = Actor(ActorType.USER, account_id)
    usage = {meter: random.randint(*span) for meter, span in CALL.items()}
    command = Consume(
        account_id=account_id,
        entry_id=entry_name(actor, key),
        actor=actor,
        feature=feature.feature_id,
        quantity=None if feature.meters else 1,
        usage=usage if feature.meters else None,
    )
    return TimedCommand(at=at, command=command)


def _refund(use: TimedCommand, key: str, random: Random) -> TimedCommand:
    command = Refund(
        account_id=use.command.account_id,
        entry_id=f"{key}-refund",
        actor=_APP,
        refunds=use.command.entry_id,
        reason=random.choice(_FAILURES),
    )
    return TimedCommand(at=use.at + timedelta(seconds=random.randint(5, 300)), command=command)


def _purchases(seed: int, account_id: str, day: date) -> list[TimedCommand]:
    """Return the purchases of a day, as a payment's webhook would record them."""
    random = _random(seed, account_id, day.isoformat(), "purchase")
    if random.random() >= PURCHASED:
        return []
    bought, money = random.choice(PACKS)
    payment_id = f"demo:pi_{account_id}_{day}"
    command = Purchase(
        account_id=account_id,
        entry_id=payment_id,
        keyed=False,
        actor=_SHOP,
        reference=f"demo:evt_{account_id}_{day}",
        metadata={"money": money, "currency": "usd"},
        credits=bought,
        money=money,
    )
    return [TimedCommand(at=_moment(random, day), command=command)]


def _adjustment(account_id: str, key: str, at: datetime, random: Random) -> TimedCommand:
    action, kind, reason = random.choice(
        (
            (AdjustAction.ADD, GrantKind.ADMIN, "sorry for the outage"),
            (AdjustAction.ADD, GrantKind.PROMO, "spring campaign"),
            (AdjustAction.ADD, GrantKind.REFERRAL, "brought a friend"),
            (AdjustAction.DEDUCT, GrantKind.ADMIN, "was granted twice"),
        )
    )
    command = Adjust(
        account_id=account_id,
        entry_id=key,
        actor=_SUPPORT,
        action=action,
        amount=random.choice((25, 50, 100)),
        kind=kind,
        expires_at=at + timedelta(days=60) if kind is GrantKind.PROMO else None,
        reason=reason,
    )
    return TimedCommand(at=at, command=command)


def _moment(random: Random, day: date) -> datetime:
    hours = DAY_ENDS - DAY_BEGINS
    return _midnight(day) + timedelta(
        hours=DAY_BEGINS, milliseconds=random.randrange(hours * 60 * 60 * 1000)
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _random(*parts: object) -> Random:
    return Random("/".join(map(str, parts)))  # noqa: S311  no secret depends on it

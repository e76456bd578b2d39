"""What the owner of a demo account does on a day, and what support does for them."""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from scrip.domain.catalog import Catalog, Feature
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CaptureHold,
    Consume,
    ConsumeBatch,
    HoldLine,
    OpenHold,
    Refund,
    Use,
    entry_name,
)
from scrip.domain.entries import Actor, ActorType
from scrip.domain.grants import GrantKind
from scrip_cli.seed.people import Person, Role
from scrip_cli.seed.timed import APP, SUPPORT, TimedCommand

USES_A_DAY = {
    Role.AGENT: 1.0,
    Role.SUBSCRIBER: 2.0,
    Role.DEVELOPER: 2.0,
    Role.YEARLY: 1.0,
    Role.TRIAL: 4.0,
    Role.NEWCOMER: 6.0,
    Role.VISITOR: 0.3,
}
"""How often people use the app by hand, on average; everybody else once a day."""

AT_ONCE = {Role.HEAVY: 24, Role.DEBTOR: 24, Role.TEAM: 16, Role.FROZEN: 12}
"""How many uses the scripts of some report at once, on each weekday."""

CALL = {"input": (200, 4_000), "output": (50, 800)}
"""How many tokens a call of a model uses: the fewest and the most."""

RUN = {"input": (4_000, 12_000), "output": (800, 2_400)}
"""For how many tokens an agent's run sets credits aside."""

RUN_SECONDS = 3_600
"""For how long."""

RUNS_A_DAY = 0.4
"""How often the agent runs on a weekday, on average."""

FAVORITES = 3
DAY_BEGINS, DAY_ENDS = 7, 23
"""The hours (UTC) between which people are awake."""

REFUNDED = 0.05
"""The fraction of uses that fail and are refunded."""

ADJUSTED = 0.02
"""The fraction of an account's days on which support changes its balance."""

_FAILURES = ("the model failed", "timed out", "the answer was empty", "the user canceled")
_SATURDAY = 5


def is_used(feature: Feature) -> bool:
    """Return whether people use a feature; one for long input is not for their calls."""
    has_price = not feature.meters or CALL.keys() <= feature.meters.keys()
    return feature.active and has_price and "-above-" not in feature.feature_id


def uses_of(person: Person, catalog: Catalog, day: date) -> Iterator[TimedCommand]:
    """Yield the commands of a day (UTC), in any order."""
    features = sorted(
        (feature for feature in catalog.features.values() if is_used(feature)),
        key=lambda feature: feature.feature_id,
    )
    favorites = person.random("favorites").sample(features, min(FAVORITES, len(features)))
    today = person.random(day)
    is_weekend = day.weekday() >= _SATURDAY
    per_day = USES_A_DAY.get(person.role, 1.0) * (0.4 if is_weekend else 1)
    uses = int(per_day * 2 * today.random() + 0.5)
    for number in range(uses):
        yield from _use(person, day, number, today.choice(favorites), today)
    if person.role in AT_ONCE and not is_weekend:
        yield _script(person, day, favorites, today)
    if person.role is Role.AGENT and not is_weekend and today.random() < RUNS_A_DAY:
        yield from _run(person, day, [one for one in features if one.meters], today)
    if today.random() < ADJUSTED:
        yield _adjustment(person, day, today)


def _use(
    person: Person, day: date, number: int, feature: Feature, random: Random
) -> Iterator[TimedCommand]:
    actor = Actor(ActorType.USER, person.account_id)
    key = f"demo-{day}-{number}"
    use = Consume(
        account_id=person.account_id,
        entry_id=entry_name(actor, key),
        actor=actor,
        reference=f"chat-{day}",
        **_counted(feature, CALL, random),
    )
    at = _moment(random, day)
    yield TimedCommand(at=at, command=use)
    if random.random() < REFUNDED:
        refund = Refund(
            account_id=person.account_id,
            entry_id=f"{key}-refund",
            actor=APP,
            refunds=use.entry_id,
            reason=random.choice(_FAILURES),
        )
        yield TimedCommand(at=at + timedelta(seconds=random.randint(5, 300)), command=refund)


def _script(
    person: Person, day: date, favorites: Sequence[Feature], random: Random
) -> TimedCommand:
    """Return a batch of uses that a person's script reports at once."""
    reference = f"import-{day}"
    uses = tuple(
        Use(reference=reference, **_counted(random.choice(favorites), CALL, random))
        for _ in range(AT_ONCE[person.role])
    )
    batch = ConsumeBatch(
        account_id=person.account_id, entry_id=f"demo-{day}-script", actor=APP, uses=uses
    )
    return TimedCommand(at=_moment(random, day), command=batch)


def _run(
    person: Person, day: date, models: Sequence[Feature], random: Random
) -> Iterator[TimedCommand]:
    """Yield a run of an agent: credits are held, each step is charged, the rest comes back."""
    if not models:
        return
    reference, hold_id = f"run-{day}", f"demo-{day}-run"
    at = _moment(random, day)
    features = random.sample(models, min(2, len(models)))
    budget = OpenHold(
        account_id=person.account_id,
        entry_id=hold_id,
        actor=APP,
        reference=reference,
        lines=tuple(
            HoldLine(feature=one.feature_id, **_counts(one, RUN, random)) for one in features
        ),
        expires_in=RUN_SECONDS,
    )
    yield TimedCommand(at=at, command=budget)
    steps = random.randint(1, 3)
    for step in range(1, steps + 1):
        capture = CaptureHold(
            account_id=person.account_id,
            entry_id=f"{hold_id}-{step}",
            actor=APP,
            reference=reference,
            hold_id=hold_id,
            lines=tuple(
                HoldLine(feature=one.feature_id, **_counts(one, CALL, random)) for one in features
            ),
            final=step == steps,
            excess=True,
        )
        yield TimedCommand(at=at + timedelta(minutes=10 * step), command=capture)


def _adjustment(person: Person, day: date, random: Random) -> TimedCommand:
    action, kind, reason = random.choice(
        (
            (AdjustAction.ADD, GrantKind.ADMIN, "sorry for the outage"),
            (AdjustAction.ADD, GrantKind.PROMO, "spring campaign"),
            (AdjustAction.ADD, GrantKind.REFERRAL, "brought a friend"),
            (AdjustAction.DEDUCT, GrantKind.ADMIN, "was granted twice"),
        )
    )
    at = _moment(random, day)
    command = Adjust(
        account_id=person.account_id,
        entry_id=f"demo-{day}-support",
        actor=SUPPORT,
        action=action,
        amount=random.choice((25, 50, 100)),
        kind=kind,
        expires_at=at + timedelta(days=60) if kind is GrantKind.PROMO else None,
        reason=reason,
    )
    return TimedCommand(at=at, command=command)


def _counted(feature: Feature, span: dict[str, tuple[int, int]], random: Random) -> dict[str, Any]:
    return {"feature": feature.feature_id, **_counts(feature, span, random)}


def _counts(feature: Feature, span: dict[str, tuple[int, int]], random: Random) -> dict[str, Any]:
    """Return the quantity of a use, or what its meters count."""
    if not feature.meters:
        return {"quantity": 1}
    return {"usage": {meter: random.randint(*some) for meter, some in span.items()}}


def _moment(random: Random, day: date) -> datetime:
    hours = DAY_ENDS - DAY_BEGINS
    return datetime.combine(day, time(), UTC) + timedelta(
        hours=DAY_BEGINS, milliseconds=random.randrange(hours * 60 * 60 * 1000)
    )

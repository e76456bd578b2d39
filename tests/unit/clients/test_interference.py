"""What others do to the app's holds and keys, and what the app's block does and is paid then.

The app is paid exactly what it asks for, or it gets an exception. What a user's own token does
changes nothing for it. An earlier version of Scrip let users end the app's holds and use its keys;
the client must protect the app there, too.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from scrip.domain.commands import ReleaseHold
from scrip_client import (
    HoldNotYoursError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    NotPaidError,
    Scrip,
    ScripError,
)
from tests.event_loops import run
from tests.unit.clients.scrip_in_memory import ACCOUNT_ID, CHAT, ModelError, ScripInMemory
from tests.unit.domain.examples import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip_client import AsyncHold, Hold

HELD, USED = 60, 50
"""What the app's blocks hold and use, of the account's 150 credits."""

PRICED: list[tuple[str | None, dict[str, Any], int]] = [
    (None, {"amount": HELD}, USED),
    ("chat", {"quantity": HELD // CHAT}, USED // CHAT),
]


@dataclass(frozen=True)
class World:
    """What an act can see: the server, the app's hold, and what was used of it."""

    server: ScripInMemory
    hold_id: str
    feature: str | None
    use: dict[str, Any]
    units: int

    @property
    def user(self) -> Scrip:
        return self.server.client("user")

    @property
    def service(self) -> Scrip:
        return self.server.client()

    @property
    def measured(self) -> dict[str, Any]:
        return {"quantity" if self.feature else "amount": self.units}

    def key(self, suffix: str) -> str:
        return self.hold_id + suffix


type Act = Callable[[World], object]


def nothing(world: World) -> None:
    """Nothing happens."""


# What a user's own token does.


def user_captures_one(world: World) -> None:
    world.user.capture_hold(ACCOUNT_ID, world.hold_id, amount=1)


def user_captures_one_of_it(world: World) -> None:
    world.user.capture_hold(ACCOUNT_ID, world.hold_id, amount=1, final=False)


def user_captures_as_the_app_would(world: World) -> None:
    key = world.key(".capture")
    world.user.capture_hold(
        ACCOUNT_ID, world.hold_id, **world.measured, excess="available", idempotency_key=key
    )


def user_captures_as_much(world: World) -> None:
    world.user.capture_hold(ACCOUNT_ID, world.hold_id, **world.measured)


def user_releases(world: World) -> None:
    world.user.release_hold(ACCOUNT_ID, world.hold_id)


def user_extends(world: World) -> None:
    world.user.extend_hold(ACCOUNT_ID, world.hold_id)


def user_releases_and_spends_all(world: World) -> None:
    user_releases(world)
    world.user.consume(ACCOUNT_ID, amount=150)


def user_uses_the_key(suffix: str, *acts: Act) -> Act:
    """The user consumes 1 credit under a key that the app will use, before other acts."""

    def act(world: World) -> None:
        world.user.consume(ACCOUNT_ID, amount=1, idempotency_key=world.key(suffix))
        for also in acts:
            also(world)

    act.__name__ = f"user_uses_the_key_{suffix}{''.join(f'_{also.__name__}' for also in acts)}"
    return act


def user_charges_late_as_the_app_would(world: World) -> None:
    key = world.key(".capture.late")
    world.user.consume(ACCOUNT_ID, world.feature, **world.measured, idempotency_key=key)
    user_releases(world)


# What a service, an operator and the clock do.


def service_captures(amount: int, *, final: bool = True) -> Act:
    def act(world: World) -> None:
        world.service.capture_hold(ACCOUNT_ID, world.hold_id, amount=amount, final=final)

    act.__name__ = f"service_captures_{amount}{'' if final else '_of_it'}"
    return act


def service_captures_and_refunds(refunded: int) -> Act:
    def act(world: World) -> None:
        world.service.capture_hold(ACCOUNT_ID, world.hold_id, amount=USED, idempotency_key="x")
        world.service.refund(ACCOUNT_ID, "x", "a mistake", refunded)

    act.__name__ = f"service_captures_and_refunds_{refunded}"
    return act


def operator_releases(world: World) -> None:
    world.server.execute(
        ReleaseHold(account_id=ACCOUNT_ID, entry_id="o", actor=ADMIN, hold_id=world.hold_id)
    )


def it_expires(world: World) -> None:
    world.server.wait(301)


def other_deployment_captures(credits_: int) -> Act:
    """Another version of the app completes the same job, but with a different use."""

    def act(world: World) -> None:
        units = credits_ // CHAT if world.feature else credits_
        with world.service.hold(
            world.feature, ACCOUNT_ID, idempotency_key=world.hold_id, **world.use
        ) as hold:
            hold.use(units)

    act.__name__ = f"other_deployment_captures_{credits_}"
    return act


def paid(server: ScripInMemory) -> int:
    """Return what the app has been paid; what users charged to themselves does not count."""
    entries = list(server.client().entries(ACCOUNT_ID))
    mine = {entry.entry_id: entry for entry in entries if entry.actor.type != "user"}
    taken = sum(entry.cost or 0 for entry in mine.values() if entry.type == "usage")
    return taken - sum(entry.amount for entry in mine.values() if entry.refunds in mine)


def outcome(block: Callable[[], object]) -> type[ScripError] | None:
    """Return the type of error that the app's block raises."""
    try:
        block()
    except ScripError as error:
        return type(error)
    return None


OLDER, NOW = True, False

# who does what (during the block)         | Scrip | the block raises         | and the app is paid
DURING: list[tuple[Act, bool, type[ScripError] | None, int]] = [
    (nothing, NOW, None, USED),
    (user_captures_one, NOW, None, USED),
    (user_captures_one_of_it, NOW, None, USED),
    (user_captures_as_the_app_would, NOW, None, USED),
    (user_releases, NOW, None, USED),
    (user_extends, NOW, None, USED),
    (user_uses_the_key(".capture"), NOW, None, USED),
    (user_uses_the_key(".capture.late", it_expires), NOW, None, USED),
    (user_uses_the_key(".release"), NOW, None, USED),
    (user_captures_one, OLDER, None, USED),
    (user_captures_one_of_it, OLDER, None, USED),
    (user_captures_as_much, OLDER, None, USED),
    (user_captures_as_the_app_would, OLDER, NotPaidError, 0),
    (user_releases, OLDER, None, USED),
    (user_releases_and_spends_all, OLDER, InsufficientCreditsError, 0),
    (user_uses_the_key(".capture"), OLDER, NotPaidError, 0),
    (user_uses_the_key(".capture", it_expires), OLDER, NotPaidError, 0),
    (user_uses_the_key(".capture.late"), OLDER, None, USED),
    (user_uses_the_key(".capture.late", it_expires), OLDER, NotPaidError, 0),
    (user_uses_the_key(".capture.late", user_releases), OLDER, NotPaidError, 0),
    (user_uses_the_key(".capture.late", user_captures_one), OLDER, NotPaidError, 0),
    (user_charges_late_as_the_app_would, OLDER, NotPaidError, 0),
    (service_captures(USED), NOW, None, USED),
    (service_captures(7), NOW, None, USED),
    (service_captures(7, final=False), NOW, None, USED + 7),
    (service_captures(HELD), NOW, NotPaidError, HELD),
    (service_captures_and_refunds(USED), NOW, None, USED),
    (service_captures_and_refunds(1), NOW, NotPaidError, USED - 1),
    (operator_releases, NOW, None, USED),
    (it_expires, NOW, None, USED),
]


def named(row: tuple[Any, ...]) -> str:
    act, is_older = row[:2]
    return f"{act.__name__}-{'older' if is_older else 'now'}"


@pytest.mark.parametrize(("feature", "use", "units"), PRICED, ids=["amount", "feature"])
@pytest.mark.parametrize("is_job", [False, True], ids=["unnamed", "job"])
@pytest.mark.parametrize("row", DURING, ids=named)
@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_what_others_do_during_the_block_of_a_hold(
    server: ScripInMemory,
    feature: str | None,
    use: dict[str, Any],
    units: int,
    row: tuple[Act, bool, type[ScripError] | None, int],
    *,
    is_job: bool,
    is_async: bool,
) -> None:
    act, is_older, raised, credits_ = row
    server.is_older = is_older
    order: dict[str, Any] = {"idempotency_key": "job", **use} if is_job else use

    def work(hold: Hold | AsyncHold) -> None:
        hold.use(units)
        with suppress(HoldNotYoursError):
            act(World(server, hold.hold_id, feature, use, units))

    def block() -> None:
        with server.client().hold(feature, ACCOUNT_ID, **order) as hold:
            work(hold)

    async def session() -> None:
        async with server.async_client() as scrip, scrip.hold(feature, ACCOUNT_ID, **order) as hold:
            work(hold)

    error = outcome((lambda: run(session())) if is_async else block)
    assert (error, paid(server)) == (raised, credits_)


# who does what (before the block)          | Scrip | the block raises         | and the app is paid
BEFORE: list[tuple[Act, bool, type[ScripError] | None, int]] = [
    (user_uses_the_key(""), NOW, None, USED),
    (user_uses_the_key(".capture"), NOW, None, USED),
    (user_uses_the_key(".capture.late"), NOW, None, USED),
    (user_uses_the_key(".2"), NOW, None, USED),
    (user_uses_the_key(""), OLDER, IdempotencyKeyReusedError, 0),
    (user_uses_the_key(".capture"), OLDER, NotPaidError, 0),
    (user_uses_the_key(".capture.late"), OLDER, None, USED),
    (user_uses_the_key(".2"), OLDER, None, USED),
    (other_deployment_captures(USED), NOW, None, USED),
    (other_deployment_captures(20), NOW, NotPaidError, 20),
    (other_deployment_captures(100), NOW, NotPaidError, 100),
]


@pytest.mark.parametrize(("feature", "use", "units"), PRICED, ids=["amount", "feature"])
@pytest.mark.parametrize("row", BEFORE, ids=named)
def test_what_others_do_before_the_block_of_a_hold(
    server: ScripInMemory,
    feature: str | None,
    use: dict[str, Any],
    units: int,
    row: tuple[Act, bool, type[ScripError] | None, int],
) -> None:
    act, is_older, raised, credits_ = row
    server.is_older = is_older
    act(World(server, "job", feature, use, units))

    def block() -> None:
        with server.client().hold(feature, ACCOUNT_ID, idempotency_key="job", **use) as hold:
            hold.use(units)

    assert (outcome(block), paid(server)) == (raised, credits_)


# who ends the hold that a delivery left open  | Scrip | the next one raises  | and the app is paid
BETWEEN: list[tuple[Act, bool, type[ScripError] | None, int]] = [
    (nothing, NOW, None, USED),
    (user_captures_one, NOW, None, USED),
    (user_releases, NOW, None, USED),
    (user_captures_one, OLDER, None, USED),
    (user_captures_as_much, OLDER, None, USED),
    (user_captures_as_the_app_would, OLDER, None, USED),
    (user_releases, OLDER, None, USED),
    (user_uses_the_key(".capture.late", user_releases), OLDER, None, USED),
    (user_uses_the_key(".capture.late", it_expires), OLDER, None, USED),
    (user_charges_late_as_the_app_would, OLDER, None, USED),
    (user_uses_the_key(".2", it_expires), OLDER, IdempotencyKeyReusedError, 0),
    (service_captures(7), NOW, NotPaidError, 7),
    (operator_releases, NOW, None, USED),
    (it_expires, NOW, None, USED),
]


@pytest.mark.parametrize(("feature", "use", "units"), PRICED, ids=["amount", "feature"])
@pytest.mark.parametrize("row", BETWEEN, ids=named)
def test_what_others_do_between_two_deliveries_of_a_job(
    server: ScripInMemory,
    feature: str | None,
    use: dict[str, Any],
    units: int,
    row: tuple[Act, bool, type[ScripError] | None, int],
) -> None:
    act, is_older, raised, credits_ = row
    server.is_older = is_older
    server.client().hold(feature, ACCOUNT_ID, idempotency_key="job", **use).__enter__()
    with suppress(HoldNotYoursError):
        act(World(server, "job", feature, use, units))

    def block() -> None:
        with server.client().hold(feature, ACCOUNT_ID, idempotency_key="job", **use) as hold:
            hold.use(units)

    assert (outcome(block), paid(server)) == (raised, credits_)


AFTER: list[tuple[Act, bool]] = [
    (act, is_older)
    for is_older in (NOW, OLDER)
    for act in (
        nothing,
        user_uses_the_key(".capture.late"),
        user_uses_the_key(".2"),
        user_uses_the_key(".release"),
        user_captures_one,
        user_releases,
        it_expires,
    )
]


@pytest.mark.parametrize("row", AFTER, ids=named)
def test_what_others_do_after_the_block_does_not_charge_the_job_again(
    server: ScripInMemory, row: tuple[Act, bool]
) -> None:
    act, server.is_older = row
    feature, use, units = PRICED[1]
    for is_first in (True, False):
        with server.client().hold(feature, ACCOUNT_ID, idempotency_key="job", **use) as hold:
            assert hold.is_charged is not is_first
            hold.use(units)
        with suppress(ScripError):
            act(World(server, "job", feature, use, units))
    assert paid(server) == USED


@pytest.mark.parametrize("act", [user_captures_one_of_it, service_captures(7, final=False)])
def test_a_block_without_reported_use_is_paid_in_full_even_if_others_captured_a_part(
    server: ScripInMemory, act: Act
) -> None:
    server.is_older = True
    for feature, use, units in PRICED:
        with server.client().hold(feature, ACCOUNT_ID, **use) as hold:
            act(World(server, hold.hold_id, feature, use, units))
        assert hold.entry is not None
        assert hold.entry.cost == HELD


@pytest.mark.parametrize(
    ("amount", "raised"),
    [(10, None), (20, None), (30, None), (50, None), (51, NotPaidError)],
)
def test_a_foreign_capture_counts_once_for_all_parts(
    server: ScripInMemory,
    amount: int,
    raised: type[ScripError] | None,
) -> None:
    def block() -> None:
        with server.client().hold(None, ACCOUNT_ID, amount=HELD) as hold:
            server.client().capture_hold(ACCOUNT_ID, hold.hold_id, amount=amount)
            for _ in range(2):
                hold.use(20)
                hold.capture()
            hold.use(10)

    assert (outcome(block), paid(server)) == (raised, max(amount, USED))


def test_an_earlier_delivery_counts_once_for_all_parts(scrip: Scrip) -> None:
    def deliver(*parts: int) -> None:
        with scrip.hold(None, ACCOUNT_ID, amount=HELD, idempotency_key="job") as hold:
            for part in parts[:-1]:
                hold.use(part)
                hold.capture()
            hold.use(parts[-1])

    deliver(20)
    deliver(8, 12)
    deliver(20)
    with pytest.raises(NotPaidError):
        deliver(10, 20)
    with pytest.raises(NotPaidError):
        deliver(20, 20)


def test_the_error_names_the_entry_that_was_found(scrip: Scrip) -> None:
    hold = scrip.hold(None, ACCOUNT_ID, amount=HELD).__enter__()
    hold.use(USED)
    scrip.capture_hold(ACCOUNT_ID, hold.hold_id, amount=HELD, idempotency_key="by-hand")
    with pytest.raises(NotPaidError) as raised:
        hold.__exit__(None, None, None)
    error = raised.value
    assert (error.expected, error.paid, error.entry_id) == (USED, HELD, "by-hand")
    assert (error.account_id, error.hold_id) == (ACCOUNT_ID, hold.hold_id)
    assert str(error) == "account u1 should have paid 50 credits and paid 60 in entry by-hand"


# Charges: who has used what before the block, and what it does then.


def user_charges(suffix: str, *, alike: bool) -> Act:
    def act(world: World) -> None:
        feature, use = (world.feature, world.use) if alike else (None, {"amount": 1})
        key = world.key(suffix)
        world.user.consume(ACCOUNT_ID, feature, idempotency_key=key, **use)

    act.__name__ = f"user_charges_{suffix}{'_alike' if alike else ''}"
    return act


def service_charges(amount: int) -> Act:
    def act(world: World) -> None:
        world.service.consume(ACCOUNT_ID, amount=amount, idempotency_key=world.hold_id)

    act.__name__ = f"service_charges_{amount}"
    return act


def delivered(*, fails: bool) -> Act:
    def act(world: World) -> None:
        with (
            suppress(ModelError),
            world.service.charge(None, ACCOUNT_ID, idempotency_key="job", amount=HELD),
        ):
            if fails:
                raise ModelError

    act.__name__ = f"delivered{'_and_failed' if fails else ''}"
    return act


def in_turn(*acts: Act) -> Act:
    def act(world: World) -> None:
        for one in acts:
            one(world)

    act.__name__ = "_".join(one.__name__ for one in acts)
    return act


def user_is_refunded(world: World) -> None:
    world.service.refund(ACCOUNT_ID, "job", "that was yours")


failed = delivered(fails=True)

CHARGES: list[tuple[Act, bool, type[ScripError] | None, int]] = [
    (nothing, NOW, None, HELD),
    (user_charges("", alike=False), NOW, None, HELD),
    (user_charges("", alike=True), NOW, None, HELD),
    (in_turn(user_charges(".refund", alike=False), failed), NOW, None, HELD),
    (in_turn(failed, user_charges(".2", alike=True)), NOW, None, HELD),
    (user_charges("", alike=False), OLDER, IdempotencyKeyReusedError, 0),
    (user_charges("", alike=True), OLDER, NotPaidError, 0),
    (in_turn(user_charges("", alike=True), user_is_refunded), OLDER, None, HELD),
    (in_turn(failed, user_charges(".2", alike=False)), OLDER, IdempotencyKeyReusedError, 0),
    (in_turn(failed, user_charges(".2", alike=True)), OLDER, NotPaidError, 0),
    (in_turn(user_charges(".refund", alike=False), failed), OLDER, None, HELD),
    (service_charges(HELD), NOW, None, HELD),
    (service_charges(HELD - 1), NOW, IdempotencyKeyReusedError, HELD - 1),
    (delivered(fails=False), NOW, None, HELD),
    (failed, NOW, None, HELD),
]


@pytest.mark.parametrize("row", CHARGES, ids=named)
@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_what_others_do_before_the_block_of_a_charge(
    server: ScripInMemory,
    row: tuple[Act, bool, type[ScripError] | None, int],
    *,
    is_async: bool,
) -> None:
    act, is_older, raised, credits_ = row
    server.is_older = is_older
    act(World(server, "job", None, {"amount": HELD}, HELD))
    has_run = []

    def block() -> None:
        with server.client().charge(None, ACCOUNT_ID, idempotency_key="job", amount=HELD):
            has_run.append(True)

    async def session() -> None:
        async with (
            server.async_client() as scrip,
            scrip.charge(None, ACCOUNT_ID, idempotency_key="job", amount=HELD),
        ):
            has_run.append(True)

    error = outcome((lambda: run(session())) if is_async else block)
    assert (error, paid(server)) == (raised, credits_)
    assert bool(has_run) is (raised is None)


# Leases: who has ended or used a slice, of which USED credits are counted.


def user_captures_as_the_lease_would(world: World) -> None:
    metadata = {"uses": 1, "quantity": world.units} if world.feature else {"uses": 1}
    world.user.capture_hold(ACCOUNT_ID, world.hold_id, amount=USED, metadata=metadata)


LEASES: list[tuple[Act, bool, type[ScripError] | None, int]] = [
    (nothing, NOW, None, USED),
    (user_captures_one, NOW, None, USED),
    (user_releases, NOW, None, USED),
    (user_captures_one, OLDER, None, USED),
    (user_captures_one_of_it, OLDER, None, USED),
    (user_captures_as_the_lease_would, OLDER, None, USED),
    (user_releases, OLDER, None, USED),
    (user_releases_and_spends_all, OLDER, NotPaidError, 0),
    (service_captures(7), NOW, None, USED + 7),
    (operator_releases, NOW, None, USED),
    (it_expires, NOW, None, USED),
]


@pytest.mark.parametrize(("feature", "units"), [(None, USED), ("chat", USED // CHAT)])
@pytest.mark.parametrize("row", LEASES, ids=named)
@pytest.mark.parametrize("is_async", [False, True], ids=["blocking", "async"])
def test_what_others_do_while_a_lease_is_open(
    server: ScripInMemory,
    feature: str | None,
    units: int,
    row: tuple[Act, bool, type[ScripError] | None, int],
    *,
    is_async: bool,
) -> None:
    act, is_older, raised, credits_ = row
    server.is_older = is_older
    terms: dict[str, Any] = {"slice_credits": 110, "capture_seconds": 1_000}

    def others_act() -> None:
        [hold] = server.account.holds
        with suppress(HoldNotYoursError):
            act(World(server, hold.hold_id, feature, {}, units))

    def block() -> None:
        with server.client().lease(feature, ACCOUNT_ID, **terms) as lease:
            lease.consume(units)
            others_act()

    async def session() -> None:
        async with (
            server.async_client() as scrip,
            scrip.lease(feature, ACCOUNT_ID, **terms) as lease,
        ):
            await lease.consume(units)
            others_act()

    error = outcome((lambda: run(session())) if is_async else block)
    assert (error, paid(server)) == (raised, credits_)

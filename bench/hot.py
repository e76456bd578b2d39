"""Part `hot`: the throughput of one account with too many callers, and what it costs.

Callers either arrive at a fixed rate (`callers` is None), or 1 to 128 of them repeat their requests
as soon as they are answered, and wait as long as a refusal says. All of it happens in virtual time,
which `bench/crowd.py` describes. `python -m bench.hot` prints the results.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import partial
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from bench.crowd import ACCOUNT_ID, Answer, Crowd
from bench.goals import Goal, at_least, at_most
from scrip.domain.commands import (
    USES_MAX,
    CaptureHold,
    Command,
    Consume,
    ConsumeBatch,
    OpenHold,
    Use,
)
from scrip.domain.entries import Actor, ActorType

if TYPE_CHECKING:
    from collections.abc import Callable

SEED = 1
SECONDS = 6
SECONDS_QUICK = 3
LEARNING_SECONDS = 1.0
"""Rates are counted after this time: at first no container has learned of the crowd."""

OFFERED_PER_SECOND = {False: (25, 50, 100, 200, 400, 800), True: (200, 800)}
BATCHES_OFFERED_PER_SECOND = {False: (25, 50, 100, 200), True: (50,)}
OFFERED_WITHOUT_ADMISSION = {False: (100, 200, 400), True: (100,)}
CALLERS = {False: (1, 2, 4, 8, 16, 24, 32, 64, 128), True: (1, 2, 4, 8, 16, 24, 32, 128)}
BATCH_CALLERS = {False: (1, 4, 16, 64), True: (8,)}
"""What is measured; the key is whether the run is quick."""

GOODPUT_MIN = 45.0
SEEDS = 3
NOISE = 0.02
"""The least goodput at any number of callers, as a mean of SEEDS runs, which vary by NOISE."""

CALLERS_FEW = 2
"""So few can't ask for GOODPUT_MIN: one call in 25 ms is 40 a second, and conflicts take longer.

Their goal is what they get when none is refused.
"""

FIRST_CALL_SECONDS_MAX = 1.0
CROWD_PER_SECOND = 800
CROWD_SECONDS = 2
CROWDS = 9
"""The first calls after CROWDS crowds, from at once to a second after the last answer."""

LEASES = (1, 4, 16)
USES_OF_A_LEASE_PER_SECOND = 1_000
SLICE_SECONDS = 5
HOLD_SECONDS = 300
"""A lease holds the credits that it uses in SLICE_SECONDS, and captures once a second."""

NOTES = [
    "In virtual time, the same on every machine: 10 ms per round trip, 5 ms in the transaction.",
    "A success is one use; a batch has 25. Units include those of failed tries.",
    "without_admission: callers whom Scrip never refuses early and lets race for 4 seconds.",
    "callers null: callers arrive at a fixed rate, and leave when they are refused.",
    "lease: each caller counts 1 000 uses a second itself and captures them every second.",
]


@dataclass(frozen=True)
class Mode:
    """A way to use an account: the n-th caller's command, and the number of uses in it."""

    name: str
    uses: int
    command: Callable[[int], Command]


def consume(number: int, actor_type: ActorType = ActorType.USER) -> Consume:
    """Return a consume of 1 credit."""
    return Consume(
        account_id=ACCOUNT_ID,
        entry_id=f"consume-{number}",
        actor=Actor(actor_type, "crowd"),
        amount=1,
    )


def batch(number: int) -> ConsumeBatch:
    """Return a batch of as many consumes of 1 credit as one posting can hold."""
    return ConsumeBatch(
        account_id=ACCOUNT_ID,
        entry_id=f"batch-{number}",
        actor=APP,
        uses=(Use(amount=1),) * USES_MAX,
    )


APP = Actor(ActorType.SERVICE, "crowd")
SINGLE = Mode("consume", 1, consume)
BATCH = Mode("batch", USES_MAX, batch)
WITHOUT_ADMISSION = Mode("without_admission", 1, partial(consume, actor_type=ActorType.SYSTEM))


def measure(*, quick: bool) -> dict[str, Any]:
    """Return `rows`, one for each mode and load, and `notes` on how to read them."""
    seconds = SECONDS_QUICK if quick else SECONDS
    rows = [offered(SINGLE, rate, seconds) for rate in OFFERED_PER_SECOND[quick]]
    rows += [asking_again(SINGLE, callers, seconds) for callers in CALLERS[quick]]
    # A batch takes 25 times as long to simulate.
    rows += [offered(BATCH, rate, SECONDS_QUICK) for rate in BATCHES_OFFERED_PER_SECOND[quick]]
    rows += [asking_again(BATCH, callers, SECONDS_QUICK) for callers in BATCH_CALLERS[quick]]
    rows += [leased(leases, seconds) for leases in LEASES]
    rows += [offered(WITHOUT_ADMISSION, rate, seconds) for rate in OFFERED_WITHOUT_ADMISSION[quick]]
    return {"rows": rows, "notes": NOTES, "goals": _goals(CALLERS[quick])}


def _goals(numbers: tuple[int, ...]) -> list[Goal]:
    """Return the goals of callers who ask again, and of the first one after a crowd."""
    goals = []
    for callers in numbers:
        runs = [asking_again(SINGLE, callers, SECONDS, SEED + n) for n in range(SEEDS)]
        goodput = mean(run["goodput_per_second"] for run in runs)
        goal, name = GOODPUT_MIN, f"hot account: goodput, callers: {callers}"
        if callers <= CALLERS_FEW:
            goal = asking_again(WITHOUT_ADMISSION, callers, SECONDS)["goodput_per_second"]
            name += " (as without refusals)"
        goals.append(at_least(name, goodput, goal, "a second", noise=NOISE))
    waits = [first_call(SEED + n, n / (CROWDS - 1)) for n in range(CROWDS)]
    name = f"hot account: first call after {CROWD_PER_SECOND} a second, median"
    return [*goals, at_most(name, median(waits), FIRST_CALL_SECONDS_MAX, "s")]


def offered(mode: Mode, per_second: float, seconds: float) -> dict[str, Any]:
    """Measure callers who arrive at random, at a fixed rate, and leave when they are refused."""
    crowd = Crowd(SEED)
    _offer(crowd, mode, per_second, seconds)
    return _row(mode.name, crowd, None, seconds)


def first_call(seed: int, pause: float) -> float:
    """Return how many seconds a lone caller waits who comes `pause` seconds after a crowd."""
    crowd = Crowd(seed)
    number = _offer(crowd, SINGLE, CROWD_PER_SECOND, CROWD_SECONDS)
    began = crowd.scheduler.now + pause
    crowd.spawn(partial(crowd.ask_until_done, SINGLE.command(number)), pause)
    crowd.run()
    return crowd.scheduler.now - began


def _offer(crowd: Crowd, mode: Mode, per_second: float, seconds: float) -> int:
    """Let callers arrive, and run until all have left; return how many there were."""
    number, at = 0, crowd.chance.expovariate(per_second)
    while at < seconds:
        crowd.spawn(partial(crowd.ask, mode.command(number), mode.uses), at)
        number, at = number + 1, at + crowd.chance.expovariate(per_second)
    crowd.run()
    return number


def asking_again(mode: Mode, callers: int, seconds: float, seed: int = SEED) -> dict[str, Any]:
    """Measure callers who each send the next request when answered, and repeat refused ones."""
    crowd = Crowd(seed)

    def call(number: int) -> None:
        while crowd.scheduler.now < seconds:
            crowd.ask_until_done(mode.command(number), mode.uses)
            number += callers

    for caller in range(callers):
        crowd.spawn(partial(call, caller), crowd.chance.uniform(0, LEARNING_SECONDS))
    crowd.run()
    return _row(mode.name, crowd, callers, seconds)


def leased(leases: int, seconds: float) -> dict[str, Any]:
    """Measure apps that hold a slice, count uses themselves, and capture what they counted."""
    crowd = Crowd(SEED)

    def lease(app: int, number: int = 0) -> None:
        while crowd.scheduler.now < seconds:
            _use_up(crowd, f"lease-{app}-{number}", seconds)
            number += 1

    for app in range(leases):
        crowd.spawn(partial(lease, app), crowd.chance.uniform(0, LEARNING_SECONDS))
    crowd.run()
    return _row("lease", crowd, leases, seconds)


def _use_up(crowd: Crowd, hold_id: str, seconds: float) -> None:
    """Hold a slice, and capture it second by second until it is used up or time is over."""
    left, number = SLICE_SECONDS * USES_OF_A_LEASE_PER_SECOND, 0
    opening = OpenHold(
        account_id=ACCOUNT_ID,
        entry_id=hold_id,
        actor=APP,
        amount=left,
        expires_in=HOLD_SECONDS,
    )
    crowd.ask_until_done(opening, uses=0)
    since = crowd.scheduler.now
    while left:
        crowd.scheduler.pause(1.0)
        now = crowd.scheduler.now
        uses = min(left, int((now - since) * USES_OF_A_LEASE_PER_SECOND))
        left, since, number = 0 if now >= seconds else left - uses, now, number + 1
        capture = CaptureHold(
            account_id=ACCOUNT_ID,
            entry_id=f"{hold_id}-{number}",
            actor=APP,
            hold_id=hold_id,
            amount=uses,
            final=not left,
            excess=False,
        )
        crowd.ask_until_done(capture, uses)


def _row(mode: str, crowd: Crowd, callers: int | None, seconds: float) -> dict[str, Any]:
    done = [answer for answer in crowd.answers if answer.is_done]
    refused = [answer for answer in crowd.answers if not answer.is_done]
    uses = sum(answer.uses for answer in done)

    def per_second(answers: list[Answer]) -> float:
        counted = [one.uses for one in answers if LEARNING_SECONDS <= one.answered_at < seconds]
        return round(sum(counted) / (seconds - LEARNING_SECONDS), 1)

    return {
        "mode": mode,
        "callers": callers,
        "offered_per_second": per_second(crowd.answers),
        "goodput_per_second": per_second(done),
        "refused_per_second": per_second(refused),
        "refusal_ms_max": round(
            1000 * max((one.answered_at - one.asked_at for one in refused), default=0.0),
        ),
        "write_units_per_success": round(crowd.units["write"] / uses, 2),
        "read_units_per_success": round(crowd.units["read"] / uses, 2),
        "tries_per_posting": round(crowd.units["tries"] / len(done), 2),
        "containers": len(crowd.containers),
        "conserved": crowd.taken() == uses,
    }


def main() -> None:
    """Print a table and, last, one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    measured = measure(quick=parser.parse_args().quick)
    print(*measured["rows"][0], sep="  ")
    for row in measured["rows"]:
        print(*(f"{value!s:>{len(name)}}" for name, value in row.items()), sep="  ")
    print(json.dumps(measured))


if __name__ == "__main__":
    main()

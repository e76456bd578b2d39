"""One hot account: how much gets through when too many want it, and what it costs.

Callers come by themselves, so many a second whatever they are answered (`callers` is None), or each
asks again when answered (1 to 128 of them), and waits as long as a refusal says. All in virtual
time: `bench/crowd.py` says what it is made of. `python -m bench.hot` prints it.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from bench.crowd import ACCOUNT_ID, Answer, Crowd
from scrip.domain.commands import Consume
from scrip.domain.entries import Actor, ActorType

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.commands import Command

SEED = 1
SECONDS = 10
SECONDS_QUICK = 3
LEARNING_SECONDS = 1.0
"""Figures a second are counted from then on: at first no container knows of a crowd."""

OFFERED_PER_SECOND = (25, 50, 100, 200, 400, 800)
CALLERS = (1, 2, 4, 8, 16, 32, 64, 128)

PAUSE_SECONDS = 0.1
PAUSE_SECONDS_MAX = 2.0
"""Who is refused waits as told, and at random up to PAUSE * 2^n more, as the client library."""

NOTES = [
    "In virtual time, the same on every machine: 10 ms a round trip, 5 ms in the transaction.",
    "A success is one use; a batch has 25. Units count the tries that were in vain, too.",
    "without_admission: callers whom the product lets in always, and lets try for 2 seconds.",
    "callers null: they come by themselves at a rate, and who is refused goes away.",
]


@dataclass(frozen=True)
class Mode:
    """A way to use an account: the command of the n-th caller, and how many uses are in it."""

    name: str
    uses: int
    command: Callable[[int], Command]


def consume(number: int, actor: ActorType = ActorType.USER) -> Consume:
    """Return a consume of 1 credit."""
    return Consume(
        account_id=ACCOUNT_ID,
        entry_id=f"consume-{number}",
        actor=Actor(actor, "crowd"),
        amount=1,
    )


SINGLE = Mode("consume", 1, consume)
WITHOUT_ADMISSION = Mode("without_admission", 1, partial(consume, actor=ActorType.SYSTEM))


def measure(*, quick: bool) -> dict[str, Any]:
    """Return `rows`, one for each mode and load, and `notes` that say how to read them."""
    seconds = SECONDS_QUICK if quick else SECONDS
    rates = (200, 800) if quick else OFFERED_PER_SECOND
    crowds = (1, 8, 128) if quick else CALLERS
    rows = [offered(SINGLE, rate, seconds) for rate in rates]
    rows += [asking_again(SINGLE, callers, seconds) for callers in crowds]
    rows += [offered(WITHOUT_ADMISSION, rate, seconds) for rate in rates if rate in {200, 400}]
    return {"rows": rows, "notes": NOTES}


def offered(mode: Mode, per_second: float, seconds: float, seed: int = SEED) -> dict[str, Any]:
    """Measure callers who come at a rate, at random, and go away when they are refused."""
    crowd = Crowd(seed)
    number, at = 0, crowd.chance.expovariate(per_second)
    while at < seconds:
        crowd.spawn(partial(crowd.ask, mode.command(number)), at)
        number, at = number + 1, at + crowd.chance.expovariate(per_second)
    crowd.run()
    return _row(mode, crowd, None, seconds)


def asking_again(mode: Mode, callers: int, seconds: float, seed: int = SEED) -> dict[str, Any]:
    """Measure callers each of whom asks again when answered; if refused the same, and later."""
    crowd = Crowd(seed)

    def call(caller: int) -> None:
        number, refused = caller, 0
        while crowd.scheduler.now < seconds:
            answer = crowd.ask(mode.command(number))
            if answer.retry_after is None:
                number, refused = number + callers, 0
            else:
                pause = min(PAUSE_SECONDS * 2**refused, PAUSE_SECONDS_MAX)
                crowd.scheduler.pause(answer.retry_after + crowd.chance.uniform(0, pause))
                refused += 1

    for caller in range(callers):
        crowd.spawn(partial(call, caller), crowd.chance.uniform(0, LEARNING_SECONDS))
    crowd.run()
    return _row(mode, crowd, callers, seconds)


def _row(mode: Mode, crowd: Crowd, callers: int | None, seconds: float) -> dict[str, Any]:
    done = [answer for answer in crowd.answers if answer.retry_after is None]
    refused = [answer for answer in crowd.answers if answer.retry_after is not None]
    uses = len(done) * mode.uses
    counted = seconds - LEARNING_SECONDS

    def per_second(answers: list[Answer]) -> float:
        in_time = sum(LEARNING_SECONDS <= answer.answered_at < seconds for answer in answers)
        return round(in_time * mode.uses / counted, 1)

    return {
        "mode": mode.name,
        "callers": callers,
        "offered_per_second": per_second(crowd.answers),
        "goodput_per_second": per_second(done),
        "refused_per_second": per_second(refused),
        "refusal_ms_max": round(1000 * max((_seconds(answer) for answer in refused), default=0.0)),
        "write_units_per_success": round(crowd.units["write"] / uses, 1),
        "read_units_per_success": round(crowd.units["read"] / uses, 1),
        "tries_per_success": round(crowd.units["tries"] / len(done), 1),
        "containers": len(crowd.containers),
        "conserved": crowd.taken() == uses,
    }


def _seconds(answer: Answer) -> float:
    return answer.answered_at - answer.asked_at


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

"""Make many lives and say which are wrong: python -m tests.unit.domain.entitlement 10000."""

from __future__ import annotations

import argparse
import time
import traceback
from dataclasses import fields as fields_of
from functools import partial
from multiprocessing import Pool
from typing import TYPE_CHECKING

from tests.unit.domain.entitlement.lives import Habits, Life, life
from tests.unit.domain.entitlement.properties import problems, smallest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scrip.domain.commands import Command

SHOWN_MAX = 20


def wrong(one: Life) -> str | None:
    """Return the first problem of a life."""
    try:
        return next(problems(one), None)
    except Exception:  # noqa: BLE001 - a crash is a finding, too
        return traceback.format_exc(limit=-3)


def judged(seed: int, habits: Habits) -> tuple[int, str | None]:
    return seed, wrong(life(seed, habits))


def said(at: datetime, command: Command | None) -> Iterator[str]:
    """Yield a command in lines that can be read."""
    hidden = {"account_id", "keyed", "actor", "lines"}
    fields = (
        command and {field.name: getattr(command, field.name) for field in fields_of(command)}
    ) or {}
    shown = {k: str(v) for k, v in fields.items() if v and k not in hidden}
    yield f"{at:%F %T} {type(command).__name__} {shown}"
    for line in fields.get("lines", ()):
        kind = ("credited" if line.credited else "rest of") if line.prorated else "whole"
        item = line.item_id or "-"
        yield f"{item} {line.quantity} {line.plan_id} {line.start:%F %T} {line.end:%F %T} {kind}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("lives", type=int)
    parser.add_argument("--first", type=int, default=0, help="the seed of the first life")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--plain", action="store_true", help="only what the books can follow")
    parser.add_argument("--overrides", type=float, default=0.0)
    parser.add_argument("--show", type=int, help="make the life of a seed as small as it gets")
    asked = parser.parse_args()
    habits = Habits(overrides=asked.overrides, disputes=not asked.overrides)
    if asked.plain:
        habits = Habits(holds=0, refunds=0, disputes=False, plans=("starter", "growth", "odd"))
    if asked.show is not None:
        small = smallest(life(asked.show, habits), wrong)
        for message in small.messages:
            print(*said(message.heard, message.command), sep="\n    ")  # noqa: T201
        for act in small.acts:
            print(*said(act.at, act.command), sep="\n    ")  # noqa: T201
        print(small.opened, small.zone, wrong(small))  # noqa: T201
        return
    began, bad = time.monotonic(), 0
    seeds = range(asked.first, asked.first + asked.lives)
    with Pool(asked.processes) as pool:
        for seed, problem in pool.imap_unordered(partial(judged, habits=habits), seeds, 50):
            if problem:
                bad += 1
                if bad <= SHOWN_MAX:
                    print(seed, problem[:600], flush=True)  # noqa: T201
    took = time.monotonic() - began
    print(f"{asked.lives} lives, {bad} wrong, {60 * asked.lives / took:.0f} a minute")  # noqa: T201


if __name__ == "__main__":
    main()

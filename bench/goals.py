"""What a part promises: figures with a bound, which `make bench` shows and fails on.

A part adds `"goals": [at_most(...), at_least(...)]` to what it returns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from rich.box import SIMPLE_HEAD
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console


class Goal(TypedDict):
    """One figure beside its goal, as the results contain it."""

    name: str
    measured: float
    bound: Literal["at most", "at least"]
    goal: float
    unit: str
    noise: float
    """Share of the goal by which a figure may miss it, because another run would differ as much."""

    result: Literal["met", "within noise", "missed"]


def at_most(name: str, measured: float, goal: float, unit: str, *, noise: float = 0) -> Goal:
    """Return a goal that lower figures meet. Counts have no noise."""
    return _goal(name, measured, "at most", goal, unit, noise=noise)


def at_least(name: str, measured: float, goal: float, unit: str, *, noise: float = 0) -> Goal:
    """Return a goal that higher figures meet. Counts have no noise."""
    return _goal(name, measured, "at least", goal, unit, noise=noise)


def goals_of(parts: Mapping[str, dict[str, Any]]) -> list[Goal]:
    """Return the goals of all parts."""
    return [goal for part in parts.values() for goal in part.get("goals", [])]


def show(console: Console, goals: Iterable[Goal]) -> None:
    """Print figures beside their goals."""
    table = Table("goal", title="Goals", title_justify="left", title_style="bold", box=SIMPLE_HEAD)
    for heading in ("measured", "bound"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for goal in goals:
        bound = f"{goal['bound']} {goal['goal']:,.4g} {goal['unit']}"
        style = "bold red" if goal["result"] == "missed" else None
        table.add_row(goal["name"], f"{goal['measured']:,.4g}", bound, goal["result"], style=style)
    console.print(table)


def _goal(
    name: str,
    measured: float,
    bound: Literal["at most", "at least"],
    goal: float,
    unit: str,
    *,
    noise: float,
) -> Goal:
    excess = measured - goal if bound == "at most" else goal - measured
    return {
        "name": name,
        "measured": round(measured, 4),
        "bound": bound,
        "goal": goal,
        "unit": unit,
        "noise": noise,
        "result": "met" if excess <= 0 else "within noise" if excess <= noise * goal else "missed",
    }

"""Draws the results as an SVG of up to four panels, one for each part that was measured."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import FuncFormatter

from bench import prices

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from matplotlib.axes import Axes

INK, FAINT, GRID = "#1f2933", "#7b8794", "#e4e7eb"
WRITES, READS, WRONG, GROWN = "#2f6f9f", "#8fc1e3", "#c8553d", "#3a7d44"
LINES = ("#2f6f9f", "#c8553d", "#3a7d44", "#8a5fa8", "#b7872b")
PANEL_INCHES = (5.2, 3.4)
COLUMNS = 2

STYLE: Any = {
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "axes.titleweight": "bold",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "svg.hashsalt": "scrip",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}

type Rows = list[dict[str, Any]]


def draw(result: dict[str, Any], picture: Path) -> None:
    """Draw the panels for which a document has results; nothing if there are none."""
    parts = {name: part["rows"] for name, part in result["parts"].items()}
    panels = [(panel, parts[name]) for name, panel in PANELS if name in parts]
    if not panels:
        return
    lines = -(-len(panels) // COLUMNS)
    columns = min(COLUMNS, len(panels))
    with mpl.rc_context(STYLE):
        width, height = PANEL_INCHES
        layout = ConstrainedLayoutEngine(h_pad=0.12, w_pad=0.12)
        figure = Figure(figsize=(columns * width, lines * height + 0.4), layout=layout)
        for number, (panel, rows) in enumerate(panels, start=1):
            panel(figure.add_subplot(lines, columns, number), rows)
        machine = result["machine"]
        figure.supxlabel(
            f"{result['mode']} run of {result['began_at'][:10]}, {machine['processor']},"
            f" {machine['processors']} processors",
            fontsize=8,
            color=FAINT,
        )
        figure.savefig(picture, metadata={"Date": None})


def _cost(axes: Axes, rows: Rows) -> None:
    """Draw the cost of a million consumes, and their round trips."""
    shown = [row for row in rows if row["case"] == "consume" and "usd_per_million" in row]
    names = [_in_lines(row["design"]) for row in shown]
    writes = [row["write_units"] * prices.WRITE_UNITS_MILLION for row in shown]
    reads = [row["read_units"] * prices.READ_UNITS_MILLION for row in shown]
    axes.barh(names, writes, color=WRITES, label="writes", height=0.55)
    axes.barh(names, reads, left=writes, color=READS, label="reads", height=0.55)
    for place, row in enumerate(shown):
        text = f" {row['usd_per_million']:.2f}, {row['round_trips']} round trips"
        axes.text(row["usd_per_million"], place, text, va="center")
    axes.set_xlim(0, max(row["usd_per_million"] for row in shown) * 1.6)
    axes.set_title("DynamoDB, dollars per million consumes")
    axes.legend(frameon=False, loc="lower right")
    axes.invert_yaxis()


def _wrong(axes: Axes, rows: Rows) -> None:
    """Draw wrong charges under all faults at once."""
    names = [_in_lines(row["design"]) for row in rows]
    shares = [row["wrongly_charged_per_million"] for row in rows]
    axes.barh(names, shares, color=WRONG, height=0.55)
    for place, share in enumerate(shares):
        axes.text(share, place, f" {share:,}", va="center")
    axes.set_xlim(0, max(*shares, 1) * 1.25)
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.set_title("Wrongly charged per million uses, under faults")
    axes.invert_yaxis()


def _growth(axes: Axes, rows: Rows) -> None:
    """Draw the write units of a consume after longer histories, and with more grants."""
    for kind, key, color in (("history", "entries", WRITES), ("grants", "grants", GROWN)):
        shown = [row for row in rows if row["growing"] == kind]
        numbers = [row[key] for row in shown]
        units = [row["write_units"] for row in shown]
        axes.plot(numbers, units, "o-", color=color, label=f"by {key}")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(_number))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("entries, or grants")
    _grid(axes)
    axes.set_title("Write units of a consume")
    axes.legend(frameon=False, loc="upper right")


def _hot(axes: Axes, rows: Rows) -> None:
    """Draw the throughput of one account against the number of callers."""
    modes = dict.fromkeys(row["mode"] for row in rows if row.get("callers"))
    for mode, color in zip(modes, LINES, strict=False):
        shown = [row for row in rows if row["mode"] == mode and row.get("callers")]
        callers = [row["callers"] for row in shown]
        goodput = [row["goodput_per_second"] for row in shown]
        axes.plot(callers, goodput, "o-", color=color)
        place: Any = {"xytext": (0, 6), "textcoords": "offset points", "ha": "right"}
        axes.annotate(mode.replace("_", " "), (callers[-1], goodput[-1]), color=color, **place)
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_number))
    axes.set_xlabel("callers")
    _grid(axes)
    axes.margins(y=0.15)
    axes.set_title("One hot account, uses per second")


def _in_lines(name: str) -> str:
    """Return a name of several words on two lines."""
    first, *others = name.split(" ", 1)
    return "\n".join([first, *others])


def _number(value: float, _: int | None) -> str:
    return f"{value:,.0f}"


def _grid(axes: Axes) -> None:
    axes.grid(color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)


PANELS: tuple[tuple[str, Callable[[Axes, Rows], None]], ...] = (
    ("consume", _cost),
    ("faults", _wrong),
    ("growth", _growth),
    ("hot", _hot),
)
"""The part that each panel shows."""

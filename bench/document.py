"""Builds the document of the benchmark's results, as document.schema.json describes it."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import prices

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

VERSION = 1
"""Version of the document's shape; it changes when readers of the old shape would misread it."""

HERE = "_here"
ROOT = Path(__file__).parents[1]
CPUS = Path("/proc/cpuinfo")
GIBIBYTE = 1024**3


def document(
    parts: Mapping[str, dict[str, Any]], *, quick: bool, began_at: datetime, seconds: float
) -> dict[str, Any]:
    """Return the results of some parts, and the circumstances of the run."""
    rows = [row for part in parts.values() for row in part["rows"]]
    return {
        "format": "scrip-benchmark",
        "version": VERSION,
        "mode": "quick" if quick else "whole",
        "began_at": began_at.isoformat(timespec="seconds"),
        "seconds_here": round(seconds, 1),
        "commit": _git("rev-parse", "HEAD"),
        "has_local_changes": bool(_git("status", "--porcelain")),
        "machine": {
            "processor": _processor(),
            "processors": os.cpu_count(),
            "memory_gib": round(
                os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIBIBYTE
            ),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        "prices": {
            "region": prices.REGION,
            "as_of": prices.AS_OF,
            "sources": prices.SOURCES,
        },
        "of_this_machine": sorted({key for row in rows for key in row if key.endswith(HERE)}),
        "parts": dict(parts),
    }


def _git(*words: str) -> str | None:
    """Return git's output for this folder; None if it is not a clone, or git is missing."""
    try:
        output = subprocess.run(
            ["git", *words],
            cwd=ROOT,
            capture_output=True,
            check=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return output.stdout.strip()


def _processor() -> str:
    """Return the processor's name, or its architecture if the system does not know more."""
    if CPUS.is_file():
        for line in CPUS.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()

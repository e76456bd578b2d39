"""A part's progress: lines on stderr, which the benchmark shows beside the part's name."""

import sys


def report(step: str) -> None:
    """Report the step that begins."""
    print(step, file=sys.stderr, flush=True)

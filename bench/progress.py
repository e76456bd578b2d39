"""How far a part has come: a line on stderr, which the benchmark shows beside the part's name."""

import sys


def told(step: str) -> None:
    """Tell what is being done."""
    print(step, file=sys.stderr, flush=True)

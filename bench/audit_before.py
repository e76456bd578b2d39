"""Rounds of the audit as they were before checkpoints, for part `audit` to compare with.

Part `audit` starts it with the code of that time. For each line that it reads it audits the table
and prints, as JSON, its round trips, its processor time and how long it took.
"""

import json
import sys
import time
from datetime import timedelta

from functions.audit import rounds
from scrip.ledger import Ledger, ledger, utc_now

LATER = timedelta(days=float(sys.argv[1]))

calls = 0


def sent(**_: object) -> None:
    """Count a call."""
    global calls  # noqa: PLW0603 - a script
    calls += 1


table = ledger().table
# The rounds beside it save progress of their own, so this one keeps its progress to itself.
setattr(rounds, "save_progress", lambda _, progress: progress)  # noqa: B010 - of another time
table.client.meta.events.register("before-send.dynamodb", sent)
for _ in sys.stdin:
    calls, processor, began = 0, time.process_time(), time.monotonic()
    clocked = Ledger(table, lambda: utc_now() + LATER)
    # It was one function, without a queue.
    progress = rounds.continue_round(clocked, in_time=lambda: True, restart=True)  # type: ignore[call-arg]
    assert progress.last, progress
    assert not progress.last.mismatches, "it finds fault with sound accounts"
    figures = {
        "round_trips": calls,
        "processor_seconds": time.process_time() - processor,
        "seconds": time.monotonic() - began,
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    sys.stdout.flush()

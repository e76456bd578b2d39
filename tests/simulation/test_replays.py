"""`scrip what-if` replays simulated worlds to the same ledgers, whatever befell them."""

import json
import subprocess
import sys
from pathlib import Path

from tests.documentation import ROOT

SCRIPT = Path(__file__).with_name("replayed_worlds.py")
WORLDS = 3
FIRST_WORLD = 1

REPLAYED_MIN = 0.95
REPLAYED_WITH_MESSAGES_MIN = 0.8
"""How many of all entries the replay writes itself.

In these worlds clocks differ by minutes, so that changes of one instant come in no order; and
most of the money that is ever paid goes back.
"""


def test_worlds_are_replayed_to_the_hashes_of_their_ledgers() -> None:
    ran = subprocess.run(
        [sys.executable, str(SCRIPT), str(FIRST_WORLD), str(WORLDS)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr[-2_000:]
    accounts = [json.loads(line) for line in ran.stdout.splitlines()]
    assert accounts
    assert all(account["is_same"] for account in accounts)
    for with_messages, least in ((False, REPLAYED_MIN), (True, REPLAYED_WITH_MESSAGES_MIN)):
        some = [account for account in accounts if account["with_messages"] is with_messages]
        entries = sum(account["entries"] for account in some)
        itself = entries - sum(account["differ"] + account["facts"] for account in some)
        assert itself >= least * entries
    assert not any(a["facts"] for a in accounts if not a["with_messages"])

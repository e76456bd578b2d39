"""Part `audit`: a round of the audit over accounts with 20 entries, and the reading of an entry.

Calls are counted on a local AWS. An entry's item is read in two ways in turn: typed at
once, and compared with what Scrip writes before that.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from bench.goals import at_least, at_most
from bench.ledgers import life, write
from bench.local import local_aws
from scrip.audit.accounts import audit_account, audit_leads
from scrip.ledger import utc_now
from scrip.store.audit.books import account_pages
from scrip.store.audit.entries import entry_as_written
from scrip.store.items import entry_of, unknown_in_entry
from scrip.store.keys import is_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from scrip.store.client import Table
    from scrip.store.items import Wire

ENTRIES = 20
QUICK, WHOLE = 50, 500
"""Numbers of accounts."""

TIMES = 7
"""How often each way of reading is measured; the fastest counts."""

CALLS_MAX = 3.2
READING_MIN = 3
NOISE = 0.15

NOTE = (
    f"Accounts have {ENTRIES} entries, an address and a payment. Processor time is that of the"
    " audit alone, without the local AWS."
)


def measure(*, quick: bool) -> dict[str, Any]:
    """Audit accounts, and read entries both ways."""
    with local_aws() as aws:
        row = measure_on(aws.table, QUICK if quick else WHOLE)
    goals = [
        at_most("audit: calls an account", row["round_trips_per_account"], CALLS_MAX, "calls"),
        at_least(
            "audit: reading an entry, typed to compared first",
            _times_faster(),
            READING_MIN,
            "times",
            noise=NOISE,
        ),
    ]
    return {"rows": [row], "notes": [NOTE], "goals": goals}


def measure_on(table: Table, accounts: int) -> dict[str, Any]:
    """Return the row of a round.

    Raises:
        AssertionError: the audit finds fault with sound accounts.
    """
    write(table, {f"bench-{number}": ENTRIES for number in range(accounts)})
    calls = 0

    def sent(**_: object) -> None:
        nonlocal calls
        calls += 1

    table.client.meta.events.register("before-send.dynamodb", sent, unique_id="bench-calls")
    assert audit_account(table, "bench-0", utc_now())  # the first builds what reads items
    calls, began = 0, time.process_time()
    for page in account_pages(table):
        for account_id in page.account_ids:
            audited = audit_account(table, account_id, utc_now(), with_names=False)
            assert audited is not None, account_id
            assert (audited.entries, audited.findings) == (ENTRIES, ()), audited
        assert not audit_leads(table, page.leads)
    seconds = time.process_time() - began
    table.client.meta.events.unregister("before-send.dynamodb", unique_id="bench-calls")
    return {
        "case": "every account for the first time",
        "accounts": accounts,
        "round_trips_per_account": round(calls / accounts, 2),
        "processor_ms_per_account_here": round(1000 * seconds / accounts, 2),
    }


def _times_faster() -> float:
    """Return how many times as long it takes to read an entry typed at once."""
    items = [item for item in life("bench", 1_000) if is_entry(item["pk"]["S"])]
    both = [(_seconds(_typed, items), _seconds(entry_as_written, items)) for _ in range(TIMES)]
    typed, compared = (min(seconds) for seconds in zip(*both, strict=True))
    return float(round(typed / compared, 2))


def _typed(item: Wire) -> None:
    unknown_in_entry(item, entry_of(item))


def _seconds(read: Callable[[Wire], object], items: Sequence[Wire]) -> float:
    began = time.process_time()
    for item in items:
        read(item)
    return time.process_time() - began

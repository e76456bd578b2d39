"""Part `growth`: the same consume after ever longer histories, and with ever more grants.

The accounts share a table and take turns.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.designs.scrip_path import SUPPORT, lambda_handler, postings
from bench.goals import Goal, at_most
from bench.ledgers import put
from bench.local import LocalAws, local_aws
from bench.meter import Meter
from bench.progress import report
from bench.requests import CONTEXT, consume_event
from bench.timing import Timing
from functions.bootstrap.default_catalog import DEFAULT_CATALOG
from scrip.domain.commands import Consume, Refund
from scrip.domain.decide import decide
from scrip.domain.posting import Refundable
from scrip.ledger import utc_now
from scrip.store.items import account_item, entry_item, to_wire
from scrip.store.keys import account_key, refunded_key
from simulation.dynamodb import item_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scrip.domain.account import Account
    from scrip.domain.posting import Posting
    from scrip.store.client import Table
    from scrip.store.items import Wire

OK = 200
CREDITS = 10_000_000
GRANTS = (1, 2, 4, 13, 25, 50)
BASE = 4
"""Number of grants of an account whose history grows."""

NOTES = (
    "A history consists of uses and refunds in turn, so that the grants stay the same.",
    (
        "A transaction takes 2 units for every kilobyte of the account, and 2 for the entry;"
        " the index of entries takes 1."
    ),
    "The ratio of processor time is to the first row of its kind, in the best round.",
)


class Sizes(NamedTuple):
    """How much to measure: entries per history, the number of rounds, and consumes in each."""

    histories: tuple[int, ...]
    rounds: int
    consumes: int


QUICK = Sizes(histories=(10, 1_000), rounds=5, consumes=12)
WHOLE = Sizes(histories=(10, 1_000, 100_000), rounds=15, consumes=40)


def measure(*, quick: bool) -> dict[str, Any]:
    """Measure a consume on every account."""
    with local_aws() as aws:
        rows = measure_on(aws, QUICK if quick else WHOLE)
    return {"rows": rows, "goals": _goals(rows), "notes": [*NOTES]}


def _goals(rows: list[dict[str, Any]]) -> list[Goal]:
    some, most = (
        next(row for row in rows if row["growing"] == "grants" and row["grants"] == grants)
        for grants in (13, 50)
    )
    units, ratio = most["write_units"], most["cpu_to_first_ratio"]
    return [
        at_most("growth: an account with 13 grants", some["account_bytes"], 1_024, "bytes"),
        at_most("growth: a consume with 50 grants", units, 10, "write units"),
        at_most("growth: the same, to one grant", ratio, 1.3, "times the CPU", noise=0.1),
    ]


def measure_on(aws: LocalAws, sizes: Sizes) -> list[dict[str, Any]]:
    """Return a row for each account."""
    subjects = []
    for entries in sizes.histories:
        report(f"writing {entries} entries")
        subjects.append(Subject(aws.table, "history", entries=entries, grants=BASE))
    subjects += [
        Subject(aws.table, "grants", entries=grants + 1, grants=grants) for grants in GRANTS
    ]
    rows = [subject.counted() for subject in subjects]
    for number in range(sizes.rounds):
        report(f"round {number + 1} of {sizes.rounds}")
        for subject in subjects:
            subject.timed_round(sizes.consumes)
    first: dict[str, Subject] = {}
    for row, subject in zip(rows, subjects, strict=True):
        base = first.setdefault(subject.kind, subject)
        row["cpu_to_first_ratio"] = round(subject.timing.cpu_ms_best / base.timing.cpu_ms_best, 2)
        row["cpu_ms_here"] = round(subject.timing.cpu_ms_best, 3)
    return rows


class Subject:
    """An account with a number of entries and grants, and what a consume on it takes."""

    def __init__(self, table: Table, kind: str, *, entries: int, grants: int) -> None:
        """Write the account."""
        self.table = table
        self.kind = kind
        self.entries = entries
        self.grants = grants
        self.account_id = f"growth-{kind}-{entries}"
        self.timing = Timing()
        self._uses = 0
        put(table, _items(self.account_id, entries, grants))

    def counted(self) -> dict[str, Any]:
        """Consume, and return a row with the calls to DynamoDB."""
        meter = Meter()
        self.consume()
        meter.hook(self.table.client)
        self.consume()
        meter.unhook(self.table.client)
        key = to_wire(account_key(self.account_id))
        item: Any = self.table.client.get_item(TableName=self.table.name, Key=key)["Item"]
        return {
            "growing": self.kind,
            "entries": self.entries,
            "grants": self.grants,
            "account_bytes": item_size(item),
            "round_trips": meter.round_trips,
            "write_units": meter.write_units,
            "read_units": meter.read_units,
        }

    def timed_round(self, consumes: int) -> None:
        """Time a round of consumes."""
        self.timing.round(self._requests(consumes))

    def consume(self) -> None:
        """Consume once."""
        for request in self._requests(1):
            request()

    def _requests(self, count: int) -> list[partial[None]]:
        keys = [f"timed-{self._uses + n}" for n in range(count)]
        self._uses += count
        return [partial(_ask, consume_event(self.account_id, key, 1)) for key in keys]


def _ask(event: dict[str, Any]) -> None:
    answer = lambda_handler(event, CONTEXT)
    assert answer["statusCode"] == OK, answer


def _items(account_id: str, entries: int, grants: int) -> Iterator[Wire]:
    """Yield the items of an account with a number of entries."""
    account: Account | None = None
    written = 0
    for posting in _life(account_id, grants):
        if written >= entries:
            break
        for entry in posting.entries:
            yield to_wire(entry_item(account_id, entry))
        if posting.refund:
            refundable, total = posting.refund
            key = refunded_key(account_id, refundable.entry.entry_id)
            yield to_wire({**key, "refunded": total})
        written += len(posting.entries)
        account = posting.after
    assert account
    yield to_wire(account_item(account))


def _life(account_id: str, grants: int) -> Iterator[Posting]:
    """Yield an account's postings: its grants, then uses, each of which is refunded."""
    now = utc_now()
    for posting in postings(account_id, CREDITS, now, grants):
        yield posting
        account = posting.after
    number = 0
    while True:
        number += 1
        common: dict[str, Any] = {"account_id": account_id, "actor": SUPPORT}
        use = Consume(**common, entry_id=f"use-{number}", feature=None, amount=5)
        used = decide(account, use, catalog=DEFAULT_CATALOG, now=now)
        yield used
        assert used.entry
        refund = Refund(
            **common, entry_id=f"refund-{number}", refunds=use.entry_id, reason="timed out"
        )
        refundable = Refundable(entry=used.entry, refunded=0)
        refunded = decide(
            used.after, refund, catalog=DEFAULT_CATALOG, now=now, refundable=refundable
        )
        yield refunded
        account = refunded.after

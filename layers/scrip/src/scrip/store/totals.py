"""The totals of all accounts by day, which the stream's function keeps with their usage."""

from __future__ import annotations

from collections import defaultdict
from datetime import date, timedelta
from itertools import batched
from typing import TYPE_CHECKING

from scrip.domain.totals import Totals
from scrip.store.client import BATCH_MAX
from scrip.store.items import totals_of
from scrip.store.keys import TOTALS_SHARDS, id_of, totals_key

if TYPE_CHECKING:
    from scrip.store.client import Table


def read_totals(table: Table, from_: date, to: date) -> dict[date, Totals]:
    """Return the totals of days on which anything happened, oldest first; a round trip for 12 days.

    `from_` is included, `to` is not.
    """
    days = [from_ + timedelta(days=n) for n in range((to - from_).days)]
    keys = [totals_key(day, shard) for day in days for shard in range(TOTALS_SHARDS)]
    found: dict[date, Totals] = defaultdict(Totals)
    for some in batched(keys, BATCH_MAX, strict=False):
        for wire in table.get_batch(some):
            found[date.fromisoformat(id_of(wire["pk"]["S"]))] += totals_of(wire)[1]
    return dict(sorted(found.items()))

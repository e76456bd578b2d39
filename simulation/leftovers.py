"""What is left when everything is delivered: archive, events and usage, held to the model."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from simulation.findings import wrong
from simulation.plain import day_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simulation.books import Books
    from simulation.model import Model
    from simulation.services import Sent

type Uses = dict[tuple[str, str, str | None], list[int]]
"""Credits, count and credits refunded, by account, day and feature."""


def check_archive(model: Model, objects: Mapping[str, bytes]) -> None:
    """Every entry is in the archive, and nothing else."""
    archived = {
        (line["account_id"], line["seq"]): line["hash"]
        for body in objects.values()
        for line in map(json.loads, gzip.decompress(body).splitlines())
    }
    entries = {
        (who, entry["seq"]): entry["hash"].hex()
        for who, books in model.books.items()
        for entry in books.entries
    }
    for place, hash_ in entries.items():
        if archived.get(place) != hash_:
            wrong("lost", f"{place} is not in the archive")
    if len(archived) > len(entries):
        wrong("made", "the archive has entries of its own")


def check_events(model: Model, sent: Iterable[Sent]) -> None:
    """Every entry was told of, those of an account in order; and every crossing, once.

    What the bus did not take at first comes late: the order is that of sending.
    """
    last: dict[str, int] = defaultdict(int)
    told: dict[str, set[int]] = defaultdict(set)
    crossed: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for event in sent:
        detail = json.loads(event.detail)
        who, seq = detail["account_id"], detail["seq"]
        if "entry_id" in detail:
            if seq > last[who] + 1:
                wrong("violation", f"entry {seq} of {who} was told after {last[who]}")
            last[who] = max(last[who], seq)
            if event.is_taken:
                told[who].add(seq)
        elif event.is_taken:
            crossed[who].add((event.name, seq))
    for who, books in model.books.items():
        if len(told[who]) != len(books.entries):
            wrong("lost", f"not every entry of {who} was told of")
        if crossed[who] != books.crossings:
            wrong("violation", f"{who} crossed {books.crossings}, told: {crossed[who]}")


def check_usage(model: Model, items: Iterable[dict[str, Any]]) -> None:
    """The usage items count every use and refund once."""
    stored: Uses = {}
    for item in map(plain, items):
        if item["sk"].startswith("USAGE#"):
            who, day = item["pk"].removeprefix("ACCOUNT#"), item["sk"].removeprefix("USAGE#")
            for use in item.get("uses", ()):
                numbers = [use.get(name, 0) for name in ("credits", "count", "refunded")]
                stored[who, day, use.get("feature")] = numbers
    counted: Uses = {}
    for books in model.books.values():
        _count(books, counted)
    if stored != counted:
        differing = {key for key in stored | counted if stored.get(key) != counted.get(key)}
        wrong("violation", f"usage is counted wrongly: {sorted(map(str, differing))}")


def _count(books: Books, counted: Uses) -> None:
    for entry in books.entries:
        if entry["type"] not in {"usage", "refund"}:
            continue
        place = books.account_id, day_of(entry["recorded_at"]), entry.get("feature")
        use = counted.setdefault(place, [0, 0, 0])
        if entry["type"] == "usage":
            use[0] += entry["cost"]
            use[1] += 1
        else:
            use[2] += entry["cost"]

"""Compares the archive, the events and the usage with the model after the last delivery."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

from simulation.findings import wrong
from simulation.plain import day_of, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from simulation.books import Books
    from simulation.model import Model
    from simulation.services import Sent

type Uses = dict[tuple[str, str, str | None], tuple[list[int], dict[str, int]]]
"""Credits, count and credits refunded, and the count of each meter, by account, day and feature."""


def check_archive(model: Model, objects: Mapping[str, bytes]) -> None:
    """Check that the archive has every entry and nothing else."""
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
        wrong("made", "the archive has entries that the ledger lacks")


def check_events(model: Model, sent: Iterable[Sent]) -> None:
    """Check that there was an event for every entry, in order, and one for every crossing.

    An event that the bus first refused arrives late; what counts is the order of sending.
    """
    last: dict[str, int] = defaultdict(int)
    accepted: dict[str, set[int]] = defaultdict(set)
    crossed: dict[str, set[tuple[str, int]]] = defaultdict(set)
    for event in sent:
        detail = json.loads(event.detail)
        who, seq = detail["account_id"], detail["seq"]
        if "entry_id" in detail:
            if seq > last[who] + 1:
                wrong("violation", f"the event of entry {seq} of {who} came after {last[who]}")
            last[who] = max(last[who], seq)
            if event.is_accepted:
                accepted[who].add(seq)
        elif event.is_accepted:
            crossed[who].add((event.name, seq))
    for who, books in model.books.items():
        if len(accepted[who]) != len(books.entries):
            wrong("lost", f"an entry of {who} has no event")
        if crossed[who] != books.crossings:
            wrong("violation", f"{who} crossed {books.crossings}, but events say {crossed[who]}")


def check_lists(model: Model, items: Iterable[dict[str, Any]]) -> None:
    """Check that every account is in the lists that its item belongs to, and no closed one is."""
    accounts: dict[str, dict[str, Any]] = {}
    rows: dict[str, set[str]] = defaultdict(set)
    for item in map(plain, items):
        if item["sk"] == "ACCOUNT":
            accounts[item["pk"].removeprefix("ACCOUNT#")] = item
        elif item["sk"].startswith("LISTED#") and "directory_pk" in item:
            rows[item["pk"].removeprefix("NAMES#")].add(item["sk"].removeprefix("LISTED#"))
    for who, books in model.books.items():
        account, listed = accounts[who], {row for row in rows[who] if not row.startswith("plan:")}
        plans = rows[who] - listed
        available = sum(grant["remaining"] for grant in account.get("grants", ()))
        available -= account.get("debt", 0)
        facts = {
            "opened": True,
            "id": True,
            "frozen": account.get("status") == "frozen",
            "in_debt": account.get("debt", 0) > 0,
            "out_of_credits": available <= 0,
            "held": any(
                part["amount"] for one in account.get("holds", ()) for part in one["allocations"]
            ),
            "past_due": "past_due" in listed,  # which subscription counts is the ledger's own rule
        }
        right = set() if books.is_closed else {row for row, applies in facts.items() if applies}
        if listed != right or bool(plans) == books.is_closed:
            wrong("violation", f"{who} is in the lists {sorted(rows[who])}, not in {sorted(right)}")


def check_usage(model: Model, items: Iterable[dict[str, Any]]) -> None:
    """Check that the usage items count every use and refund once."""
    stored: Uses = {}
    for item in map(plain, items):
        if item["sk"].startswith("USAGE#"):
            who, day = item["pk"].removeprefix("ACCOUNT#"), item["sk"].removeprefix("USAGE#")
            for use in item.get("uses", ()):
                numbers = [use.get(name, 0) for name in ("credits", "count", "refunded")]
                stored[who, day, use.get("feature")] = numbers, use.get("meters", {})
    counted: Uses = {}
    for books in model.books.values():
        _count(books, counted)
    if stored != counted:
        differing = {key for key in stored | counted if stored.get(key) != counted.get(key)}
        wrong("violation", f"the usage is wrong: {sorted(map(str, differing))}")


def check_totals(model: Model, items: Iterable[dict[str, Any]]) -> None:
    """Check that every entry is once in its day's totals, and once by its reference."""
    stored, counted = Counter[tuple[str, ...]](), Counter[tuple[str, ...]]()
    for item in map(plain, items):
        kind, _, owner = item["pk"].partition("#")
        day = owner if kind == "TOTALS" else item["sk"][: len("2026-11-01")]
        for line in item.get("lines", ()) if kind in {"TOTALS", "REFERENCES"} else ():
            place = kind, day, "" if kind == "TOTALS" else owner, line["type"]
            stored.update(_numbers(place, line["count"], line.get("amount", 0)))
    for who, books in model.books.items():
        for entry in books.entries:
            day, amount = day_of(entry["recorded_at"]), entry["amount"]
            counted.update(_numbers(("TOTALS", day, "", entry["type"]), 1, amount))
            if entry.get("reference"):
                counted.update(_numbers(("REFERENCES", day, who, entry["type"]), 1, amount))
    if stored != counted:
        differing = {key for key in stored | counted if stored[key] != counted[key]}
        wrong("violation", f"the totals are wrong: {sorted(differing)}")


def _numbers(place: tuple[str, ...], count: int, amount: int) -> dict[tuple[str, ...], int]:
    return {(*place, "count"): count, (*place, "amount"): amount}


def _count(books: Books, counted: Uses) -> None:
    for entry in books.entries:
        if entry["type"] not in {"usage", "refund"}:
            continue
        place = books.account_id, day_of(entry["recorded_at"]), entry.get("feature")
        use, meters = counted.setdefault(place, ([0, 0, 0], {}))
        for meter, count in entry.get("usage", {}).items():
            if count:
                meters[meter] = meters.get(meter, 0) + count
        if entry["type"] == "usage":
            use[0] += entry["cost"]
            use[1] += 1
        else:
            use[2] += entry["cost"]

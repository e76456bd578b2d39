"""The ledger of all accounts: the index that holds nothing but entries, a page at a time.

It is eventually consistent, by milliseconds as a rule: an entry that is committed while it is read
may be among what is read or not. What was there before is read once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scrip.domain.errors import CorruptAccountError
from scrip.store.client import Table, answered
from scrip.store.items import entry_of, to_wire
from scrip.store.keys import id_of, ledger_partition

if TYPE_CHECKING:
    from datetime import datetime

    from scrip.domain.entries import Entry

INDEX = "history"

type Place = dict[str, Any]
"""Where a page ended, as DynamoDB tells it; it is JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which entries are asked for: all, one account's, those of a time (`until` is not included).

    A time is of when an entry was recorded. It spares nothing: all entries are read, and paid for.
    """

    account_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Entries with their account's id; `place` is where the next page begins, None at the end.

    `unreadable` are the account's and the entry's ids of what was spoilt by hand.
    """

    entries: list[tuple[str, Entry]]
    unreadable: list[tuple[str, str]]
    place: Place | None


def read_history(table: Table, asked: HistoryFilter, place: Place | None) -> HistoryPage:
    """Return a page of up to a megabyte, in an order of DynamoDB's own. One round trip.

    With a time, a page can be short before the end, even empty. One account's are in order of seq.

    Raises:
        BusyError: the table did not answer.
    """
    request: dict[str, Any] = {"TableName": table.name, "IndexName": INDEX}
    clauses = {"recorded_at >= :since": asked.since, "recorded_at < :until": asked.until}
    used = {clause: value for clause, value in clauses.items() if value is not None}
    values: dict[str, Any] = {clause.split()[2]: value for clause, value in used.items()}
    if used:
        request["FilterExpression"] = " AND ".join(used)
    if place is not None:
        request["ExclusiveStartKey"] = place
    ask: Any = table.client.scan
    if asked.account_id is not None:
        ask = table.client.query
        request["KeyConditionExpression"] = "pk = :pk"
        values[":pk"] = ledger_partition(asked.account_id)
    if values:
        request["ExpressionAttributeValues"] = to_wire(values)
    with answered():
        answer = ask(**request)
    page = HistoryPage(entries=[], unreadable=[], place=answer.get("LastEvaluatedKey"))
    for item in answer["Items"]:
        account_id = id_of(item["pk"]["S"])
        try:
            page.entries.append((account_id, entry_of(item)))
        except CorruptAccountError:
            page.unreadable.append((account_id, id_of(item["sk"]["S"])))
    return page


def describe_history(table: Table) -> tuple[str, int]:
    """Return the table's ARN, and how many entries there are as far as DynamoDB knows.

    It counts every six hours or so.
    """
    with answered():
        told = table.client.describe_table(TableName=table.name)["Table"]
    [index] = [one for one in told["GlobalSecondaryIndexes"] if one["IndexName"] == INDEX]
    return told["TableArn"], index.get("ItemCount", 0)

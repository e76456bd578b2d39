"""The ledger of all accounts, read from the index of entries a page at a time.

The index is eventually consistent, usually within milliseconds: an entry that is committed while it
is read may or may not be included. Entries from before are read exactly once.
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
"""Where a page ended: DynamoDB's `LastEvaluatedKey`, which is JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryFilter:
    """Which entries to return: all, those of one account, or by `recorded_at` (`until` excluded).

    A time does not make the export cheaper: all entries are read and paid for.
    """

    account_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryPage:
    """Entries with their account IDs; `place` is where the next page begins, None at the end.

    `unreadable` are the account and entry IDs of entries that cannot be read.
    """

    entries: list[tuple[str, Entry]]
    unreadable: list[tuple[str, str]]
    place: Place | None


def read_history(table: Table, asked: HistoryFilter, place: Place | None) -> HistoryPage:
    """Return a page of up to a megabyte in no particular order, or one account's by seq.

    One round trip. With a time filter, a page may be short or empty before the end.

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
    """Return the table's ARN and the number of entries, which DynamoDB updates every six hours."""
    with answered():
        described = table.client.describe_table(TableName=table.name)["Table"]
    [index] = [one for one in described["GlobalSecondaryIndexes"] if one["IndexName"] == INDEX]
    return described["TableArn"], index.get("ItemCount", 0)

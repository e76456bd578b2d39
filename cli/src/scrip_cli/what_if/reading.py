"""Reading what a replay needs of an account: two queries, and few items by their keys."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from scrip.domain.errors import CorruptAccountError
from scrip.store.audit.books import newest_entry_at, read_ledger
from scrip.store.items import account_of, audit_of, retired_of, term_of
from scrip.store.keys import account_key
from scrip.store.queries import read_entry, read_payment
from scrip_cli.what_if.records import QUOTA_CHANGE, Records
from scrip_cli.what_if.replay import Replay
from scrip_cli.work import patiently

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from scrip.domain.account import Account
    from scrip.domain.catalog import Catalog
    from scrip.domain.entries import Entry
    from scrip.domain.posting import AuditRecord
    from scrip.store.client import Table
    from scrip_cli.what_if.catalogs import Catalogs


def read_replay(
    table: Table, account_id: str, catalogs: Catalogs, wanted: Catalog, since: datetime
) -> Replay | None:
    """Return the replay of an account at other prices since an instant; None if it needs none.

    It reads the entries while it runs.

    Raises:
        CorruptAccountError: the account was changed by hand.
        NewerVersionError: a newer version wrote some of it.
        BusyError: the table did not answer, several times.
    """
    newest = newest_entry_at(table, account_id)
    records = None
    if newest is not None and newest >= since:
        records = patiently(partial(read_records, table, account_id))
    if records is None:
        return None
    entries = _entries(table, account_id, records.account.seq_last)
    return Replay(records, entries, catalogs.at, wanted, since)


def _entries(table: Table, account_id: str, seq_last: int) -> Iterator[Entry]:
    """Yield the entries of an account up to the one that was the newest when it was read."""
    for stored in takewhile(lambda one: one.seq <= seq_last, read_ledger(table, account_id)):
        if stored.entry is None:
            raise CorruptAccountError(account_id)
        yield stored.entry


def read_records(table: Table, account_id: str) -> Records | None:
    """Return what the table keeps of an account beside its entries; None if there is no account.

    Raises:
        CorruptAccountError: the account was changed by hand.
        NewerVersionError: a newer version wrote some of it.
        BusyError: the table did not answer.
    """
    account: Account | None = None
    found: dict[str, dict[str, Any]] = {"GRANT": {}, "TERM": {}, "REFUNDED": {}, "HOLD": {}}
    quotas: list[AuditRecord] = []
    partition = account_key(account_id)["pk"]
    for wire in table.query_all("pk = :pk", {":pk": partition}, ConsistentRead=True):
        kind, _, name = wire["sk"]["S"].partition("#")
        match kind:
            case "ACCOUNT":
                account = account_of(wire)
            case "GRANT":
                found[kind][name] = retired_of(wire)
            case "TERM":
                found[kind][name] = term_of(wire)
            case "REFUNDED" | "HOLD":
                found[kind][name] = None
            case "AUDIT":
                record = audit_of(wire)
                if record.action == QUOTA_CHANGE:
                    quotas.append(record)
    if account is None:
        return None

    def find_entry(entry_id: str) -> Any:
        with suppress(CorruptAccountError):
            return read_entry(table, account_id, entry_id)

    return Records(
        account=account,
        refunded=found["REFUNDED"].keys(),
        captured=found["HOLD"].keys(),
        retired=found["GRANT"],
        terms=found["TERM"],
        quotas=sorted(quotas, key=lambda record: record.recorded_at),
        find_entry=find_entry,
        find_payment=partial(read_payment, table),
    )

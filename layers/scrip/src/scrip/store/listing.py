"""The lists of accounts, newest first: of all, of those in a state, of those on a plan.

An account has a row in each list that it is in: an item beside its names, with the keys of the
index `directory`. A row is named after its list: `opened`, `frozen`, `plan:pro`. One more, `id`,
is there to find the account by the beginning of its ID. The function `events` keeps the rows up to
date from the table's stream, so an account moves to another list some seconds after its change.

A row has the version of the account that it comes from, and only a later one replaces it: so rows
may be written again, late and in any order. When the account leaves the list, its row loses its
place in the index; what is left of it is purged once nothing older can arrive any more.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from itertools import batched, islice
from typing import TYPE_CHECKING

from scrip.domain.account import Account, AccountStatus
from scrip.domain.states import plans_of, states_of
from scrip.store.aliases import EMAIL, drop_addresses, noting, value_of
from scrip.store.client import BATCH_MAX, EXISTS, ConditionFailedError
from scrip.store.items import entry_of
from scrip.store.keys import (
    LISTED_PREFIX,
    account_key,
    addresses_key,
    id_of,
    ledger_partition,
    listed_directory_keys,
    listed_key,
    listed_partition,
    listed_since,
    listing_key,
    name_directory_keys,
    names_partition,
)
from scrip.store.pages import read_page
from scrip.store.queries import account_or_why_not, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import datetime

    from scrip.store.client import Table
    from scrip.store.items import Item, Wire
    from scrip.store.keys import Key
    from scrip.store.pages import Place, Steps
    from scrip.store.queries import Unreadable

OPENED = "opened"
ID = "id"

# Holds unless the row was written for this version of the account, or for a later one.
IS_LATER = "attribute_not_exists(pk) OR #version < :version"

KEPT = timedelta(days=2)
"""How long a row that has ended is kept: longer than the stream keeps its records."""

COUNTED_MAX = 1_000
"""Up to how many accounts of a list are counted."""


def plan_row(plan_id: str) -> str:
    """Return the name of the row of accounts on a plan."""
    return f"plan:{plan_id}"


def rows_of(account: Account) -> set[str]:
    """Return the names of the rows that an account should have: none once it is closed."""
    if account.status is AccountStatus.CLOSED:
        return set()
    return {OPENED, ID, *states_of(account), *map(plan_row, plans_of(account))}


def put_row(table: Table, account_id: str, row: str, version: int, since: datetime) -> bool:
    """Put an account into a list, unless a later version is known; return whether it was done.

    `since` is when it came into the list.
    """
    keys = listed_directory_keys(account_id, row, since)
    if row == ID:
        keys = name_directory_keys(account_id)
    return _replace(table, {**listed_key(account_id, row), **keys, "version": version})


def end_row(table: Table, account_id: str, row: str, version: int, at: datetime) -> bool:
    """Take an account out of a list, unless a later version is known; return whether it was."""
    purge_at = int((at + KEPT).timestamp())
    return _replace(
        table, {**listed_key(account_id, row), "version": version, "purge_at": purge_at}
    )


def _replace(table: Table, item: Item) -> bool:
    try:
        table.put(item, IS_LATER, {":version": item["version"]})
    except ConditionFailedError:
        return False
    return True


def bring_up_to_date(table: Table, account_id: str) -> int:
    """Bring all rows, names and addresses of an account up to date; return how many were written.

    It may run beside the function `events`, since rows have versions.

    Raises:
        CorruptAccountError, NewerVersionError: the account cannot be read.
        BusyError: some may be missing yet; doing it again is safe.
    """
    account = read(table, account_id).account
    if account is None:
        return 0
    partition, attributes = names_partition(account_id), ("sk", "directory_pk", "emails")
    found = [*table.query_all("pk = :pk", {":pk": partition}, *attributes, ConsistentRead=True)]
    listed = {item["sk"]["S"]: "directory_pk" in item for item in found}
    shown = {email for item in found for email in _emails(item)}
    rows = {
        id_of(sk) for sk, is_listed in listed.items() if is_listed and sk.startswith(LISTED_PREFIX)
    }
    wanted = rows_of(account)
    since = opened_at(table, account) if wanted - rows else account.as_of
    version = account.version
    written = [put_row(table, account_id, row, version, since) for row in wanted - rows]
    written += [end_row(table, account_id, row, version, since) for row in rows - wanted]
    names = {id_of(sk): is_listed for sk, is_listed in listed.items() if sk.startswith("ALIAS#")}
    emails = {value_of(name) for name in names if name.startswith(EMAIL)}
    missing = {f"{EMAIL}{email}" for email in emails - shown}
    missing |= {name for name, is_listed in names.items() if not is_listed}
    for name in missing:
        with suppress(ConditionFailedError):  # it was taken away in the meantime
            table.transact(*noting(account_id, name, EXISTS))
    if shown - emails:
        drop_addresses(table, account_id, shown - emails)
    return sum(written) + len(missing) + len(shown - emails)


def opened_at(table: Table, account: Account) -> datetime:
    """Return when an account was opened: when its first entry was recorded."""
    found, _ = table.query(
        "pk = :pk", {":pk": ledger_partition(account.account_id)}, IndexName="history", Limit=1
    )
    return entry_of(found[0]).recorded_at if found else account.as_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What lists show of some accounts, those that exist: by their IDs, in the same order.

    `emails` are the addresses that lead to them, `owners` the names of those that have one, and
    `opened_ats` when those were opened that are in the list of all accounts. `is_complete`: all
    accounts are in their lists, even those that earlier versions opened.
    """

    accounts: Mapping[str, Account | Unreadable]
    emails: Mapping[str, list[str]]
    owners: Mapping[str, str]
    opened_ats: Mapping[str, datetime]
    is_complete: bool


def read_listed(table: Table, account_ids: Iterable[str]) -> Listed:
    """Return what lists show of accounts. Two round trips for 66 accounts, one for up to 33.

    They may be as they were a moment ago.
    """
    different = list(dict.fromkeys(account_ids))
    keys = [listing_key()]
    for account_id in different:
        keys += [account_key(account_id), addresses_key(account_id), listed_key(account_id, OPENED)]
    found = [
        item for some in batched(keys, BATCH_MAX, strict=False) for item in table.get_batch(some)
    ]
    items = {(item["pk"]["S"], item["sk"]["S"]): item for item in found}

    def each(key_of: Callable[[str], Key]) -> dict[str, Wire]:
        places = {account_id: (*key_of(account_id).values(),) for account_id in different}
        return {name: items[place] for name, place in places.items() if place in items}

    people, opened = each(addresses_key), each(lambda account_id: listed_key(account_id, OPENED))
    return Listed(
        accounts={name: account_or_why_not(item) for name, item in each(account_key).items()},
        emails={name: _emails(item) for name, item in people.items()},
        owners={name: item["name"]["S"] for name, item in people.items() if "name" in item},
        opened_ats={
            name: listed_since(item["directory_sk"]["S"])
            for name, item in opened.items()
            if "directory_sk" in item
        },
        is_complete=(*listing_key().values(),) in items,
    )


def _emails(item: Wire) -> list[str]:
    """Return the addresses in an item, if it has any. DynamoDB returns a set in any order."""
    return sorted(item.get("emails", {}).get("SS", []))


def list_newest(
    table: Table, row: str, *, limit: int, cursor: str | None
) -> tuple[list[str], str | None]:
    """Return up to `limit` accounts of a list, newest first, and the cursor after them.

    The last page has the cursor None. It can be empty.

    Raises:
        InvalidCursorError: the cursor belongs to a different query.
    """

    def steps_after(place: Place) -> Steps[str]:
        found = table.query_all(
            "directory_pk = :pk AND directory_sk < :place",
            {":pk": listed_partition(row), ":place": place or "~"},
            IndexName="directory",
            ScanIndexForward=False,
            Limit=limit + 1,  # so that the last page is known to be the last
        )
        rest = [*islice(found, limit + 1)]
        for number, item in enumerate(rest, 1):
            after = item["directory_sk"]["S"] if number < len(rest) else None
            yield id_of(item["pk"]["S"]), after

    return read_page(["listed", row], steps_after, limit=limit, cursor=cursor, shown=str)


def count_listed(table: Table, row: str) -> tuple[int, bool]:
    """Return how many accounts a list has, up to COUNTED_MAX, and whether there are more."""
    count, goes_on = table.count(
        "directory_pk = :pk",
        {":pk": listed_partition(row)},
        IndexName="directory",
        Limit=COUNTED_MAX + 1,
    )
    return min(count, COUNTED_MAX), goes_on or count > COUNTED_MAX


def is_complete(table: Table) -> bool:
    """Return whether all accounts are in their lists, even those that earlier versions opened."""
    return table.get(listing_key()) is not None


def note_complete(table: Table, at: datetime) -> None:
    """Note that all accounts are in their lists."""
    table.put({**listing_key(), "completed_at": at})

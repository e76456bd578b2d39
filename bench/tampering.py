"""Kinds of tampering with the table, and the finding that the audit must report for each.

They apply to accounts that bench/ledgers.py wrote, with at least ten entries.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from scrip.domain.audit.findings import Code
from scrip.domain.entries import chain_hash
from scrip.store.items import account_item, account_of, entry_item, entry_of, to_wire
from scrip.store.keys import (
    account_key,
    alias_key,
    entry_key,
    hold_end_key,
    ledger_partition,
    payment_key,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.account import Account
    from scrip.domain.entries import Entry
    from scrip.store.client import Table
    from scrip.store.items import Wire
    from scrip.store.keys import Key


@dataclass(frozen=True)
class Kind:
    """A kind of tampering, and the code and the item of the finding that it must cause."""

    name: str
    do: Callable[[Tamperer], None]
    code: Code
    about: str


class Tamperer:
    """Someone with access to the table, who changes the items of one account."""

    def __init__(self, table: Table, account_id: str) -> None:
        """Take the table and the account."""
        self.table = table
        self.account_id = account_id

    def get(self, key: Key) -> Wire:
        """Read an item."""
        answer = self.table.client.get_item(TableName=self.table.name, Key=to_wire(key))
        return copy.deepcopy(dict(answer["Item"]))

    def put(self, item: Wire) -> None:
        """Put an item."""
        self.table.client.put_item(TableName=self.table.name, Item=item)

    def delete(self, key: Key) -> None:
        """Delete an item."""
        self.table.client.delete_item(TableName=self.table.name, Key=to_wire(key))

    def edit(self, key: Key, **changed: Any) -> None:
        """Change attributes of an item; None removes one."""
        item = self.get(key) | changed
        self.put({name: value for name, value in item.items() if value is not None})

    def entry(self, entry_id: str) -> Entry:
        """Read an entry of the account."""
        return entry_of(self.get(entry_key(self.account_id, entry_id)))

    def put_entry(self, entry: Entry) -> None:
        """Put an entry into the account's ledger."""
        self.put(to_wire(entry_item(self.account_id, entry)))

    def account(self) -> Account:
        """Read the account."""
        return account_of(self.get(account_key(self.account_id)))

    def put_account(self, account: Account) -> None:
        """Put the account as Scrip would, with a matching balance."""
        self.put(to_wire(account_item(account)))

    def edit_hold(self, **changed: Any) -> None:
        """Change the account's open hold as Scrip would, with a matching balance."""
        account = self.account()
        [hold] = account.holds
        self.put_account(replace(account, holds=(replace(hold, **changed),)))

    def last_key(self, kind: str) -> Key:
        """Find the key of the account's last item of a kind, such as `USAGE#`."""
        [item] = self.table.client.query(
            TableName=self.table.name,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :kind)",
            ExpressionAttributeValues=to_wire(
                {":pk": account_key(self.account_id)["pk"], ":kind": kind}
            ),
            ScanIndexForward=False,
            Limit=1,
        )["Items"]
        return {"pk": item["pk"]["S"], "sk": item["sk"]["S"]}


def _edit_amount(tamperer: Tamperer) -> None:
    tamperer.edit(entry_key(tamperer.account_id, "use-2"), amount={"N": "-1"})


def _edit_and_rehash(tamperer: Tamperer) -> None:
    edited = replace(tamperer.entry("use-2"), reason="another")
    tamperer.put_entry(replace(edited, hash=chain_hash(edited)))


def _edit_newest_and_rehash(tamperer: Tamperer) -> None:
    newest = _newest(tamperer)
    edited = replace(newest, reason="another")
    tamperer.put_entry(replace(edited, hash=chain_hash(edited)))


def _remove(tamperer: Tamperer) -> None:
    tamperer.delete(entry_key(tamperer.account_id, "use-2"))


def _insert(tamperer: Tamperer) -> None:
    tamperer.put_entry(replace(tamperer.entry("use-2"), entry_id="inserted"))


def _append(tamperer: Tamperer) -> None:
    newest = _newest(tamperer)
    added = replace(
        newest, entry_id="added", seq=newest.seq + 1, previous_hash=newest.hash, hash=b""
    )
    tamperer.put_entry(replace(added, hash=chain_hash(added)))


def _swap(tamperer: Tamperer) -> None:
    first, second = tamperer.entry("use-2"), tamperer.entry("use-3")
    tamperer.put_entry(replace(first, seq=second.seq))
    tamperer.put_entry(replace(second, seq=first.seq))


def _hide(tamperer: Tamperer) -> None:
    tamperer.edit(entry_key(tamperer.account_id, "use-2"), seq=None)


def _mark_for_deletion(tamperer: Tamperer) -> None:
    tamperer.edit(entry_key(tamperer.account_id, "use-2"), purge_at={"N": "1"})


def _move_away(tamperer: Tamperer) -> None:
    key = entry_key(tamperer.account_id, "use-2")
    item = tamperer.get(key)
    tamperer.delete(key)
    tamperer.put(item | {"pk": {"S": ledger_partition(f"{tamperer.account_id}-other")}})


def _edit_balance(tamperer: Tamperer) -> None:
    tamperer.edit(account_key(tamperer.account_id), balance={"N": "99000000"})


def _edit_grant(tamperer: Tamperer) -> None:
    account = tamperer.account()
    first, *others = account.grants
    edited = replace(first, amount=first.amount + 500, remaining=first.remaining + 500)
    tamperer.put_account(replace(account, grants=(edited, *others)))


def _grant_period_again(tamperer: Tamperer) -> None:
    account = tamperer.account()
    [plan] = [grant for grant in account.grants if grant.kind == "plan"]
    again = replace(plan, grant_id="g999")
    tamperer.put_account(replace(account, grants=(*account.grants, again)))


def _extend_hold(tamperer: Tamperer) -> None:
    [hold] = tamperer.account().holds
    assert hold.expires_at
    tamperer.edit_hold(expires_at=hold.expires_at + timedelta(days=30))


def _hold_more(tamperer: Tamperer) -> None:
    [hold] = tamperer.account().holds
    [part] = hold.allocations
    tamperer.edit_hold(allocations=(replace(part, amount=part.amount + 500),))


def _let_hold_use_for_free(tamperer: Tamperer) -> None:
    tamperer.edit_hold(uncharged=500)


def _remove_hold_end(tamperer: Tamperer) -> None:
    tamperer.delete(hold_end_key(tamperer.account_id, "hold-1"))


def _edit_hold_end(tamperer: Tamperer) -> None:
    tamperer.edit(hold_end_key(tamperer.account_id, "hold-1"), ended_by={"S": "use-2"})


def _end_open_hold(tamperer: Tamperer) -> None:
    key = hold_end_key(tamperer.account_id, "hold-2")
    tamperer.put(to_wire({**key, "ended_by": "use-2"}))


def _forget_use(tamperer: Tamperer) -> None:
    tamperer.put_account(replace(tamperer.account(), consumed_total=0))


def _freeze(tamperer: Tamperer) -> None:
    tamperer.edit(account_key(tamperer.account_id), status={"S": "frozen"})


def _edit_newest_hash(tamperer: Tamperer) -> None:
    tamperer.put_account(replace(tamperer.account(), hash=bytes(32)))


def _unlist(tamperer: Tamperer) -> None:
    tamperer.edit(account_key(tamperer.account_id), directory_pk=None, directory_sk=None)


def _remove_account(tamperer: Tamperer) -> None:
    tamperer.delete(account_key(tamperer.account_id))


def _edit_refunded(tamperer: Tamperer) -> None:
    tamperer.edit(tamperer.last_key("REFUNDED#"), refunded={"N": "0"})


def _edit_usage(tamperer: Tamperer) -> None:
    # The last day may have no use, so that removing its uses would change nothing.
    use = {"M": {"credits": {"N": "999"}, "count": {"N": "1"}}}
    tamperer.edit(tamperer.last_key("USAGE#"), uses={"L": [use]})


def _remove_audit_record(tamperer: Tamperer) -> None:
    tamperer.delete(tamperer.last_key("AUDIT#"))


def _remove_payment(tamperer: Tamperer) -> None:
    tamperer.delete(payment_key(f"shop:pi_{tamperer.account_id}"))


def _edit_payment(tamperer: Tamperer) -> None:
    tamperer.edit(payment_key(f"shop:pi_{tamperer.account_id}"), credits={"N": "1"})


def _redirect_name(tamperer: Tamperer) -> None:
    tamperer.edit(alias_key(f"email:{tamperer.account_id}@example.com"), account_id={"S": "thief"})


def _newest(tamperer: Tamperer) -> Entry:
    [item] = tamperer.table.client.query(
        TableName=tamperer.table.name,
        IndexName="history",
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues=to_wire({":pk": ledger_partition(tamperer.account_id)}),
        ScanIndexForward=False,
        Limit=1,
    )["Items"]
    return entry_of(item)


KINDS = (
    Kind("an entry's amount", _edit_amount, Code.ENTRY_HASH_WRONG, "entry use-2"),
    Kind("an entry and its hash", _edit_and_rehash, Code.CHAIN_BROKEN, "entry use-3"),
    Kind(
        "the newest entry and its hash",
        _edit_newest_and_rehash,
        Code.NEWEST_HASH_WRONG,
        "account",
    ),
    Kind("an entry removed", _remove, Code.ENTRY_MISSING, "seq 7"),
    Kind("an entry inserted", _insert, Code.SEQ_REPEATED, "seq 7"),
    Kind("an entry added at the end", _append, Code.ENTRY_BEYOND_ACCOUNT, "entry added"),
    Kind("two entries swapped", _swap, Code.ENTRY_HASH_WRONG, "entry use-2"),
    Kind("an entry hidden from lists", _hide, Code.ENTRY_WITHOUT_SEQ, "entry use-2"),
    Kind("an entry marked for deletion", _mark_for_deletion, Code.UNKNOWN_ATTRIBUTE, "entry use-2"),
    Kind("an entry moved to another account", _move_away, Code.ENTRY_MISSING, "seq 7"),
    Kind("the balance", _edit_balance, Code.BALANCE_WRONG, "account"),
    Kind("a grant's credits and the balance", _edit_grant, Code.GRANT_WRONG, "grant g1"),
    Kind("when a hold expires", _extend_hold, Code.HELD_WRONG, "hold hold-2"),
    Kind("what is held, and the balance", _hold_more, Code.HELD_WRONG, "hold hold-2"),
    Kind(
        "what a hold may use for free",
        _let_hold_use_for_free,
        Code.HELD_WRONG,
        "hold hold-2",
    ),
    Kind("a hold's end removed", _remove_hold_end, Code.HOLD_END_WRONG, "entry capture-1"),
    Kind("a hold's end by another entry", _edit_hold_end, Code.HOLD_END_WRONG, "entry capture-1"),
    Kind("an open hold's end", _end_open_hold, Code.HOLD_END_WRONG, "end of hold hold-2"),
    Kind("a period granted again", _grant_period_again, Code.PERIOD_GRANTED_TWICE, "account"),
    Kind("the total of use", _forget_use, Code.COUNTER_WRONG, "consumed_total"),
    Kind("an account frozen", _freeze, Code.STATUS_WRONG, "account"),
    Kind("the newest hash", _edit_newest_hash, Code.NEWEST_HASH_WRONG, "account"),
    Kind("an account removed from the directory", _unlist, Code.DIRECTORY_WRONG, "account"),
    Kind("an account removed", _remove_account, Code.ACCOUNT_MISSING, "account"),
    Kind("a refunded total", _edit_refunded, Code.REFUNDED_TOTAL_WRONG, "refunded total of use-1"),
    Kind("the usage of a day", _edit_usage, Code.USAGE_WRONG, "usage of "),
    Kind("an audit record removed", _remove_audit_record, Code.AUDIT_RECORD_WRONG, "entry gift"),
    Kind("a payment removed", _remove_payment, Code.PAYMENT_WRONG, "payment shop:pi_"),
    Kind("a payment's credits", _edit_payment, Code.PAYMENT_WRONG, "payment shop:pi_"),
    Kind("an alias of another account", _redirect_name, Code.ALIAS_WRONG, "alias email:"),
)
"""`about` is only the beginning where the finding continues with the account or the day."""

"""Committing a posting: one transaction that changes the account and writes its entries.

| action                           | condition                                                  |
|----------------------------------|------------------------------------------------------------|
| update the account               | its version is the one that was read, its balance suffices |
| put each entry                   | no entry has that key                                      |
| update an entry's refunded total | it is the total that was read                              |
| put the payment                  | it is new, or unchanged since it was read                  |
| note which entry ended a hold    | nothing has ended it                                       |
| keep each term that is over      | none: only this account's changes write it                 |
| put the audit record             | none: its key is new                                       |
| note each mailbox of a new owner | it has not been noted before                               |

A failed condition returns the current item, so the caller knows why without another read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ulid import ULID

from scrip.domain.errors import CorruptAccountError, PaymentTakenError
from scrip.domain.payments import Payment
from scrip.observability import logger
from scrip.store.client import CONDITION_REASON, RETRYABLE_REASONS, Table, answered
from scrip.store.items import (
    account_changes,
    account_item,
    account_of,
    audit_item,
    entry_item,
    entry_of,
    packed,
    payment_item,
    retired_item,
    to_wire,
)
from scrip.store.keys import (
    account_key,
    audit_key,
    hold_end_key,
    refunded_key,
    retired_key,
    term_key,
    welcome_key,
)
from scrip.store.queries import Snapshot, is_welcomed, read_entry, read_payment

if TYPE_CHECKING:
    from collections.abc import Iterable

    from botocore.exceptions import ClientError

    from scrip.domain.account import Account
    from scrip.domain.entries import Entry
    from scrip.domain.grants import Grant
    from scrip.domain.posting import Posting, Refundable
    from scrip.domain.terms import Term

# Holds if the account has not changed since it was read.
SAME_VERSION = "#version = :seen"
# Holds only for a new account.
NO_ACCOUNT = "attribute_not_exists(pk)"
# Holds if the balance covers what the posting takes, except for the debt that the rules allow.
CAN_GIVE = "#balance >= :taken"
# Holds if the idempotency key, or whatever names the entry, has not taken effect yet.
NO_ENTRY = "attribute_not_exists(pk)"
# Hold if no more of the entry has been refunded since its total was read.
SAME_REFUNDED = "refunded = :refunded_before"
NOTHING_REFUNDED = "attribute_not_exists(pk)"
# Holds if no command has ended the hold.
NOT_ENDED = "attribute_not_exists(pk)"
# Holds if the payment has not brought credits to any account.
NEW_PAYMENT = "attribute_not_exists(pk)"
# Holds if the payment has not changed since it was read.
SAME_PAYMENT = "version = :seen"
# Holds if the mailbox has had no sign-up credits, even for an account that is closed now.
NOT_WELCOMED = "attribute_not_exists(pk)"


@dataclass(eq=False)
class EntryExistsError(Exception):
    """The command took effect before. `entry` is its entry."""

    entry: Entry


@dataclass(eq=False)
class AccountMovedError(Exception):
    """Another command changed the account first.

    `snapshot` is what a read would return now; None if more than the account has to be read.
    """

    snapshot: Snapshot | None


class AlreadyWelcomedError(Exception):
    """A mailbox of a new account was welcomed before; nothing was written."""


class ConflictError(Exception):
    """One of the items is written by another transaction or throttled; nothing was written."""


def commit(table: Table, posting: Posting) -> None:
    """Write a posting, all of it or nothing. One round trip.

    Raises:
        EntryExistsError, AccountMovedError, AlreadyWelcomedError, ConflictError,
            PaymentTakenError: it was not written, for that reason.
        BusyError: it may have been written; committing it again is safe.
        CorruptAccountError: the table was changed by hand.
    """
    actions = [_account_update(posting.before, posting.after)]
    actions += [_entry_put(posting.after, entry) for entry in posting.entries]
    if posting.refund:
        actions.append(_refunded_update(posting.after, *posting.refund))
    if posting.payment:
        actions.append(_payment_put(*posting.payment))
    actions += [_retired_update(posting.after, grant) for grant in posting.retired]
    actions += [_term_update(posting.after, term) for term in posting.terms]
    if posting.ended_hold and posting.entry:
        actions.append(_hold_end(posting.after, posting.ended_hold, posting.entry))
    if posting.audit:
        item = audit_item(audit_key(posting.after.account_id, str(ULID())), posting.audit)
        actions.append({"Put": {"Item": to_wire(item)}})
    actions += [_welcome_put(mailbox) for mailbox in posting.welcomed]
    for action in actions:
        for request in action.values():
            request["TableName"] = table.name
    try:
        with answered():
            table.client.transact_write_items(TransactItems=actions)
    except table.client.exceptions.TransactionCanceledException as exc:
        _explain(exc.response.get("CancellationReasons", []), posting, exc)


def check(table: Table, posting: Posting) -> None:
    """Raise what `commit` would raise for a posting on the current account; write nothing.

    Up to a round trip for its own entry, its payment and each of its mailboxes. In a table that was
    changed by hand, `commit` may still find an entry or a hold's end that should not be there.

    Raises:
        EntryExistsError, PaymentTakenError, AlreadyWelcomedError: it would not be written, and why.
        BusyError: the table did not answer.
        CorruptAccountError: a new account has an entry.
    """
    account_id, own = posting.after.account_id, posting.entry
    if own and (entry := read_entry(table, account_id, own.entry_id)):
        if posting.before is None:
            raise CorruptAccountError(account_id)
        raise EntryExistsError(entry)
    match posting.payment:
        case None, Payment(payment_id=payment_id) if read_payment(table, payment_id):
            raise PaymentTakenError(payment_id)
    if any(is_welcomed(table, mailbox) for mailbox in posting.welcomed):
        raise AlreadyWelcomedError


def _account_update(before: Account | None, after: Account) -> Any:
    """Return the update of what differs. The balance is added to, to suit its condition."""
    key = account_key(after.account_id)
    changed, removed = account_changes(before, after) if before else (account_item(after), [])
    changed = {name: value for name, value in changed.items() if name not in key}
    values: dict[str, Any] = {f":{name}": value for name, value in changed.items()}
    sets = [f"#{name} = :{name}" for name in changed]
    if before is None:
        condition = NO_ACCOUNT
    else:
        condition = SAME_VERSION
        values[":seen"] = before.version
        if "balance" in changed:
            sets[sets.index("#balance = :balance")] = "#balance = #balance + :balance"
            values[":balance"] = after.balance - before.balance
        if after.balance < before.balance:
            condition += f" AND {CAN_GIVE}"
            values[":taken"] = before.balance - after.balance - after.debt
    expression = "SET " + ", ".join(sets)
    if removed:
        expression += " REMOVE " + ", ".join(f"#{name}" for name in removed)
    return {
        "Update": {
            "Key": to_wire(key),
            "UpdateExpression": expression,
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in [*changed, *removed]},
            "ExpressionAttributeValues": to_wire(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    }


def _entry_put(account: Account, entry: Entry) -> Any:
    return {
        "Put": {
            "Item": to_wire(entry_item(account.account_id, entry, logger.get_correlation_id())),
            "ConditionExpression": NO_ENTRY,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    }


def _refunded_update(account: Account, refundable: Refundable, refunded_after: int) -> Any:
    before = refundable.refunded
    values = {":refunded": refunded_after, **({":refunded_before": before} if before else {})}
    return {
        "Update": {
            "Key": to_wire(refunded_key(account.account_id, refundable.entry.entry_id)),
            "UpdateExpression": "SET refunded = :refunded",
            "ConditionExpression": SAME_REFUNDED if before else NOTHING_REFUNDED,
            "ExpressionAttributeValues": to_wire(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        },
    }


def _retired_update(account: Account, grant: Grant) -> Any:
    """Keep a grant as it was when it left the account's item, even if it left before."""
    item = retired_item(grant)
    return {
        "Update": {
            "Key": to_wire(retired_key(account.account_id, grant.grant_id)),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in item),
            "ExpressionAttributeNames": {f"#{name}": name for name in item},
            "ExpressionAttributeValues": to_wire({f":{name}": item[name] for name in item}),
        },
    }


def _term_update(account: Account, term: Term) -> Any:
    """Keep a term that is over; what became of it may change as long as its payment can."""
    return {
        "Update": {
            "Key": to_wire(term_key(account.account_id, term.term_id)),
            "UpdateExpression": "SET term = :term",
            "ExpressionAttributeValues": to_wire({":term": packed(term)}),
        },
    }


def _hold_end(account: Account, hold_id: str, entry: Entry) -> Any:
    return {
        "Update": {
            "Key": to_wire(hold_end_key(account.account_id, hold_id)),
            "UpdateExpression": "SET ended_by = :ended_by",
            "ConditionExpression": NOT_ENDED,
            "ExpressionAttributeValues": to_wire({":ended_by": entry.entry_id}),
        },
    }


def _payment_put(before: Payment | None, after: Payment) -> Any:
    seen = {"ExpressionAttributeValues": to_wire({":seen": before.version})} if before else {}
    return {
        "Put": {
            "Item": to_wire(payment_item(after)),
            "ConditionExpression": SAME_PAYMENT if before else NEW_PAYMENT,
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **seen,
        },
    }


def note_welcomed(table: Table, mailboxes: Iterable[str]) -> None:
    """Note that the owners of mailboxes, given as keyed hashes, have an account already."""
    for mailbox in mailboxes:
        with answered():
            table.client.put_item(TableName=table.name, Item=to_wire(welcome_key(mailbox)))


def _welcome_put(mailbox: str) -> Any:
    return {
        "Put": {"Item": to_wire(welcome_key(mailbox)), "ConditionExpression": NOT_WELCOMED},
    }


def _explain(reasons: Any, posting: Posting, exc: ClientError) -> None:
    """Raise the error of why a transaction was canceled, the most specific reason first."""
    account_reason, *entry_reasons = reasons[: 1 + len(posting.entries)]
    for entry, reason in zip(posting.entries, entry_reasons, strict=True):
        orphan = posting.before is None and account_reason["Code"] == "None"
        if entry is posting.entry and "Item" in reason and not orphan:
            raise EntryExistsError(entry_of(reason["Item"])) from exc
    codes = {reason["Code"] for reason in reasons}
    if codes & RETRYABLE_REASONS:
        raise ConflictError from exc
    others = reasons[: len(reasons) - len(posting.welcomed)]
    if posting.welcomed and all(reason["Code"] == "None" for reason in others):
        raise AlreadyWelcomedError from exc
    if account_reason["Code"] != CONDITION_REASON:
        match posting.payment:
            case None, Payment() as payment:
                raise PaymentTakenError(payment.payment_id) from exc
        # The account has not changed, and yet there is an entry that it does not count, or another
        # refunded total. No posting writes that.
        raise CorruptAccountError(posting.after.account_id) from exc
    if posting.refund or posting.payment:
        raise AccountMovedError(None) from exc
    image = account_reason.get("Item")
    raise AccountMovedError(Snapshot(account=account_of(image) if image else None)) from exc

"""Users: opening their accounts and linking them to their verified addresses."""

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from scrip.domain.account import Account, AccountStatus
from scrip.domain.commands import OpenAccount
from scrip.domain.errors import AccountClosedError, EmailTakenError
from scrip.ledger import WELCOME, Ledger, opening
from scrip.settings import Settings
from scrip.store.aliases import (
    EMAIL,
    accounts_named,
    can_lead,
    link_account,
    names_of,
    note_addresses,
    unlink,
)
from scrip.store.commit import note_welcomed
from scrip.store.mailbox_key import hashed
from scrip.store.queries import read
from scrip.user_pool import user_pool

OWNER_CHARACTERS_MAX = 200
"""How much of a person's name is kept."""

MAILBOXES_MAX = 50
"""How many of a new user's mailboxes are checked for earlier sign-ups: what fits a transaction."""


def open_account(
    ledger: Ledger,
    account_id: str,
    emails: Collection[str],
    stack: Settings | None = None,
    *,
    at: datetime,
    owner: str | None = None,
    dry_run: bool = False,
    reason: str = WELCOME,
) -> list[str]:
    """Open a user's account and link it to their addresses; return the names that are linked now.

    `emails` are the addresses, and `owner` the name, that the user had `at` that time; nothing
    changes if newer ones are known. An address belongs to the first account that had it. One that
    the user no longer has leads nowhere. `stack` are the settings, by default this process's own. A
    dry run writes nothing. `reason` is what the entry of the sign-up credits says.

    Raises:
        BusyError: it may be half done; doing it again is safe.
    """
    mailboxes = hashed(emails, ledger.mailbox_key)
    wanted = sorted({f"{EMAIL}{email.lower()}" for email in emails})
    carry_out = ledger.rehearse if dry_run else ledger.execute
    carry_out(opening(account_id, mailboxes[:MAILBOXES_MAX], stack, reason))
    if dry_run:
        known = accounts_named(ledger.table, wanted)
        return [name for name in wanted if can_lead(name) and known.get(name) in {None, account_id}]
    if not note_addresses(ledger.table, account_id, at, tidy(owner)):
        return []
    # The account may have been opened without mailboxes, or with others than these.
    note_welcomed(ledger.table, mailboxes)
    for name in names_of(ledger.table, account_id):
        if name.startswith(EMAIL) and name not in wanted:
            unlink(ledger.table, account_id, name)
    return [name for name in wanted if link_account(ledger.table, account_id, name)]


def tidy(owner: str | None) -> str | None:
    """Return a person's name as it is kept; None if nothing of it is left."""
    words = (owner or "").encode(errors="replace").decode().split()
    return " ".join(words)[:OWNER_CHARACTERS_MAX] or None


def first_opening(
    ledger: Ledger,
    account_id: str,
    username: str | None,
    email: str | None = None,
) -> OpenAccount:
    """Return the command that opens a user's account on their first call, as the trigger would.

    `username` is the user's in the stack's own pool, which has their address. It is None for a user
    of another issuer, whose address is known only if their token has a verified `email`. A user who
    is no longer in the pool gets no sign-up credits.

    Raises:
        BusyError: the pool did not answer.
    """
    if username is None:
        return opening(account_id, hashed([email] if email else [], ledger.mailbox_key))
    user = user_pool().user(username)
    if user is None or user.account_id != account_id:
        return replace(opening(account_id), signup_credits=0)
    emails = [user.email] if user.email else []
    return opening(account_id, hashed(emails, ledger.mailbox_key))


def add_account(
    ledger: Ledger,
    account_id: str,
    email: str | None,
    stack: Settings | None = None,
    *,
    dry_run: bool = False,
) -> tuple[Account, bool]:
    """Open an account by hand, as a sign-up would, and link it to an address.

    Return the account and whether it is new. An existing account keeps everything that it has.
    `stack` are the settings, by default this process's own. A dry run writes nothing.

    Raises:
        EmailTakenError: the address is another account's; nothing was opened.
        AccountClosedError: it is closed for good.
    """
    name = f"{EMAIL}{email.lower()}" if email else None
    if name and accounts_named(ledger.table, [name]).get(name, account_id) != account_id:
        raise EmailTakenError
    known = read(ledger.table, account_id).account
    mailboxes = hashed([email] if email else [], ledger.mailbox_key)
    if known and known.status is AccountStatus.CLOSED:
        raise AccountClosedError
    open_ = ledger.rehearse if dry_run else ledger.execute
    account = open_(opening(account_id, mailboxes, stack)).account if known is None else known
    if not dry_run:
        if name and not link_account(ledger.table, account_id, name):
            raise EmailTakenError  # another request was faster
        note_welcomed(ledger.table, mailboxes)
    account = ledger.settled(account) if account else ledger.account(account_id)
    return account, known is None


def emails_of(ledger: Ledger, account_id: str) -> list[str]:
    """Return the addresses that lead to an account."""
    names = names_of(ledger.table, account_id)
    return [name.removeprefix(EMAIL) for name in names if name.startswith(EMAIL)]

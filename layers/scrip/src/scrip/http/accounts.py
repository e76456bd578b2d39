"""Accounts as the API and the command line show them: one in full, or a list."""

from collections.abc import Iterable
from datetime import datetime
from typing import TypedDict

from scrip.domain.account import Account, AccountStatus
from scrip.domain.clocks import check_not_too_far
from scrip.domain.entitlement import Entitlement
from scrip.domain.entries import iso
from scrip.domain.errors import BusyError, NoEntryYetError, ScripError
from scrip.domain.grants import Grant, GrantKind
from scrip.domain.upcoming import foreseen
from scrip.http.answers import AccountSummary, IsoInstant, summary, summary_then
from scrip.ledger import Ledger
from scrip.observability import logger
from scrip.store.listing import Listed, read_listed
from scrip.store.queries import Unreadable, read_newest_entry


class Period(TypedDict):
    """A period, half-open."""

    start: IsoInstant
    end: IsoInstant


class GrantAnswer(TypedDict):
    """A bucket of credits."""

    grant_id: str
    kind: GrantKind
    amount: int
    remaining: int
    priority: int
    granted_at: IsoInstant
    expires_at: IsoInstant | None
    source: str


class AccountAnswer(AccountSummary):
    """An account as it is now, or as it will be. `clock` is the time on its own clock, if any."""

    status: AccountStatus
    plan_id: str
    subscription_status: str | None
    period: Period
    used: int
    granted_total: int
    consumed_total: int
    grants: list[GrantAnswer]
    clock: IsoInstant | None


class ListedAccount(TypedDict):
    """An account in a list, as it is now. Credits. `name` is its owner's, if a sign-up had one.

    `opened_at` is null until the account is in the list of all accounts, some seconds after.
    """

    account_id: str
    emails: list[str]
    name: str | None
    status: AccountStatus
    plan_id: str
    subscription_status: str | None
    balance: int
    available: int
    held: int
    debt: int
    opened_at: IsoInstant | None


class UnreadableAccount(TypedDict):
    """An account that cannot be shown; `error` is the code of the reason."""

    account_id: str
    error: str


def account_json(account: Account, entitlement: Entitlement, now: datetime) -> AccountAnswer:
    """Return an account as `GET /v1/accounts/{account_id}` shows it.

    It is settled to `now`, which is its own time.
    """
    return {
        **summary(account, entitlement),
        "status": account.status,
        "plan_id": entitlement.plan.plan_id,
        "subscription_status": account.subscription.status if account.subscription else None,
        "period": period_json(entitlement),
        "used": account.used,
        "granted_total": account.granted_total,
        "consumed_total": account.consumed_total,
        "grants": [
            _grant_json(grant)
            for grant in sorted(account.grants, key=lambda grant: grant.spend_order)
            if not grant.ended
        ],
        "clock": iso(now) if account.clock else None,
    }


def account_at(
    ledger: Ledger,
    account: Account,
    at: datetime | None,
) -> AccountAnswer | AccountSummary:
    """Return an account as it is now (None), as it will be, or what its balance was.

    Raises:
        NoEntryYetError: it had no entry yet.
        InstantTooFarError: the instant is too far ahead.
    """
    now = ledger.time(account)
    if at is None:
        return account_json(account, ledger.entitled(account), now)
    if at > now:
        check_not_too_far(at, now)
        return ledger.with_catalog(
            lambda catalog: account_json(*foreseen(account, catalog, at), at)
        )
    entry = read_newest_entry(ledger.table, account.account_id, at)
    if entry is None:
        raise NoEntryYetError(at)
    return summary_then(account.account_id, entry)


def period_json(entitlement: Entitlement) -> Period:
    """Return the current period of an account."""
    return {"start": iso(entitlement.start), "end": iso(entitlement.end)}


def _grant_json(grant: Grant) -> GrantAnswer:
    return {
        "grant_id": grant.grant_id,
        "kind": grant.kind,
        "amount": grant.amount,
        "remaining": grant.remaining,
        "priority": grant.priority,
        "granted_at": iso(grant.granted_at),
        "expires_at": iso(grant.expires_at) if grant.expires_at else None,
        "source": grant.source,
    }


def listed_account_json(
    account: Account,
    entitlement: Entitlement,
    emails: Iterable[str],
    owner: str | None,
    opened_at: datetime | None,
) -> ListedAccount:
    """Return a settled account as a list of accounts shows it."""
    return {
        "account_id": account.account_id,
        "emails": list(emails),
        "name": owner,
        "status": account.status,
        "plan_id": entitlement.plan.plan_id,
        "subscription_status": account.subscription.status if account.subscription else None,
        "balance": account.balance,
        "available": account.available,
        "held": account.held,
        "debt": account.debt,
        "opened_at": iso(opened_at) if opened_at else None,
    }


def listed_accounts(
    ledger: Ledger,
    account_ids: Iterable[str],
) -> tuple[list[ListedAccount | UnreadableAccount], bool]:
    """Return accounts as they are now, and whether lists have all accounts.

    One that cannot be read hides no other.
    """
    found = read_listed(ledger.table, account_ids)
    shown = [_listed(ledger, found, *account) for account in found.accounts.items()]
    return shown, found.is_complete


def _listed(
    ledger: Ledger, found: Listed, account_id: str, account: Account | Unreadable
) -> ListedAccount | UnreadableAccount:
    if not isinstance(account, Account):
        return {"account_id": account_id, "error": account.code}
    try:
        settled = ledger.settled(account)
        emails, owner = found.emails.get(account_id, []), found.owners.get(account_id)
        opened_at = found.opened_ats.get(account_id)
        return listed_account_json(settled, ledger.entitled(settled), emails, owner, opened_at)
    except BusyError:
        raise
    except Exception as exc:  # noqa: BLE001 - one that cannot be read hides no other
        logger.exception("cannot be shown", extra={"account_id": account_id})
        code = exc.code if isinstance(exc, ScripError) else ScripError.code
        return {"account_id": account_id, "error": code}

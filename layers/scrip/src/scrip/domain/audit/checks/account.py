"""Checks of the account against all its entries: balance, grants, holds, counters, status."""

from collections import Counter
from collections.abc import Iterator

from scrip.domain.account import Account, AccountStatus
from scrip.domain.audit.checks.check import AboutItem, account_checks, compare
from scrip.domain.audit.conventions import ORIGINS, UNKNOWN_PAYMENT
from scrip.domain.audit.findings import Code
from scrip.domain.audit.tally import Tally
from scrip.domain.entries import iso
from scrip.domain.grants import Grant, GrantKind


@account_checks.reporting(Code.BALANCE_WRONG)
def balance_is_right(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """The stored balance is grants and holds less debt, and that of the newest entry."""
    stored = tally.books.balance
    if stored != account.balance:
        parts = f"grants and holds less debt are {account.balance}"
        yield "account", f"The balance is {stored}, but {parts}."
    yield from compare("account", "The balance", stored, tally.balance)


@account_checks.reporting(Code.HELD_WRONG)
def held_is_that_of_the_entries(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """The account and each of its grants have on hold what the entries put there."""
    yield from compare("account", "The held amount", account.held, tally.held)
    held: Counter[str] = Counter()
    for hold in account.holds:
        for allocation in hold.allocations:
            held[allocation.grant_id] += allocation.amount
    by_entries: Counter[str] = Counter()
    for in_hold in tally.in_holds.values():
        by_entries.update(in_hold)
    for name in sorted(held.keys() | by_entries.keys()):
        yield from compare(f"grant {name}", "Its held amount", held[name], by_entries[name])


@account_checks.reporting(Code.DEBT_WRONG)
def debt_is_that_of_the_entries(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """The account's debt is what its newest entry says."""
    yield from compare("account", "The debt", account.debt, tally.debt)


@account_checks.reporting(Code.GRANT_WRONG)
def account_has_its_grants(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """The account has every grant of which credits are left, and each once."""
    for name in sorted(tally.left.keys() - tally.grants.keys()):
        left = tally.left[name]
        yield f"grant {name}", f"The account lacks it, but the entries leave {left} credits of it."
    if len(tally.grants) < len(account.grants):
        yield "account", "Several grants of the account have the same ID."


@account_checks.reporting(Code.GRANT_WRONG)
def grants_have_what_entries_brought_and_left(
    tally: Tally, account: Account
) -> Iterator[AboutItem]:
    """A grant's amount is what entries brought, and its remainder what they left of that."""
    for about, grant in _grants(tally, account):
        name, brought = grant.grant_id, tally.brought[grant.grant_id]
        if not 0 <= grant.remaining <= grant.amount:
            yield about, f"It has {grant.remaining} credits left of {grant.amount}."
        yield from compare(about, "Its remainder", grant.remaining, tally.left[name])
        # What was refunded into a refund grant may have come from it, or be new there.
        is_brought = grant.amount in {brought, *tally.brought_before[name]}
        if grant.kind is not GrantKind.REFUND and not is_brought:
            yield about, f"Its amount is {grant.amount}, but the entries brought {brought}."


@account_checks.reporting(Code.GRANT_WRONG)
def grants_come_from_their_entries(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """A grant was brought by the entry that it names, of its type and at its time."""
    for about, grant in _grants(tally, account):
        origin = tally.origins.get(grant.grant_id)
        # An allowance names its month, whichever entry granted it.
        is_month = grant.kind in {GrantKind.PLAN, GrantKind.ROLLOVER}
        if (
            origin is None
            or origin.type not in ORIGINS[grant.kind]
            or origin.effective_at != grant.granted_at
            or not (is_month or origin.entry_id == grant.source)
        ):
            yield about, f"No entry {grant.source} brought a grant of kind {grant.kind} then."


@account_checks.reporting(Code.HELD_WRONG)
def holds_have_the_terms_of_their_entries(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """A hold has the feature, the free use and the bounds that its entries give it."""
    for hold in account.holds:
        name, about = hold.hold_id, f"hold {hold.hold_id}"
        of_lines = tally.hold_features.get(name, [None])
        is_one = len(of_lines) == 1
        features = () if is_one else tuple(sorted({of for of in of_lines if of}))
        terms = of_lines[0] if is_one else None, features, tally.uncharged[name]
        if terms != (hold.feature, hold.features, hold.uncharged):
            yield about, "Its features or its free use are not what the entries say."
        if not 0 <= hold.rolls_over <= hold.amount:
            yield about, f"{hold.rolls_over} of its {hold.amount} credits are to roll over."
        # No entry says how long a hold was extended, only how long it may last.
        end_max = tally.hold_end_max.get(name)
        ends = [end for end in (hold.expires_at, hold.ends_by) if end]
        if (not ends) != (end_max is None) or (end_max and max(ends) > end_max):
            yield about, f"It ends later than {iso(end_max) if end_max else 'its dispute'}."


@account_checks.reporting(Code.COUNTER_WRONG)
def counters_are_those_of_the_entries(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """The account has granted, consumed and used what its entries say."""
    used = tally.used
    if used is None:  # no entry shows when the period began
        used = min(max(0, account.used), tally.used_max)
    yield from compare("granted_total", "granted_total", account.granted_total, tally.granted)
    yield from compare("consumed_total", "consumed_total", account.consumed_total, tally.consumed)
    yield from compare("used", "used", account.used, used)


@account_checks.reporting(Code.STATUS_WRONG)
def status_is_that_of_the_entries(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """An account is frozen or closed only by an entry, and a closed one has nothing left."""
    if tally.entry_id in tally.books.closings:
        status = AccountStatus.CLOSED
    else:
        status = AccountStatus.FROZEN if tally.is_frozen else AccountStatus.ACTIVE
    yield from compare("account", "The status", account.status, status)
    if account.status is status is AccountStatus.CLOSED and (account.grants or account.holds):
        yield "account", "The account is closed, but has grants or holds."


@account_checks.reporting(Code.PERIOD_GRANTED_TWICE)
def period_has_one_plan_grant(_: Tally, account: Account) -> Iterator[AboutItem]:
    """No two plan grants are for the same month."""
    months = Counter(
        grant.source for grant in account.grants if grant.kind is GrantKind.PLAN and not grant.ended
    )
    for month, grants in months.items():
        if grants > 1:
            yield "account", f"{grants} plan grants are for {month}."


@account_checks.reporting(Code.TERM_WRONG)
def terms_have_payments_and_sound_months(tally: Tally, account: Account) -> Iterator[AboutItem]:
    """A term comes from a payment; its months brought no more than a whole month does."""
    # One that came back, as when a refund failed, is out of date where it was kept as over.
    now = {term.term_id: term for term in account.terms}
    for term in {**tally.books.terms, **now}.values():
        about = f"term {term.term_id}"
        known = {*tally.paid, *tally.paid_before, UNKNOWN_PAYMENT}
        if term.payment_id not in known:
            yield about, f"No entry {term.payment_id} says that it was paid for."
        for month, lot in term.lots.items():
            granted = sum(
                grant.amount for grant in account.grants if grant.lot_id == term.lot_id(month)
            )
            used = lot.spent - lot.owed + granted
            if not used <= lot.booked <= lot.allowance:
                yield about, f"Month {month} has {lot.booked} credits: {used} to {lot.allowance}."


def _grants(tally: Tally, account: Account) -> Iterator[tuple[str, Grant]]:
    """Yield the grants of the account, then the retired ones, each with what it is called."""
    for grant in account.grants:
        yield f"grant {grant.grant_id}", grant
    for name, grant in tally.books.retired.items():
        if name not in tally.grants:
            yield f"retired grant {name}", grant

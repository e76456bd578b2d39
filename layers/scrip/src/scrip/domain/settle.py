"""Rolling an account forward in time: grants expire, periods open, unspent allowance rolls over.

Every decision and every read begins here, so an expired grant or last month's allowance is never
spendable, regardless of any schedule.

Time is walked through from one instant of change to the next, and each is handled the same way,
whether it was lived through or missed. What facts change, such as a payment that was heard of late,
goes through the same step.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from scrip.domain.account import PERIOD, Account, AccountStatus
from scrip.domain.catalog import Catalog
from scrip.domain.commands import Command
from scrip.domain.entitlement import entitled, is_on_base_plan, monthly_credits, next_change
from scrip.domain.entries import Entry, EntryType, iso
from scrip.domain.grants import ROLLED_OVER, Allocation, Grant, GrantKind, refund_expiry
from scrip.domain.holds import end_free, free_disputed, outlive, release_dead, roll_over_held
from scrip.domain.posting import Draft
from scrip.domain.terms import GRACE, Lot, Term, Terms

CLOSED_MAX = 30
"""How many terms that are over leave an account with one posting."""


def settled(account: Account, catalog: Catalog, now: datetime) -> Account:
    """Return an account rolled forward to an instant, in memory: what a reader sees."""
    return settle(account, catalog, now).account


def settle(
    account: Account,
    catalog: Catalog,
    now: datetime,
    entries_max: int | None = None,
) -> Draft:
    """Roll an account forward to an instant and return the draft that says how.

    Of missed periods only lasting effects are booked: rollover grants that are still live, and debt
    that the missed allowances paid. With `entries_max` it stops when the draft is full.
    """
    # The process that settled it before may have had a fast clock; time never goes back.
    now = max(now, account.as_of)
    draft = Draft(account, account, entitled(account, catalog, now), now, entries_max)
    if account.status is AccountStatus.CLOSED:
        return draft
    advance(draft, catalog)
    if entries_max is None:
        draft.condense()
    return draft


def advance(
    draft: Draft,
    catalog: Catalog,
    *,
    changed: bool = False,
    command: Command | None = None,
) -> None:
    """Book what has come due, instant by instant, and then what new facts have `changed`.

    `command` is what brought the facts, if any: its entries say so. What does not fit is left for
    the next posting.
    """
    at = min(changes(draft.account))
    if at <= draft.now:
        draft.entitlement = entitled(draft.account, catalog, draft.account.as_of)
    while at <= draft.now:
        _step(draft, catalog, at)
        if draft.is_full:
            return
        draft.account = replace(draft.account, as_of=at)
        at = min(changes(draft.account))
    if changed or draft.account.is_behind:
        _step(draft, catalog, draft.now, changed=True, command=command)
        draft.account = replace(draft.account, is_behind=draft.is_full)
    end_free(draft)


def changes(account: Account) -> Iterator[datetime]:
    """Yield the instants, not before `as_of`, at which time alone may change an account."""
    for hold in account.holds:
        if hold.expires_at is not None:
            yield max(hold.expires_at, account.as_of)
    for grant in account.grants:
        if grant.expires_at is not None and not grant.ended:
            yield max(grant.expires_at, account.as_of)
    yield next_change(account)


def _step(
    draft: Draft,
    catalog: Catalog,
    at: datetime,
    *,
    changed: bool = False,
    command: Command | None = None,
) -> None:
    """Book everything that is due at an instant: first what ends, then what begins.

    Time alone takes back only where a term begins that supersedes others, and brings only months
    that begin; what facts `changed` may be any month.
    """
    release_dead(draft, at)
    if draft.is_full:
        return
    terms = draft.account.all_terms
    since = None if changed else draft.account.as_of
    debtor: Entry | None = None
    if changed or any(term.start == at for term in terms.given):
        _move_ends(draft, terms)
        debtor = _take_back(draft, terms, at, changed=changed, command=command)
    if debtor is None:
        _expire(draft, catalog, terms, at)
        if draft.is_full:
            return
    if not is_on_base_plan(draft.account, terms, at):
        _set_allowance_aside(draft, at)
    _change_base_plan(draft, at)
    _show(draft, catalog, at)
    _grant_months(draft, catalog, terms, since, at)
    if is_on_base_plan(draft.account, terms, at):
        _grant_allowance(draft, catalog, at)
    if debtor is not None:
        draft.pay_owed(debtor)  # what arrived just now has paid already
    if draft.is_full:
        return
    _expire(draft, catalog, terms, at)  # also months that were over when they were heard of
    release_dead(draft, at)  # holds that outlived a grant whose end has moved
    _close_terms(draft, at)


def _show(draft: Draft, catalog: Catalog, at: datetime) -> None:
    """Set the plan that is in force; a new period begins with no usage.

    A payment that was heard of late may show that a period had begun before: its usage counts.
    """
    before, draft.entitlement = draft.entitlement, entitled(draft.account, catalog, at)
    if draft.entitlement.start > before.start:
        draft.account = replace(draft.account, used=0)


def _move_ends(draft: Draft, terms: Terms) -> None:
    """Let the grants of terms end when the terms do now: a later one may have ended a grace."""
    moved = []
    for grant in draft.account.grants:
        found = draft.account.month_of(grant.lot_id)
        if grant.kind is GrantKind.PLAN and found and not grant.ended:
            term, month = found
            moved.append(replace(grant, expires_at=terms.expiry(term, month)))
        else:
            moved.append(grant)
    draft.account = replace(draft.account, grants=tuple(moved))


def _take_back(
    draft: Draft, terms: Terms, at: datetime, *, changed: bool, command: Command | None
) -> Entry | None:
    """Take back what was booked for the months of terms and is not due any more.

    Returns the last entry by which something is owed. It is paid when all was taken, so that
    nothing pays that is itself taken back.
    """
    debtor: Entry | None = None
    for term in draft.account.terms:
        if not changed and term.end <= at:
            continue  # time changes nothing any more of what is over
        due = {
            month: lot.booked - terms.entitled(term, month, lot.allowance, at)
            for month, lot in sorted(term.lots.items(), reverse=True)
        }
        due = {month: credits_ for month, credits_ in due.items() if credits_ > 0}
        for month, credits_ in due.items():
            _free(draft, term.lot_id(month), credits_)
        taken: list[Allocation] = []
        owed = 0
        for month, credits_ in due.items():
            _cover(draft, terms, term, month, credits_)
            owed += _reduce(draft, term.lot_id(month), credits_, taken)
        if taken or owed:
            entry = draft.take(
                draft.unique_name(f"{term.term_id}:clawback"),
                tuple(taken),
                owed,
                command=command,
                effective_at=at,
                source=term.payment_id,
            )
            debtor = entry if owed else debtor
    return debtor


def _free(draft: Draft, lot_id: str, due: int) -> None:
    """Free what disputes hold of a month, as far as what expired or is left does not suffice."""
    grants = _of_lot(draft, lot_id)
    short = due - _expired(draft, lot_id) - sum(grant.remaining for grant in grants)
    free_disputed(draft, {grant.grant_id for grant in grants}, short)


def _cover(draft: Draft, terms: Terms, term: Term, month: int, due: int) -> None:
    """Count what was spent of a month as spent of what other terms brought for the same time.

    That expired unspent: had this month never come, it would have been spent. So of two
    subscriptions, either can go back as if the other had been alone, also when both are over.
    """
    lot_id, months = term.lot_id(month), terms.months(term)
    left = sum(grant.remaining for grant in _of_lot(draft, lot_id))
    overlapping = (
        other.lot_id(number)
        for other in terms.given
        for number, each in enumerate(terms.months(other))
        if other.term_id != term.term_id
        and any(each.start < the.end and the.start < each.end for the in months[month : month + 1])
    )
    for other_id in overlapping:
        lot, other_lot = draft.account.lot(lot_id), draft.account.lot(other_id)
        if lot is None or other_lot is None:
            continue
        short = due - left - _expired(draft, lot_id)
        part = min(short, _spent(draft, lot_id), _expired(draft, other_id))
        if part > 0:
            draft.put_lot(lot_id, replace(lot, spent=lot.spent - part))
            draft.put_lot(other_id, replace(other_lot, spent=other_lot.spent + part))


def _spent(draft: Draft, lot_id: str) -> int:
    """Return how much of a month was spent, and is not owed already."""
    lot = draft.account.lot(lot_id)
    assert lot is not None, lot_id
    used = (
        grant.amount - grant.remaining - draft.account.held_of(grant.grant_id)
        for grant in _of_lot(draft, lot_id)
    )
    return lot.spent - lot.owed + sum(used)


def _reduce(draft: Draft, lot_id: str, due: int, taken: list[Allocation]) -> int:
    """Take credits back from a month: first what expired unspent, then what is left.

    Adds what is `taken` out of grants; returns the rest, which was spent and becomes debt.
    """
    left = due - min(due, _expired(draft, lot_id))
    changed: dict[str, Grant] = {}
    for grant in _of_lot(draft, lot_id):
        if part := min(left, grant.remaining):
            left -= part
            taken.append(Allocation(grant.grant_id, part))
            # Credits taken back count as never granted.
            changed[grant.grant_id] = replace(
                grant, amount=grant.amount - part, remaining=grant.remaining - part
            )
    draft.account = replace(
        draft.account,
        grants=tuple(
            changed.get(grant.grant_id, grant)
            for grant in draft.account.grants
            if changed.get(grant.grant_id, grant).amount
        ),
    )
    lot = draft.account.lot(lot_id)
    assert lot is not None, lot_id
    draft.put_lot(lot_id, replace(lot, booked=lot.booked - due, owed=lot.owed + left))
    return left


def _of_lot(draft: Draft, lot_id: str) -> list[Grant]:
    """Return the grants of a month, also what rolled over from it."""
    return [grant for grant in draft.account.grants if grant.lot_id == lot_id]


def _expired(draft: Draft, lot_id: str) -> int:
    """Return how much of a month has expired unspent."""
    lot = draft.account.lot(lot_id)
    assert lot is not None, lot_id
    there = sum(grant.amount for grant in _of_lot(draft, lot_id))
    return lot.booked - (lot.spent - lot.owed) - there


def _set_allowance_aside(draft: Draft, at: datetime) -> None:
    """End the base plan's grant because a term is in force."""
    if grant := draft.account.allowance_grant:
        _end(draft, replace(grant, expires_at=min(at, grant.expires_at_or_never)))


def _expire(draft: Draft, catalog: Catalog, terms: Terms, at: datetime) -> None:
    """End the grants that have expired by an instant, one by one; unspent allowance rolls over."""
    while not draft.is_full:
        due = [
            grant
            for grant in draft.account.grants
            if grant.expires_at_or_never <= at and not grant.ended
        ]
        if not due:
            return
        # Of those that end together, the order decides which roll over: it must not be of arrival.
        grant = min(due, key=lambda grant: (grant.expires_at_or_never, grant.lot_id))
        held = draft.account.held_of(grant.grant_id)
        rollover = _rollover(draft, catalog, terms, grant)
        _end(draft, grant)
        if rollover is not None:
            room, until = rollover
            kept = min(grant.remaining, room)
            if kept > 0:
                draft.roll_over(
                    grant.lot_id,
                    kept,
                    draft.unique_name(f"{ROLLED_OVER}{grant.lot_id}"),
                    granted_at=grant.expires_at_or_never,
                    expires_at=until,
                )
            if held:
                roll_over_held(draft, grant.grant_id, room - max(0, kept), until)


def _rollover(
    draft: Draft,
    catalog: Catalog,
    terms: Terms,
    grant: Grant,
) -> tuple[int, datetime] | None:
    """Return how much of an ending allowance can roll over, and until when it then lives.

    The limit covers all rollover credits together, however long each lives.
    """
    account, found = draft.account, draft.account.month_of(grant.lot_id)
    if grant.kind is not GrantKind.PLAN:
        return None
    plan = catalog.plan(found[0].plan_id if found else account.base_plan_id)
    if plan.rollover is None:
        return None
    live = sum(
        other.remaining + account.held_of(other.grant_id)
        for other in account.grants
        if other.kind is GrantKind.ROLLOVER
        and other.expires_at_or_never > grant.expires_at_or_never
    )
    if found:
        until = terms.later(*found, plan.rollover.periods)
    else:
        ended = account.period_at(grant.expires_at_or_never)
        until = account.begins(ended + plan.rollover.periods)
    return max(0, plan.rollover.max - live), until


def _end(draft: Draft, grant: Grant) -> None:
    """Remove a grant that has expired; an entry books what was left in it.

    As long as a hold has credits of it, it stays, without what expired.
    """
    ended_at, left = grant.expires_at_or_never, grant.remaining
    outlive(draft, grant.grant_id, ended_at)
    draft.end_grant(replace(grant, amount=grant.amount - left, remaining=0))
    if left:
        draft.enter(
            f"expiry:{grant.grant_id}",
            EntryType.EXPIRY,
            -left,
            allocations=(Allocation(grant.grant_id, left),),
            effective_at=ended_at,
        )


def _change_base_plan(draft: Draft, at: datetime) -> None:
    """Put the account on the plan that an admin chose for the next period, once that has begun."""
    account = draft.account
    if account.next_plan_id is not None and account.period_at(at) > account.period:
        draft.account = with_base_plan(account, account.next_plan_id)


def with_base_plan(account: Account, plan_id: str) -> Account:
    """Return an account on a base plan that an admin gave, or back on the one it was opened on."""
    given = None if plan_id == account.plan_id else plan_id
    return replace(account, given_plan_id=given, next_plan_id=None)


def _grant_months(
    draft: Draft,
    catalog: Catalog,
    terms: Terms,
    since: datetime | None,
    at: datetime,
) -> None:
    """Grant the months of terms that have begun after `since`, as far as they were not granted."""
    begun = [
        (each.start, term.rank, month, term)
        for term in terms.given
        for month, each in enumerate(terms.months(term))
        if each.start <= at and (since is None or each.start > since)
    ]
    for start, _, month, term in sorted(begun, key=lambda each: each[:3]):
        if draft.is_full:
            return
        lot_id = term.lot_id(month)
        known = draft.account.lot(lot_id)
        plan = catalog.plan(term.plan_id)
        lot = known or Lot(allowance=monthly_credits(draft.account, plan, term), booked=0)
        # What is in dispute waits for its end; what was booked before is set aside instead.
        due = terms.entitled(term, month, lot.allowance, at, with_disputed=False)
        missing = due - lot.booked
        if known is None and not lot.allowance:
            draft.put_lot(lot_id, lot)  # what it brings is settled, whatever an admin changes later
        if missing > 0:
            draft.put_lot(lot_id, replace(lot, booked=lot.booked + missing))
            expires_at = terms.expiry(term, month)
            if lot.owed:
                missing -= _settle_owed(draft, term, lot_id, missing, is_over=expires_at <= at)
            if missing:
                draft.grant(
                    draft.unique_name(lot_id) if known else lot_id,
                    EntryType.PLAN,
                    GrantKind.PLAN,
                    missing,
                    effective_at=start,
                    grant_source=lot_id,
                    grant_expires_at=expires_at,
                    source=term.payment_id,
                )


def _settle_owed(draft: Draft, term: Term, lot_id: str, missing: int, *, is_over: bool) -> int:
    """Clear what was owed for a month that is due again; return how much of it that has settled.

    What was forgiven counts as spent again. If the month is over, it lives as what is refunded
    does. Else it is granted once more with the rest, and counts as never spent.
    """
    lot = draft.account.lot(lot_id)
    assert lot is not None, lot_id
    amount = min(missing, lot.owed)
    cleared = replace(lot, owed=lot.owed - amount)
    if not (term.forgiven or is_over):
        draft.put_lot(lot_id, replace(cleared, spent=lot.spent - amount))
        return 0
    draft.put_lot(lot_id, cleared)
    if not term.forgiven:
        draft.grant(
            draft.unique_name(lot_id),
            EntryType.PLAN,
            GrantKind.REFUND,
            amount,
            grant_expires_at=refund_expiry(draft.now),
            source=term.payment_id,
        )
    return amount


def _grant_allowance(draft: Draft, catalog: Catalog, at: datetime) -> None:
    """Grant the base plan's allowance for the period, or what a term has set aside of it."""
    account, period = draft.account, draft.account.period_at(at)
    if period > account.period:
        plan = catalog.plan(account.base_plan_id)
        draft.account = account = replace(
            account,
            period=period,
            allowance=monthly_credits(account, plan),
            allowance_spent=0,
        )
    grant_rest_of_allowance(draft, at)


def grant_rest_of_allowance(
    draft: Draft,
    at: datetime,
    command: Command | None = None,
) -> None:
    """Grant what the period's allowance has more than its grant and what was spent before it.

    What holds have of a grant that a term has set aside comes back to it when they end. `command`
    is what raised the allowance, if any: the entry is its own.
    """
    account = draft.account
    start, source = account.begins(account.period), account.allowance_source
    given = sum(grant.amount for grant in account.grants if grant.source == source)
    rest = account.allowance - account.allowance_spent - given
    if rest > 0 and account.period_at(at) == account.period:
        name = f"{PERIOD}{start.astimezone(account.zone).date().isoformat()}"
        if account.subscriptions:  # the period may have been granted in part before
            name = draft.unique_name(f"{PERIOD}{iso(start)}")
        draft.grant(
            command.entry_id if command else name,
            EntryType.PLAN,
            GrantKind.PLAN,
            rest,
            command=command,
            effective_at=start if command is None else None,
            grant_source=source,
            grant_expires_at=account.begins(account.period + 1),
        )


def _close_terms(draft: Draft, at: datetime) -> None:
    """Let go of the terms that are over, unless a grant or another term still refers to them.

    Terms of one subscription that overlap stay together: each decides what the others bring.
    """
    account = draft.account
    named = {grant.lot_id.rpartition(":")[0] for grant in account.grants}
    closed = [
        term for term in account.terms if term.end + GRACE <= at and term.term_id not in named
    ]
    kept = [term for term in account.terms if term not in closed]
    for stays in kept:  # grows as long as it is walked
        kept += [term for term in closed if term.overlaps(stays)]
        closed = [term for term in closed if not term.overlaps(stays)]
    # Very many changes of one period leave by and by: each takes an item of the transaction.
    room = CLOSED_MAX - len(draft.newly_closed)
    late = [term for term in closed if term not in draft.past][max(0, room) :]
    closed = [term for term in closed if term not in late]
    if closed:
        draft.closed += closed
        draft.account = replace(
            account, terms=tuple(term for term in account.terms if term not in closed)
        )

"""What an account is entitled to at an instant: its plan, allowance, limits and period."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from scrip.domain.account import Account, Override
from scrip.domain.catalog import Catalog, Plan
from scrip.domain.grants import Grant
from scrip.domain.terms import Term, Terms

NO_OVERRIDE = Override()


@dataclass(frozen=True, slots=True, kw_only=True)
class Entitlement:
    """What is in force at an instant, from `start` to `end`.

    `term` gives it; None if that is the base plan. `monthly_credits` are what a month of it brings
    from the next one on, and `running_credits` what the running one does: a change to less waits
    for the next month, and so does an edit of the plan. Other terms may bring more beside it.
    """

    plan: Plan
    monthly_credits: int
    running_credits: int
    limits: Mapping[str, int]
    term: Term | None
    start: datetime
    end: datetime


def entitled(account: Account, catalog: Catalog, now: datetime) -> Entitlement:
    """Return what an account is entitled to at an instant.

    Of several plans in force the one with most credits shows, an unlimited one before all others,
    and of those with equally many the one that began first.

    Raises:
        CatalogUnsoundError: the catalog lacks one of the account's plans.
    """
    terms = account.all_terms
    in_force: list[Term | None] = [term for term in terms.given if terms.is_in_force(term, now)]
    if account.given_plan_id is not None or not in_force:
        in_force.append(None)

    def order(term: Term | None) -> tuple[bool, int, bool, timedelta, str]:
        plan = catalog.plan(term.plan_id if term else account.base_plan_id)
        credits_ = monthly_credits(account, plan, term)
        if term is None:
            return plan.unlimited, credits_, False, timedelta(), ""
        return plan.unlimited, credits_, True, now - term.start, term.term_id

    shown = max(in_force, key=order)
    plan = catalog.plan(shown.plan_id if shown else account.base_plan_id)
    credits_ = monthly_credits(account, plan, shown)
    if shown is None:
        period = account.period_at(now)
        start, end = account.begins(period), account.begins(period + 1)
        running = account.allowance if period == account.period else credits_
    else:
        number = terms.month_at(shown, now)
        month, lot = terms.months(shown)[number], account.lot(shown.lot_id(number))
        start, end = month.begins, month.end
        running = lot.allowance if lot else credits_
    return Entitlement(
        plan=plan,
        monthly_credits=credits_,
        running_credits=running,
        limits={**plan.limits, **account.overrides.get(plan.plan_id, NO_OVERRIDE).limits},
        term=shown,
        start=start,
        end=end,
    )


def monthly_credits(account: Account, plan: Plan, term: Term | None = None) -> int:
    """Return what a whole month of a plan brings, for a term's quantity if it is one of a term."""
    own = account.overrides.get(plan.plan_id, NO_OVERRIDE).monthly_credits
    if own is not None:
        return own
    return plan.monthly_credits * (term.quantity if term else 1)


def month_grant(account: Account, entitlement: Entitlement, now: datetime) -> Grant | None:
    """Return the grant of the running month of the plan in force, if it has one."""
    term = entitlement.term
    if term is None:
        return account.allowance_grant
    lot_id = term.lot_id(account.all_terms.month_at(term, now))
    own = (grant for grant in account.grants if grant.source == lot_id)
    return next((grant for grant in own if not grant.ended), None)


def is_on_base_plan(account: Account, terms: Terms, now: datetime) -> bool:
    """Return whether the base plan is in force at an instant."""
    return account.given_plan_id is not None or not any(
        terms.is_in_force(term, now) for term in terms.given
    )


def next_change(account: Account) -> datetime:
    """Return the next instant after `as_of` at which time alone may change the entitlement.

    The base plan's next period counts only if the base plan is in force then.
    """
    terms = account.all_terms
    ahead = [instant for instant in terms.instants() if instant > account.as_of]
    period = account.period_at(account.as_of) + 1
    while ahead and not (
        account.next_plan_id is not None
        or is_on_base_plan(account, terms, account.begins(period))
        or account.begins(period) > min(ahead)
    ):
        period += 1
    return min([*ahead, account.begins(period)])

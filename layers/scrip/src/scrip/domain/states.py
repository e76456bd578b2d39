"""What lists of accounts are filtered by: the states that an account is in, and its plans.

An account is taken as it is stored, so as its last change left it.
"""

from collections.abc import Iterator
from enum import StrEnum

from scrip.domain.account import Account, AccountStatus
from scrip.domain.entitlement import is_on_base_plan


class AccountState(StrEnum):
    """A state that may need attention. An account can be in several."""

    FROZEN = "frozen"
    IN_DEBT = "in_debt"
    OUT_OF_CREDITS = "out_of_credits"
    PAST_DUE = "past_due"
    HELD = "held"


def states_of(account: Account) -> Iterator[AccountState]:
    """Yield the states that an account is in."""
    subscription = account.subscription
    if account.status is AccountStatus.FROZEN:
        yield AccountState.FROZEN
    if account.debt > 0:
        yield AccountState.IN_DEBT
    if account.available <= 0:
        yield AccountState.OUT_OF_CREDITS
    if subscription and not subscription.ended and subscription.status == "past_due":
        yield AccountState.PAST_DUE
    if account.held > 0:
        yield AccountState.HELD


def plans_of(account: Account) -> set[str]:
    """Return the plans that are in force: those that are paid for, and the base plan."""
    terms = account.all_terms
    plans = {term.plan_id for term in terms.given if terms.is_in_force(term, account.as_of)}
    if is_on_base_plan(account, terms, account.as_of):
        plans.add(account.base_plan_id)
    return plans

"""What time alone will do to an account, as the API and the command line show it."""

from collections.abc import Iterable
from typing import TypedDict

from scrip.domain.entries import iso
from scrip.domain.upcoming import Change
from scrip.http.answers import AccountSummary, IsoInstant, summary


class UpcomingChange(AccountSummary):
    """What happens at an instant, and the balance after it. Credits.

    `begins_period`: a period begins. `granted` are new credits, `expired` are lost ones, and
    `released` were held until then. `plan_id` is the plan from then on.
    """

    at: IsoInstant
    begins_period: bool
    granted: int
    expired: int
    released: int
    plan_id: str


class UpcomingAnswer(TypedDict):
    """An account's upcoming changes, soonest first."""

    upcoming: list[UpcomingChange]


def upcoming_json(changes: Iterable[Change]) -> list[UpcomingChange]:
    """Return upcoming changes as the API shows them."""
    return [
        {
            "at": iso(change.at),
            "begins_period": change.begins_period,
            "granted": change.granted,
            "expired": change.expired,
            "released": change.released,
            "plan_id": change.entitled_after.plan.plan_id,
            **summary(change.after, change.entitled_after),
        }
        for change in changes
    ]

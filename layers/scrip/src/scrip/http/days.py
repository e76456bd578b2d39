"""Days: how a request for a time is widened to whole days in UTC."""

from datetime import date, datetime, timedelta
from typing import Annotated

from aws_lambda_powertools.event_handler.openapi.params import Query

from scrip.http.models import Instant
from scrip.http.problems import InvalidError

DAYS_BY_DEFAULT = 30

FirstDay = Annotated[
    Instant | None,
    Query(
        alias="from",
        description=f"Its day is included. By default, {DAYS_BY_DEFAULT} days before `to`.",
    ),
]
"""The parameter `from` of a request for whole days."""

LastDay = Annotated[
    Instant | None,
    Query(description="Exclusive, but its day is included unless it is midnight. Now by default."),
]
"""Its parameter `to`."""


def whole_days(from_: datetime | None, to: datetime, days_max: int) -> tuple[date, date]:
    """Return the first requested day, and the first day after the last.

    Raises:
        InvalidError: there are none, or more than `days_max`.
    """
    try:
        end = (to - timedelta(milliseconds=1)).date() + timedelta(days=1)
        start = from_.date() if from_ else end - timedelta(days=DAYS_BY_DEFAULT)
    except OverflowError as exc:
        raise InvalidError(["query.to: too far away"]) from exc
    if not timedelta(0) < end - start <= timedelta(days=days_max):
        raise InvalidError([f"query.to: after `from`, by at most {days_max} days"])
    return start, end

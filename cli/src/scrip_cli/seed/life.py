"""The life of a demo account: what its owner does, and what happens to it.

The same person, catalog and sign-up always give the same commands with the same keys.
"""

from datetime import UTC, date, datetime, time, timedelta

from scrip.domain.catalog import Catalog
from scrip_cli.seed.people import Person
from scrip_cli.seed.story import Story
from scrip_cli.seed.timed import TimedCommand
from scrip_cli.seed.uses import uses_of


def life(person: Person, catalog: Catalog, signed_up: datetime, until: date) -> list[TimedCommand]:
    """Return the commands of a life from the sign-up to the beginning of a day (UTC), in order."""
    first = signed_up.date()
    days = (first + timedelta(days=n) for n in range((until - first).days))
    commands = [one for day in days for one in uses_of(person, catalog, day)]
    commands += Story(person, catalog, signed_up).commands()
    end = datetime.combine(until, time(), UTC)
    return sorted((one for one in commands if signed_up < one.at < end), key=lambda one: one.at)

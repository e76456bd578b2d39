"""The demo people: who they are, how they came, and what happens to them."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from random import Random


class Role(StrEnum):
    """What an account is there to show."""

    AGENT = "agent"
    SUBSCRIBER = "subscriber"
    HEAVY = "heavy"
    DEBTOR = "debtor"
    FROZEN = "frozen"
    DISPUTED = "disputed"
    TEAM = "team"
    TRIAL = "trial"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    BUYER = "buyer"
    YEARLY = "yearly"
    DEVELOPER = "developer"
    NEWCOMER = "newcomer"
    REGULAR = "regular"
    VISITOR = "visitor"


DAYS = 90
"""How many days before today the story of most accounts begins."""

SIGNUP_DAYS = 14
"""Over how many days before that they sign up, so that their months begin on different days."""

DAYS_HERE = {Role.NEWCOMER: 1, Role.TRIAL: 6, Role.PAST_DUE: DAYS + 12}
"""How many days ago those sign up of whom something is true only today."""

OTHERS = (Role.VISITOR, Role.REGULAR, Role.SUBSCRIBER, Role.VISITOR, Role.REGULAR, Role.BUYER)
"""Who comes after one of each role, again and again."""

FIRST_NAMES = """
Maya Liam Aisha Noah Sofia Kenji Zoe Mateo Priya Elias Nora Omar Lucia Ivan Amara Theo
Hana Jonas Leila Diego Freya Tariq Mei Oscar Ines Ravi Clara Yusuf Anna Marco Ruth Pavel
"""
LAST_NAMES = """
Chen Murphy Khan Weber Rossi Tanaka Novak Silva Patel Berg Haddad Costa Okafor Petrov Lindgren
Moreau Sato Fischer Rahimi Torres Jensen Malik Wong Larsen Dias Nair Schmidt Demir Kowalska Ricci
Levi Horak Adeyemi
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Somebody with a demo account. The same seed and number always give the same person."""

    seed: int
    number: int

    @property
    def account_id(self) -> str:
        """Their account: demo-001, demo-002 ..."""
        return f"demo-{self.number:03}"

    @property
    def role(self) -> Role:
        """What the account shows: first each role once, then ordinary users."""
        roles = tuple(Role)
        if self.number <= len(roles):
            return roles[self.number - 1]
        return OTHERS[(self.number - len(roles) - 1) % len(OTHERS)]

    @property
    def name(self) -> str:
        """Their name; of 999 people no two have the same."""
        place = self.number - 1 + 7 * self.seed
        first, last = FIRST_NAMES.split(), LAST_NAMES.split()
        return f"{first[place % len(first)]} {last[place % len(last)]}"

    @property
    def email(self) -> str:
        """Their address."""
        return f"{self.name.lower().replace(' ', '.')}@example.com"

    def signs_up(self, today: date) -> datetime:
        """Return when they sign up (UTC), if today is the day of the first run."""
        random = self.random("signs up")
        ago = DAYS_HERE.get(self.role, DAYS + random.randrange(SIGNUP_DAYS))
        minutes = timedelta(minutes=random.randrange(7 * 60))
        return datetime.combine(today - timedelta(days=ago), time(), UTC) + minutes

    def random(self, *parts: object) -> Random:
        """Return the same random numbers for the same person and parts."""
        return Random("/".join(map(str, (self.seed, self.number, *parts))))  # noqa: S311

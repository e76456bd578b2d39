"""A command and its time, and who gives the commands of the demo accounts."""

from dataclasses import dataclass
from datetime import datetime

from scrip.domain.commands import Command
from scrip.domain.entries import Actor, ActorType

APP = Actor(ActorType.SERVICE, "demo-app")
SHOP = Actor(ActorType.WEBHOOK, "demo")
SUPPORT = Actor(ActorType.ADMIN, "demo-support")


@dataclass(frozen=True, slots=True, kw_only=True)
class TimedCommand:
    """A command, and when it was given (UTC)."""

    at: datetime
    command: Command

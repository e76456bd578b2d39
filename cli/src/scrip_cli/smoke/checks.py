"""The checks of `scrip smoke`, and what becomes of each."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from scrip_cli.smoke import account, following, parts, people, times
from scrip_cli.smoke.trial import FailedError, Trial, UnprovenError, must

CHECKS: tuple[tuple[str, Callable[[Trial], str]], ...] = (
    ("deployment", parts.deployment),
    ("routes", parts.routes),
    ("authorizer", parts.authorizer),
    ("event sources", parts.event_sources),
    ("schedules", parts.schedules),
    ("boundary", parts.boundary),
    ("entry protection", parts.entry_protection),
    ("refused change", parts.refused_change),
    ("alarms", parts.alarms),
    ("dead letters", parts.dead_letters),
    ("console", parts.console),
    ("users' page", parts.user_page),
    ("sign-in page", parts.sign_in_page),
    ("sign-up", people.sign_up),
    ("sign-up trigger", people.trigger),
    ("user token", people.user_token),
    ("service token", people.service_token),
    ("admin token", people.admin_token),
    ("under IAM", people.under_iam),
    ("refusals", account.refusals),
    ("adjust", account.adjust),
    ("consume", account.consume),
    ("replay", account.replay),
    ("refund", account.refund),
    ("hold", account.hold),
    ("batch", account.batch),
    ("webhook", following.webhook),
    ("waiting webhook", following.waiting_webhook),
    ("event bus", following.event_bus),
    ("usage", following.usage),
    ("archive", following.archive),
    ("entries", account.entries),
    ("accounts", account.accounts),
    ("audit", account.audit),
    ("health", parts.health),
    ("scheduled runs", parts.scheduled_runs),
    ("speed", times.speed),
)
"""The checks, in their order: later ones use what earlier ones made."""


class Verdict(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    UNPROVEN = "unproven"


@dataclass(frozen=True)
class Line:
    """A line of the report."""

    check: str
    verdict: Verdict
    seconds: float
    detail: str


def run_check(name: str, check: Callable[[Trial], str], trial: Trial) -> Line:
    """Run a check and return its line."""
    started = time.monotonic()
    try:
        verdict, detail = Verdict.PASSED, check(trial)
    except UnprovenError as exc:
        verdict, detail = Verdict.UNPROVEN, str(exc)
    except FailedError as exc:
        verdict, detail = Verdict.FAILED, str(exc)
    except Exception as exc:  # noqa: BLE001 - whatever it is, the next checks are run
        verdict, detail = Verdict.FAILED, f"{type(exc).__name__}: {str(exc) or exc.__cause__}"
    return Line(name, verdict, round(time.monotonic() - started, 1), detail)


def clean_up(trial: Trial) -> str:
    """Everything that the run made is removed."""
    trial.clean_up()
    must(not trial.left, f"Not removed: {', '.join(trial.left)}.")
    return "done"

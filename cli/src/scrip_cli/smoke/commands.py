"""`scrip smoke`: use a deployed stack, check everything, and remove what that made."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from enum import StrEnum
from typing import Annotated, Any

import typer

from scrip_cli.exit_codes import ExitCode
from scrip_cli.interrupts import interrupt_once
from scrip_cli.options import Json, Yes
from scrip_cli.report import check_can_ask, confirm, note, show_lines, show_table, stderr
from scrip_cli.session import Session, with_session
from scrip_cli.smoke import account, following, parts, people, times
from scrip_cli.smoke.trial import FailedError, Trial, UnprovenError, must

WAIT_SECONDS = 90

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


@with_session
def smoke(
    *,
    wait: Annotated[
        int, typer.Option(min=1, help="Seconds to wait for what follows, such as an event.")
    ] = WAIT_SECONDS,
    yes: Yes = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Prove that a stack works: use it as apps, providers and admins do, then remove the traces.

    Signs up a user and an admin with random passwords, spends credits of the user's account, and
    sends signed messages. At the end accounts are closed and users deleted; the entries stay, as
    those of every closed account. docs/reference/smoke.md says what each line proves, and what to
    do if it fails.

    Exit codes: 0 nothing failed, 6 something failed, 130 stopped by Ctrl-C, with no traces left.
    """
    check_can_ask(yes=yes)
    stack = f"{session.name} (stage {session.stage()})"
    note(f"This uses {stack} with accounts and users of its own, and removes them.")
    confirm(yes=yes)
    trial, lines = Trial(session, wait), list[Line]()

    def run() -> Iterator[dict[str, Any]]:
        for name, check in (*CHECKS, ("clean-up", clean_up)):
            with stderr.status(f"{name} ..."):
                line = run_check(name, check, trial)
            lines.append(line)
            yield asdict(line)

    with interrupt_once():
        try:
            if as_json:
                show_lines(run())
            else:
                show_table(run(), [field.name for field in fields(Line)])
        except KeyboardInterrupt:
            note("Stopped. Removing what was made ...")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        finally:
            trial.clean_up()
            if trial.left:
                note(f"Not removed: {', '.join(trial.left)}.")
    counts = {verdict: sum(line.verdict is verdict for line in lines) for verdict in Verdict}
    note(", ".join(f"{number} {verdict}" for verdict, number in counts.items()))
    if counts[Verdict.FAILED]:
        raise typer.Exit(ExitCode.FOUND)


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

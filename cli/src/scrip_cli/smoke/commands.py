"""`scrip smoke`: use a deployed stack, check everything, and remove what that made."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scrip_cli.exit_codes import ExitCode
from scrip_cli.interrupts import interrupt_once
from scrip_cli.options import Json, Yes
from scrip_cli.report import check_can_ask, confirm, note, show_lines, show_table, stderr
from scrip_cli.session import Session, with_session

if TYPE_CHECKING:
    from collections.abc import Iterator

WAIT_SECONDS = 90


@with_session
def smoke(
    *,
    wait: Annotated[
        int, typer.Option(min=1, help="Seconds to wait for later effects, such as an event.")
    ] = WAIT_SECONDS,
    yes: Yes = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """Prove that a stack works: use it as apps, providers and admins do, then remove the traces.

    Signs up a user and an admin with random passwords, spends credits of the user's account, and
    sends signed messages. At the end accounts are closed and users deleted; the entries stay, as
    they do for every closed account. docs/reference/smoke.md says what each line proves, and what
    to do if it fails.

    Exit codes: 0 nothing failed, 6 something failed, 130 stopped by Ctrl-C, with no traces left.
    """
    from scrip_cli.smoke.checks import CHECKS, Line, Verdict, clean_up, run_check
    from scrip_cli.smoke.trial import Trial

    check_can_ask(yes=yes)
    stack = f"{session.name} (stage {session.stage()})"
    note(f"This uses {stack} with accounts and users of its own, and removes them.")
    confirm(yes=yes)
    trial, lines = Trial(session, wait), list[Line]()

    def run() -> Iterator[dict[str, Any]]:
        for name, check in (*CHECKS, ("clean-up", clean_up)):
            with stderr().status(f"{name} ..."):
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

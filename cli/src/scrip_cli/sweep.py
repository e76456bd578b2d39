"""`scrip sweep`: how far the monthly resets have come and, with --now, one more sweep."""

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from scrip_cli import report
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.session import Session, with_session

POLL_SECONDS = 1.0
EMPTY_POLLS = 3
"""SQS counts are approximate: a queue is empty once it has said so this many times in a row."""

WAIT_SECONDS_MAX = 3_600


@dataclass(frozen=True)
class Work:
    """How many messages are waiting, in flight, and failed for good."""

    queued: int
    in_flight: int
    dead: int

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.queued and not self.in_flight

    def __str__(self) -> str:
        """Describe it in a line."""
        return f"{self.queued} queued, {self.in_flight} in flight, {self.dead} dead letters"


class Sweep:
    """The sweep of one stack."""

    def __init__(self, session: Session) -> None:
        """Look up the stack's queues and functions."""
        self.session = session
        self.outputs = session.outputs()
        self.sqs = session.client("sqs")

    def work(self) -> Work:
        """Count the work to do, and the work that has failed."""
        queued, in_flight = self._count(self.outputs["RenewQueueUrl"])
        dead, dead_in_flight = self._count(self.outputs["DeadLetterQueueUrl"])
        return Work(queued, in_flight, dead + dead_in_flight)

    def start(self) -> int:
        """Queue all accounts that may be due by now; return the number of messages.

        Raises CommandError if the function fails.
        """
        answer = self.session.client("lambda").invoke(FunctionName=self.outputs["ResetFunction"])
        payload = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise CommandError(
                "The sweep could not be started.",
                "See the function's log. Work that is already queued continues.",
                output=json.dumps(payload, indent=2),
            )
        return int(payload["messages"])

    def show(self) -> None:
        """Print how far it has come."""
        from scrip.ledger import utc_now
        from scrip.store.sweeps import read_watermark

        watermark = read_watermark(self.session.table())
        if watermark is None:
            typer.echo("swept     never")
        else:
            minutes = (utc_now() - watermark).total_seconds() / 60
            typer.echo(f"swept     up to {watermark:%Y-%m-%d %H:%M:%S} UTC, {minutes:.0f} min ago")
        typer.echo(f"messages  {self.work()}")

    def wait(self) -> Work:
        """Show progress until no work is left. Raises CommandError if that takes too long."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        empty_polls = 0
        with report.stderr().status("Renewing ...") as status:
            while time.monotonic() < deadline:
                work = self.work()
                status.update(f"Renewing ... {work}")
                empty_polls = empty_polls + 1 if work.is_done else 0
                if empty_polls == EMPTY_POLLS:
                    return work
                time.sleep(POLL_SECONDS)
        raise CommandError(
            f"There is still work after {WAIT_SECONDS_MAX // 60} minutes.",
            "It continues by itself; `scrip sweep` shows how far it has come.",
        )

    def _count(self, url: str) -> tuple[int, int]:
        visible, in_flight = (
            "ApproximateNumberOfMessages",
            "ApproximateNumberOfMessagesNotVisible",
        )
        answer: dict[str, Any] = self.sqs.get_queue_attributes(
            QueueUrl=url, AttributeNames=[visible, in_flight]
        )
        return int(answer["Attributes"][visible]), int(answer["Attributes"][in_flight])


@with_session
def sweep(
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Renew all accounts that are due by now, and wait.")
    ] = False,
    session: Session,
) -> None:
    """Show how far the monthly resets have come; with --now, renew what is due."""
    found = Sweep(session)
    if not now:
        found.show()
        return
    dead_before = found.work().dead
    messages = found.start()
    report.note(f"Queued {messages} ranges of the directory.")
    try:
        work = found.wait()
    except KeyboardInterrupt:
        report.note("It continues by itself; `scrip sweep` shows how far it has come.")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    found.show()
    if work.dead > dead_before:
        raise CommandError(
            f"{work.dead - dead_before} messages failed permanently.",
            f"They name the accounts, and are in {found.outputs['DeadLetterQueueUrl']}.",
        )

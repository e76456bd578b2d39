"""`scrip sweep`: how far the monthly resets have come and, with --now, one more of them."""

import json
import time
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from scrip.ledger import utc_now
from scrip.store.sweeps import read_watermark
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.target import Target, find_target
from scrip_cli.terminal import INTERRUPTED, Region, StackName, plain_errors

POLL_SECONDS = 1.0
EMPTY_POLLS = 3
"""SQS counts approximately: a queue is empty once it has said so that often in a row."""

WAIT_SECONDS_MAX = 3_600

_progress = Console(stderr=True, highlight=False)


@dataclass(frozen=True)
class Work:
    """How many messages wait, are being worked on, and have failed for good."""

    queued: int
    in_flight: int
    dead: int

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return not self.queued and not self.in_flight

    def __str__(self) -> str:
        """Tell it in a line."""
        return f"{self.queued} queued, {self.in_flight} in flight, {self.dead} dead letters"


class Sweep:
    """The sweep of one stack."""

    def __init__(self, target: Target) -> None:
        """Know the stack's queues and functions. Raises StackError if it is not deployed."""
        self.target = target
        self.outputs = target.outputs()
        self.sqs = target.client("sqs")

    def work(self) -> Work:
        """Count what there is to do, and what has failed."""
        queued, in_flight = self._count(self.outputs["RenewQueueUrl"])
        dead, dead_in_flight = self._count(self.outputs["DeadLetterQueueUrl"])
        return Work(queued, in_flight, dead + dead_in_flight)

    def start(self) -> int:
        """Queue all that can be due by now; return in how many messages.

        Raises StackError if the function fails.
        """
        answer = self.target.client("lambda").invoke(FunctionName=self.outputs["ResetFunction"])
        told = json.load(answer["Payload"])
        if "FunctionError" in answer:
            raise StackError(
                "The sweep could not be started.",
                "See the function's log; what was queued already is done all the same.",
                output=json.dumps(told, indent=2),
            )
        return int(told["messages"])

    def show(self) -> None:
        """Print how far it has come."""
        watermark = read_watermark(self.target.table())
        if watermark is None:
            typer.echo("swept     never")
        else:
            minutes = (utc_now() - watermark).total_seconds() / 60
            typer.echo(f"swept     up to {watermark:%Y-%m-%d %H:%M:%S} UTC, {minutes:.0f} min ago")
        typer.echo(f"messages  {self.work()}")

    def wait(self) -> Work:
        """Show progress until nothing is left to do. Raises StackError if that takes too long."""
        deadline = time.monotonic() + WAIT_SECONDS_MAX
        empty_polls = 0
        with _progress.status("Renewing ...") as status:
            while time.monotonic() < deadline:
                work = self.work()
                status.update(f"Renewing ... {work}")
                empty_polls = empty_polls + 1 if work.is_done else 0
                if empty_polls == EMPTY_POLLS:
                    return work
                time.sleep(POLL_SECONDS)
        raise StackError(
            f"There is still work after {WAIT_SECONDS_MAX // 60} minutes.",
            "It goes on by itself; `scrip sweep` tells how far it has come.",
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


def sweep(
    *,
    now: Annotated[
        bool, typer.Option("--now", help="Renew all that is due by now, and see it through.")
    ] = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Tell how far the monthly resets have come; with --now, renew what is due."""
    with plain_errors(local=stack_name is None):
        found = Sweep(find_target(stack_name, port, state, region))
        if not now:
            found.show()
            return
        dead_before = found.work().dead
        messages = found.start()
        report.note(f"Queued {messages} ranges of the directory.")
        try:
            work = found.wait()
        except KeyboardInterrupt:
            report.note("It goes on by itself; `scrip sweep` tells how far it has come.")
            raise typer.Exit(INTERRUPTED) from None
        found.show()
        if work.dead > dead_before:
            raise StackError(
                f"{work.dead - dead_before} messages could not be done.",
                f"They name the accounts, in {found.outputs['DeadLetterQueueUrl']}.",
            )

"""What can go wrong with a local stack, each told in a sentence and with what to do about it.

- StackError: the command cannot go on
  - PortTakenError: something else listens on the port
  - ToolError: SAM failed; carries the last lines that it printed
  - NotRunningError: there is no stack to talk to
  - NotReadyError: there is one, but `up` has not finished with it
"""

from pathlib import Path

from scrip_cli.exit_codes import ExitCode


class StackError(Exception):
    """A failure that the person at the keyboard can act on."""

    exit_code = ExitCode.FAILED

    def __init__(self, problem: str, remedy: str, *, output: str = "") -> None:
        """Keep the sentence, the advice, and what the failing tool printed last."""
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy
        self.output = output


class PortTakenError(StackError):
    """Something that is not this stack listens on its port."""

    def __init__(self, port: int) -> None:
        """Name the port."""
        super().__init__(
            f"Port {port} is in use by another program.",
            "Stop that program, or choose another port with --port.",
        )


class ToolError(StackError):
    """A tool that was run as a subprocess failed."""

    _LINES_SHOWN = 30

    def __init__(self, what: str, log: Path) -> None:
        """Quote the end of the tool's log."""
        lines = log.read_text(errors="replace").splitlines()
        super().__init__(
            f"{what} failed.",
            f"The whole output is in {log}.",
            output="\n".join(lines[-self._LINES_SHOWN :]),
        )


class NotRunningError(StackError):
    """No stack runs from this state folder."""

    exit_code = ExitCode.NOT_RUNNING

    def __init__(self, port: int) -> None:
        """Name the port."""
        super().__init__(
            f"No local stack is running on port {port}.",
            f"Start one with `scrip local up --port {port}`.",
        )


class NotReadyError(StackError):
    """A stack is being brought up, and nothing is deployed on it yet."""

    exit_code = ExitCode.NOT_RUNNING

    def __init__(self, port: int) -> None:
        """Name the port."""
        super().__init__(
            f"The local stack on port {port} is not deployed yet.",
            "Wait for `scrip local up` to finish.",
        )

"""The exit codes of every command; docs/reference/cli.md lists them from here."""

from enum import IntEnum
from http import HTTPStatus
from typing import Self

from scrip.domain.errors import ScripError


class ExitCode(IntEnum):
    """How a command ended; `meaning` describes it."""

    meaning: str

    def __new__(cls, code: int, meaning: str) -> Self:
        """Make a number with a meaning."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    DONE = 0, "Done."
    FAILED = 1, "Something failed or did not answer. Running the command again is safe."
    USAGE = 2, "Wrong usage, or no terminal to ask for confirmation and no `--yes`."
    NOT_RUNNING = 3, "The local stack is not running, or not ready yet."
    REFUSED = 4, "A rule refused it: not enough credits, a conflict, a reused key."
    NOT_FOUND = 5, "There is no such account, plan, feature, message or log line."
    FOUND = 6, "A check found something: a difference, a problem, an alarm that rings."
    INTERRUPTED = 130, "Stopped by Ctrl-C or the answer no."


def exit_code_of(error: ScripError) -> ExitCode:
    """Return the exit code for an error, which follows from its HTTP status in the API."""
    if error.status == HTTPStatus.NOT_FOUND:
        return ExitCode.NOT_FOUND
    return ExitCode.REFUSED if HTTPStatus(error.status).is_client_error else ExitCode.FAILED

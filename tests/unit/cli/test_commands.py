"""Rules for every command: its help, its reference, completion, and exit codes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from scrip import __version__
from scrip.domain import errors
from scrip_cli.exit_codes import ExitCode, exit_code_of
from scrip_cli.main import app

ROOT = Path(__file__).parents[3]
ROOT_COMMAND: Any = get_command(app)


WITH_AUDIT_RECORDS = {
    *("grant", "deduct", "freeze", "unfreeze", "refund", "plan", "quota", "reset", "close")
}


def commands(group: Any, *words: str) -> Iterator[tuple[str, Any]]:
    """Yield every command with its words."""
    for word, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, *words, word)
        else:
            yield " ".join([*words, word]), command


def run(*words: str, **environment: str) -> Result:
    return CliRunner().invoke(app, words, env=environment, prog_name="scrip")


def test_the_help_of_every_command_has_a_description_and_an_example() -> None:
    for words, command in commands(ROOT_COMMAND):
        assert command.help, words
        assert command.epilog.startswith(f"Example: scrip {words}"), words


def test_the_printed_version_is_that_of_the_code() -> None:
    assert run("--version").output == f"scrip {__version__}\n"


def test_every_command_names_its_stack_by_the_same_options() -> None:
    for words, command in commands(ROOT_COMMAND):
        if words.startswith("prices "):  # They work on files.
            continue
        last = [param.name for param in command.params][-4:]
        shared = ["stack_name", "region", "port", "state"]
        assert last[-2:] == shared[2:] if words.startswith("local ") else last == shared, words


def test_a_stack_name_from_a_variable_that_is_not_set_names_no_stack() -> None:
    done = run("smoke", "--yes", "--stack-name", "")
    assert (done.exit_code, "the name is empty" in done.output) == (ExitCode.USAGE, True)


def test_every_command_that_changes_an_account_has_a_dry_run() -> None:
    changes = {
        words: {param.name for param in command.params}
        for words, command in commands(ROOT_COMMAND)
        if words.startswith("accounts ")
    }
    assert {words for words, names in changes.items() if "yes" in names} == {
        words for words, names in changes.items() if "dry_run" in names
    }


def test_no_command_takes_a_secret_as_an_argument() -> None:
    """Other people on the machine see arguments, and shells remember them."""
    options = [
        (words, name)
        for words, command in commands(ROOT_COMMAND)
        for param in command.params
        for name in param.opts
        if re.search("secret|password|token", name) and not param.is_flag
    ]
    assert options == [("webhooks send", "--secret-file")]


def test_the_reference_is_up_to_date_with_the_code() -> None:
    made = subprocess.run(
        [sys.executable, "scripts/cli_reference.py"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert (ROOT / "docs/reference/cli.md").read_text() == made, "run make reference"


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("accounts un", ["unfreeze"]),
        ("export --format ", ["ndjson", "csv"]),
        ("entries x --type ref", ["refund", "referral"]),
        ("accounts grant x 1 --ki", ["--kind"]),
    ],
)
def test_shells_complete_commands_options_and_values(typed: str, offered: list[str]) -> None:
    words = ["scrip", *typed.split(" ")]
    bash = run(
        _SCRIP_COMPLETE="complete_bash",
        COMP_WORDS="\n".join(words),
        COMP_CWORD=str(len(words) - 1),
    )
    assert bash.stdout.split() == offered
    zsh = run(_SCRIP_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS=f"scrip {typed}")
    assert all(f'"{word}"' in zsh.stdout for word in offered), zsh.stdout


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.DeductionTooLargeError(required=2, available=1, shortfall=1), ExitCode.REFUSED),
        (errors.AccountClosedError(), ExitCode.REFUSED),
        (errors.StaleVersionError(2), ExitCode.REFUSED),
        (errors.IdempotencyKeyReusedError("k1"), ExitCode.REFUSED),
        (errors.AccountNotFoundError("a"), ExitCode.NOT_FOUND),
        (errors.BusyError(), ExitCode.FAILED),
        (errors.CorruptAccountError("a"), ExitCode.FAILED),
    ],
)
def test_the_exit_code_distinguishes_refusals_missing_things_and_failures(
    error: errors.ScripError, code: ExitCode
) -> None:
    assert exit_code_of(error) == code


@pytest.mark.parametrize(
    "words",
    [
        ["accounts", "grant", "a", "5", "--reason", "b"],  # no terminal to ask on
        ["accounts", "grant", "a", "5", "--yes"],  # no reason
        ["accounts", "grant", "a", "5", "--yes", "--reason", ""],
        ["accounts", "grant", "a", "0", "--yes", "--reason", "b"],
        ["accounts", "deduct", "a", "1.5", "--yes", "--reason", "b"],
        ["accounts", "grant", "a", "5", "--yes", "--reason", "b", "--kind", "signup"],
        ["accounts", "grant", "a", "5", "--yes", "--reason", "b", "--expires-at", "soon"],
        ["accounts", "freeze", "a", "--yes", "--reason", "b", "--idempotency-key", "a b"],
        ["accounts", "open", "me", "--yes"],
        ["accounts", "quota", "a", "--yes", "--reason", "b"],  # neither credits nor limits
        ["accounts", "quota", "a", "--limit", "storage", "--yes", "--reason", "b"],
        ["token", "--user", "a@example.com", "--admin", "b@example.com"],
        ["token", "--user", ""],  # not the token of the back end
        ["admin", "create", ""],
        ["admin", "create", "anna"],
        ["secrets", "add", "paypal"],
        ["sync", "everything", "--yes"],
        ["logs"],
        ["logs", "--request-id", 'a"b'],
        ["webhooks", "replay", "stripe:evt_1"],  # no terminal to ask on
        ["accounts", "open", "a", "--email", "anna", "--yes"],
        ["entries", "a", "--since", "2026-12-01T08:00"],
        ["catalog", "diff", "/nowhere.yaml"],
        ["export"],
        ["prices", "pull", "--models", "openai:gpt-5-mini", "--markup", "1"],
        ["prices", "check", "/nowhere.yaml", "--credit-value", "1", "--markup", "1"],
    ],
)
def test_wrong_usage_is_reported_before_any_call_to_aws(words: list[str]) -> None:
    answer = run(*words)
    assert (answer.exit_code, answer.stdout) == (ExitCode.USAGE, ""), answer.output
    assert "Usage: scrip" in answer.stderr


def test_a_stack_that_is_not_running_has_its_own_exit_code(tmp_path: Path) -> None:
    answer = run("accounts", "list", "--port", "1", "--state", str(tmp_path))
    assert (answer.exit_code, "scrip local up" in answer.stderr) == (ExitCode.NOT_RUNNING, True)


@pytest.mark.parametrize("note", ["", "   ", "x" * 1025])
def test_a_blank_or_long_note_is_refused(note: str) -> None:
    for words in (["grant", "a", "1"], ["deduct", "a", "1"], ["freeze", "a"], ["unfreeze", "a"]):
        answer = run("accounts", *words, "--reason", "b", "--note", note, "--yes")
        assert (answer.exit_code, "1 to 1024 characters" in answer.stderr) == (ExitCode.USAGE, True)


def test_the_help_says_who_can_read_a_reason_and_a_note() -> None:
    for words, command in commands(ROOT_COMMAND):
        help_texts = {
            option.name: option.help for option in command.params if hasattr(option, "help")
        }
        if words.startswith("accounts ") and "reason" in help_texts:
            assert help_texts["reason"] == "Why. The user reads this.", words
        if "note" in help_texts:
            assert help_texts["note"].startswith("Only staff read this"), words
        # A command without an audit record takes no note.
        assert ("note" in help_texts) == (words.split()[-1] in WITH_AUDIT_RECORDS)


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501])
def test_a_blank_or_long_reason_is_refused(reason: str) -> None:
    for words in (["accounts", "grant", "a", "1"], ["catalog", "apply", "catalog.yaml"]):
        answer = CliRunner().invoke(app, [*words, "--reason", reason, "--yes"])
        assert (answer.exit_code, "1 to 500 characters" in answer.stderr) == (ExitCode.USAGE, True)


SLOW = {"boto3", "botocore.client", "genai_prices", "httpx", "rich", "ruamel", "samtranslator"}
MODULES_MAX = 450
"""How many modules help may import; with all that commands need to run, it would be over 1 100."""

HELP = """
import sys
from typer.testing import CliRunner
from scrip_cli.main import app

helps = [line.split() for line in sys.stdin]
for words in helps:
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 0, words
print(*sys.modules)
"""


def test_the_help_of_no_command_waits_for_what_only_running_it_needs() -> None:
    """Counted in modules, as a time would depend on the machine."""
    helps = "\n".join(words for words, _ in commands(ROOT_COMMAND))
    shown = subprocess.run(
        [sys.executable, "-c", HELP], input=helps, capture_output=True, text=True, check=True
    ).stdout.split()
    assert not SLOW & set(shown)
    assert len(shown) < MODULES_MAX

"""Prints docs/reference/cli.md, the reference of the command line, from its code."""

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any

from typer.main import get_command

from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app

INTRODUCTION = """\
# The command line

Made from the code by `make reference`; `scrip COMMAND --help` prints the same.
`scrip --version` prints the version.

## Which stack

By default a command works on the local stack of the project in the current folder.

{common}

On AWS a command uses your own credentials (`AWS_PROFILE` and the like) and works directly on the
table: your IAM policies decide what you may do, not Scrip's tokens. Changes follow the same rules
as in the API. Their entries and audit records have your credentials' ARN as the actor.

## Which account

An `ACCOUNT` is an ID, an email address, or a provider's name for it, such as `stripe:cus_123`. IDs
can look like any of these. If a value matches several accounts, the command refuses it, because the
wrong person could get the credits; `account:ID` always means the account with that ID.

## Output

Answers go to standard output, everything else to standard error. On a terminal, lists are tables;
in a pipe, they are lines with tabs between the columns. With `--json` an answer is one JSON
document, and a list has one JSON document per line, with the API's field names. Times are in UTC
and marked as such.

A command that changes something describes the change and asks for confirmation; without a terminal
it requires `--yes`. Each change to an account has an idempotency key, which is printed. Repeating
the command with that `--idempotency-key` never makes the change twice.

A command that changes an account takes `--dry-run`: it asks the ledger what would happen, prints
that, and writes nothing. A change that would be refused is refused with the same exit code.

## The catalog as a file

`scrip catalog export` prints a stack's plans and features. Keep them under version control; check
changes with `diff`, then `apply` them. An item has the fields of the API's PUT except `reason`;
fields that you leave out have their defaults, and `active: false` deactivates the item. The file is
YAML 1.2, so `no` is a word, and a key cannot appear twice. It has no versions: `apply` edits the
versions whose differences it showed.

```yaml
plans:
  pro:
    name: Pro
    monthly_credits: 2000
    rollover:
      max: 1000
      periods: 1
    provider_ids:
      - price_123
features:
  chat:
    name: Chat
    cost: 5
```

## Exit codes

| code | |
|---|---|
{codes}

## Completion

`scrip --install-completion` lets your shell (bash, zsh, fish or PowerShell) complete commands,
options and their values. `scrip --show-completion` prints what it would install.
"""

COMMON = ("stack_name", "region", "port", "state")
"""Options that name the stack, which are described only once."""


def reference() -> str:
    """Return the page."""
    root: Any = get_command(app)
    commands = list(_commands(root, "scrip"))
    common = {
        param.name: param
        for _, command in commands
        for param in command.params
        if param.name in COMMON
    }
    codes = "\n".join(f"| {code.value} | {code.meaning} |" for code in ExitCode)
    context = root.context_class(root)
    table = _table((common[name] for name in COMMON), context)
    parts = [INTRODUCTION.format(common=table, codes=codes), "## Commands\n"]
    parts += [f"- [`{name}`](#{name.replace(' ', '-')})" for name, _ in commands]
    parts += [_section(name, command) for name, command in commands]
    return "\n".join(parts)


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command of a group with its full name, sorted by name."""
    for word, command in sorted(group.commands.items()):
        if hasattr(command, "commands"):
            yield from _commands(command, f"{name} {word}")
        else:
            yield f"{name} {word}", command


def _section(name: str, command: Any) -> str:
    context = command.context_class(command, info_name=name)
    own = [param for param in command.params if param.name not in COMMON]
    parts = [
        f"\n## `{name}`",
        cleandoc(command.help),
        f"`{context.get_usage().removeprefix('Usage: ')}`",
        *([_table(own, context)] if own else []),
        f"Example: `{command.epilog.removeprefix('Example: ')}`",
    ]
    return "\n\n".join(parts)


def _table(params: Iterable[Any], context: Any) -> str:
    records = (param.get_help_record(context) for param in params)
    rows = [f"| `{_cell(names)}` | {_cell(description)} |" for names, description in records]
    return "\n".join(["| | |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference())

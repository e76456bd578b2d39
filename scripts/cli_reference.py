"""Prints the reference of the command line, made from its code: docs/reference/cli.md."""

from collections.abc import Iterable, Iterator
from inspect import cleandoc
from typing import Any

from typer.main import get_command

from scrip_cli.exit_codes import ExitCode
from scrip_cli.main import app

INTRODUCTION = """\
# The command line

Made from the code by `make reference`; `scrip COMMAND --help` says the same.

## Which stack

Without more said, a command works on the local stack of the project that the current folder is in.

{common}

On AWS it works with your own credentials (`AWS_PROFILE` and the like), straight on the table: what
you may do there is up to your IAM policies, not to Scrip's tokens. Changes go the API's way, by the
same rules. Their entries and audit records name you by the ARN that your credentials are of.

## Which account

Where a command wants an `ACCOUNT`, an id will do, an email address, or the name that a provider has
for it, such as `stripe:cus_123`. Ids can look like any of these. A word that leads to several
accounts is refused, because the wrong person could get the credits; `account:ID` is always the account
of that id.

## What is printed

Answers go to standard output, all else to standard error. On a terminal lists are tables; in a pipe
they are lines with tabs between the columns. With `--json` an answer is one JSON document, and a
list a line of JSON for each, with the names that the API has. Times are in UTC and say so.

A command that changes something says what it is about to do, and asks. Without a terminal it wants
`--yes`. A change of an account has an idempotency key, which is printed: repeated with
`--idempotency-key` it is never made twice.

## The catalog as a file

`scrip catalog export` prints the plans and features of a stack; keep them under version control,
look at `diff` and then `apply`. An item has the fields of the API's PUT, but for `reason`: what is
left out has its default, and `active: false` deactivates it. The file is YAML 1.2, in which `no` is a
word; a key cannot appear twice. It has no versions: `apply` edits the versions whose differences it
showed.

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

`scrip --install-completion` teaches your shell (bash, zsh, fish or PowerShell) to complete
commands, options and their values. `scrip --show-completion` prints what it would install.
"""

COMMON = ("stack_name", "region", "port", "state")
"""The options that say which stack is meant, told once."""


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
    told = [common[name] for name in COMMON]
    parts = [INTRODUCTION.format(common=_table(told, context), codes=codes), "## Commands\n"]
    parts += [f"- [`{name}`](#{name.replace(' ', '-')})" for name, _ in commands]
    parts += [_section(name, command) for name, command in commands]
    return "\n".join(parts)


def _commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Yield every command below a group with its whole name, by name."""
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
    rows = [f"| `{_cell(names)}` | {_cell(told)} |" for names, told in records]
    return "\n".join(["| | |", "|---|---|", *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    print(reference())

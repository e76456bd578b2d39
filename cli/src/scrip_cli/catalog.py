"""`scrip catalog`: the plans and features as a file under version control."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from scrip.domain.catalog import Catalog
from scrip.domain.editing import Editor
from scrip.domain.errors import AlreadyExistsError, StaleVersionError
from scrip.ledger import utc_now
from scrip.store.catalogs import commit_edit, read_catalog
from scrip_cli.catalog_changes import Change, changes_to, id_of, unlisted
from scrip_cli.catalog_file import catalog_text, read_catalog_file
from scrip_cli.exit_codes import ExitCode
from scrip_cli.local import report
from scrip_cli.local.commands import DEFAULT_PORT, Json, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.records import show_lines
from scrip_cli.target import Target, find_target
from scrip_cli.terminal import EditReason, Region, StackName, Yes, ask, check_can_ask, plain_errors

app = typer.Typer(help="Plans and features as a file.", no_args_is_help=True)

File = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="A YAML file, as `catalog export` prints one.",
    ),
]
Prune = Annotated[bool, typer.Option("--prune", help="Deactivate what is not in the file.")]


class ConflictError(StackError):
    """Somebody edited the catalog in between."""

    exit_code = ExitCode.REFUSED

    def __init__(self, change: Change, applied: int) -> None:
        """Tell what was edited, and how much has been applied before."""
        super().__init__(
            f"The {change.kind} {change.id} was edited by somebody else in between; "
            f"{applied} changes were made before.",
            "Run the command again and look at the differences that there are now.",
        )


@app.command("export", epilog="Example: scrip catalog export > catalog.yaml")
def export(
    *,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Print the catalog as a file for `diff` and `apply`. What has its default is left out."""
    with plain_errors(local=stack_name is None):
        catalog = read_catalog(find_target(stack_name, port, state, region).table())
    typer.echo(catalog_text(catalog), nl=False)


@app.command(epilog="Example: scrip catalog diff catalog.yaml")
def diff(
    file: File,
    *,
    prune: Prune = False,
    as_json: Json = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Show what `apply` would change, field by field. Exit codes: 0 nothing, 6 something.

    With --json a line of JSON for each plan or feature that would change.
    """
    with plain_errors(local=stack_name is None):
        wanted = read_catalog_file(file)
        target = find_target(stack_name, port, state, region)
        editor = _editor(target, "not applied")
        changes = changes_to(editor, wanted, prune=prune)
        if as_json:
            show_lines(change.to_json() for change in changes)
        else:
            _show(changes, editor.catalog, wanted, prune=prune)
    if changes:
        raise typer.Exit(ExitCode.FOUND)


@app.command(epilog='Example: scrip catalog apply catalog.yaml --reason "prices of 2027"')
def apply(
    file: File,
    *,
    reason: EditReason,
    prune: Prune = False,
    yes: Yes = False,
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Make the catalog as the file says, after showing what changes.

    Each change is made whole, with an audit record, if nobody has edited the plan or feature since.
    Stopped halfway, the same command does the rest. What is not in the file is left alone.
    """
    with plain_errors(local=stack_name is None):
        check_can_ask(yes=yes)
        wanted = read_catalog_file(file)
        target = find_target(stack_name, port, state, region)
        editor = _editor(target, reason)
        changes = changes_to(editor, wanted, prune=prune)
        _show(changes, editor.catalog, wanted, prune=prune)
        if not changes:
            return
        ask(yes=yes)
        table = target.table()
        for applied, change in enumerate(changes):
            try:
                commit_edit(table, change.edit)
            except (AlreadyExistsError, StaleVersionError) as exc:
                raise ConflictError(change, applied) from exc
        report.note(f"{len(changes)} changes made. They count everywhere within 30 seconds.")


def _editor(target: Target, reason: str) -> Editor:
    return Editor(
        catalog=read_catalog(target.table()),
        default_plan=target.settings().default_plan,
        actor=target.operator(),
        reason=reason,
        now=utc_now(),
    )


def _show(changes: list[Change], catalog: Catalog, wanted: Catalog, *, prune: bool) -> None:
    signs = {"create": ("+", "green"), "change": ("~", "yellow"), "deactivate": ("-", "red")}
    for change in changes:
        sign, colour = signs[change.action]
        typer.secho(f"{sign} {change.kind} {change.id}", fg=colour)
        for name, (before, after) in change.fields.items():
            told = f"{_told(before)} -> {_told(after)}" if change.edit.before else _told(after)
            typer.echo(f"    {name}: {told}")
    if not changes:
        report.note("The catalog is as the file says.")
    left = [] if prune else unlisted(catalog, wanted)
    if left:
        names = ", ".join(id_of(item) for item in left)
        report.note(f"Not in the file and left alone (--prune deactivates them): {names}")


def _told(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

"""`scrip catalog`: the plans and features as a file under version control."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from scrip.domain.catalog import QUANTITY, Feature, Price
from scrip.domain.editing import Editor
from scrip.domain.entries import iso
from scrip.domain.errors import AlreadyExistsError, StaleVersionError
from scrip_cli.catalog.changes import changes_to, id_of, unlisted
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import EditReason, Json, Yes
from scrip_cli.report import check_can_ask, confirm, note, show_lines, show_table
from scrip_cli.session import Session, with_session

if TYPE_CHECKING:
    from scrip.domain.catalog import Catalog
    from scrip.store.catalogs import FeatureVersion
    from scrip_cli.catalog.changes import Change

app = typer.Typer(help="Keep plans and features in a file.", no_args_is_help=True)

File = Annotated[
    Path,
    typer.Argument(
        exists=True,
        dir_okay=False,
        metavar="FILE",
        help="A YAML file, in the format that `catalog export` prints.",
    ),
]
VERSION_COLUMNS = ("version", "since", "price", "active", "actor", "reason")

Prune = Annotated[bool, typer.Option("--prune", help="Deactivate what is not in the file.")]


@app.command("export", epilog="Example: scrip catalog export > catalog.yaml")
@with_session
def export(*, session: Session) -> None:
    """Print the catalog as a file for `diff` and `apply`. Fields with defaults are left out."""
    from scrip.store.catalogs import read_catalog
    from scrip_cli.catalog.file import catalog_text

    typer.echo(catalog_text(read_catalog(session.table())), nl=False)


@app.command(epilog="Example: scrip catalog diff catalog.yaml")
@with_session
def diff(file: File, *, prune: Prune = False, as_json: Json = False, session: Session) -> None:
    """Show what `apply` would change, field by field. Exit codes: 0 no change, 6 changes.

    With --json, prints a line of JSON for each plan or feature that would change.
    """
    from scrip_cli.catalog.file import read_catalog_file

    wanted = read_catalog_file(file)
    editor = editor_of(session, "not applied")
    changes = changes_to(editor, wanted, prune=prune)
    if as_json:
        show_lines(change.to_json() for change in changes)
    else:
        _show(changes, editor.catalog, wanted, prune=prune)
    if changes:
        raise typer.Exit(ExitCode.FOUND)


@app.command(epilog='Example: scrip catalog apply catalog.yaml --reason "prices of 2027"')
@with_session
def apply(
    file: File,
    *,
    reason: EditReason,
    prune: Prune = False,
    yes: Yes = False,
    session: Session,
) -> None:
    """Make the catalog match the file, after showing what changes.

    A note names each feature that is so cheap that rounding can add more than 2 % to a typical
    model call.

    Each change is atomic, has an audit record, and is made only if the plan or feature has not been
    edited since. If interrupted, run the same command again to make the rest. What is not in the
    file is left alone.
    """
    from scrip.store.catalogs import commit_edit
    from scrip_cli.catalog.file import read_catalog_file

    check_can_ask(yes=yes)
    wanted = read_catalog_file(file)
    editor = editor_of(session, reason)
    changes = changes_to(editor, wanted, prune=prune)
    _show(changes, editor.catalog, wanted, prune=prune)
    if not changes:
        return
    confirm(yes=yes)
    table = session.table()
    for applied, change in enumerate(changes):
        try:
            commit_edit(table, change.edit)
        except (AlreadyExistsError, StaleVersionError) as exc:
            raise CommandError(
                f"The {change.kind} {change.id} was edited in the meantime; "
                f"{applied} changes were made before that.",
                "Run the command again to see the differences that remain.",
                exit_code=ExitCode.REFUSED,
            ) from exc
    note(f"{len(changes)} changes made. They take effect everywhere within 30 seconds.")


@app.command(epilog="Example: scrip catalog versions chat")
@with_session
def versions(
    feature: Annotated[str, typer.Argument(metavar="FEATURE", help="The ID of a feature.")],
    *,
    as_json: Json = False,
    session: Session,
) -> None:
    """Show what a feature has cost, newest first: since when (UTC), who changed it and why.

    The first version of a feature that came with the stack has no time. Exit code 5: there is no
    such feature.

    With --json, prints each version as a line of JSON, as the API shows it.
    """
    from scrip.store.catalogs import read_versions

    found = read_versions(session.table(), feature)
    if as_json:
        show_lines(map(_version_json, found))
    else:
        show_table(map(_version_row, found), VERSION_COLUMNS)


def _version_json(version: FeatureVersion) -> dict[str, Any]:
    edit = version.edit
    return {
        **asdict(version.feature),
        "since": iso(edit.recorded_at) if edit else None,
        "actor": asdict(edit.actor) if edit else None,
        "reason": edit.reason if edit else None,
    }


def _version_row(version: FeatureVersion) -> dict[str, Any]:
    row, feature = _version_json(version), version.feature
    prices = feature.meters or {feature.unit: feature.prices[QUANTITY]}
    return {
        **row,
        "price": ", ".join(_price(price, of) for of, price in prices.items()),
        "actor": "{type} {id}".format(**row["actor"]) if row["actor"] else None,
    }


def _price(price: Price, of: str) -> str:
    return f"{price.cost} per {of}" if price.per == 1 else f"{price.cost} per {price.per} {of}"


def editor_of(session: Session, reason: str) -> Editor:
    """Return the person as an editor of the stack's catalog as it is now."""
    from scrip.ledger import utc_now
    from scrip.store.catalogs import read_catalog

    return Editor(
        catalog=read_catalog(session.table()),
        default_plan=session.settings().default_plan,
        actor=session.operator(),
        reason=reason,
        now=utc_now(),
    )


def _show(changes: list[Change], catalog: Catalog, wanted: Catalog, *, prune: bool) -> None:
    from scrip_cli.catalog.rounding import rounding_notes

    signs = {"create": ("+", "green"), "change": ("~", "yellow"), "deactivate": ("-", "red")}
    for change in changes:
        sign, color = signs[change.action]
        typer.secho(f"{sign} {change.kind} {change.id}", fg=color)
        for name, (before, after) in change.fields.items():
            value = f"{_text(before)} -> {_text(after)}" if change.edit.before else _text(after)
            typer.echo(f"    {name}: {value}")
    edited = (change.edit.after for change in changes)
    for remark in rounding_notes(item for item in edited if isinstance(item, Feature)):
        note(remark)
    if not changes:
        note("The catalog matches the file.")
    left = [] if prune else unlisted(catalog, wanted)
    if left:
        names = ", ".join(id_of(item) for item in left)
        note(f"Not in the file and left alone (--prune deactivates them): {names}")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

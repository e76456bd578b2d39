"""`scrip audit`: its options."""

from datetime import datetime
from typing import Annotated

import typer

from scrip_cli.options import Json, instant
from scrip_cli.session import CONNECTIONS_MAX, Session, with_session

SEGMENTS = 8


@with_session
def audit(
    *,
    account: Annotated[
        str | None, typer.Option(metavar="ID", help="Only this account.", show_default="all")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            parser=instant,
            metavar="TIME",
            help="Only accounts with an entry at this time or later; each is audited in full.",
            show_default="all",
        ),
    ] = None,
    as_json: Json = False,
    segments: Annotated[
        int, typer.Option(min=1, max=CONNECTIONS_MAX, help="Segments of the table read at once.")
    ] = SEGMENTS,
    session: Session,
) -> None:
    """Prove that every account matches its entries, and list what does not. Changes nothing.

    Hashes, sums, grants, refunds, periods, payments, usage: docs/reference/audit.md lists every
    check and what to do about each finding. Accounts may be in use meanwhile.

    Exit codes: 0 no findings, 6 findings, 5 no such account, 1 no findings but accounts that a
    newer version wrote, 130 stopped by Ctrl-C.
    """
    if account is not None and since is not None:
        raise typer.BadParameter("a single account is audited in full", param_hint="--since")
    from scrip_cli.audit.work import show_audit

    show_audit(session.table(), account, since, segments=segments, as_json=as_json)

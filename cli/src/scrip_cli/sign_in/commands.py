"""`scrip admin`: who may do everything; `scrip token`: access tokens to call the API with."""

from typing import Annotated

import typer

from scrip_cli.session import Session, with_session
from scrip_cli.typed import typed_secret

app = typer.Typer(help="Make people admins.", no_args_is_help=True)

PASSWORD = "Password"  # noqa: S105 - what it is called


def _address(text: str) -> str:
    """Return an address. An empty one is of a variable that is not set, and names nobody."""
    from pydantic import TypeAdapter, ValidationError

    from scrip.http.admin_models import Email

    try:
        TypeAdapter(Email).validate_python(text)
    except ValidationError as exc:
        raise typer.BadParameter("give an address, such as ada@example.com") from exc
    return text


@app.command(epilog="Example: scrip admin create second-admin@example.com")
@with_session
def create(
    email: Annotated[
        str,
        typer.Argument(parser=_address, metavar="EMAIL", help="Their address.", show_default=False),
    ],
    *,
    session: Session,
) -> None:
    """Make a person an admin of the stack's user pool. Safe to repeat.

    Asks for a new user's password, or reads it from standard input: at least 12 characters, with an
    uppercase letter, a digit and a symbol. A user who has a password keeps it. No email is sent.
    """
    from scrip_cli.report import note
    from scrip_cli.sign_in.pool import UserPool

    pool = UserPool(session)
    if not pool.has_password(email):
        pool.set_password(email, typed_secret(PASSWORD))
    pool.make_admin(email)
    note(f"{email} is an admin and can sign in at {session.api_url()}/console")


@with_session
def token(
    *,
    user: Annotated[
        str | None,
        typer.Option(
            parser=_address,
            metavar="EMAIL",
            help="Get a token of this user.",
            show_default="your back end's",
        ),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option(
            parser=_address, metavar="EMAIL", help="Get a token of this admin, like the console's."
        ),
    ] = None,
    session: Session,
) -> None:
    """Print an access token of the stack's user pool. It is valid for an hour.

    For a person, asks for their password, and for the code of their authenticator app if they have
    one; without a terminal, each is a line of standard input.
    """
    from scrip_cli.sign_in.pool import UserPool

    if user and admin:
        raise typer.BadParameter("name a user or an admin", param_hint="--admin")
    pool = UserPool(session)
    if admin:
        typer.echo(pool.admin_token(admin, typed_secret(PASSWORD)))
    elif user:
        typer.echo(pool.user_token(user, typed_secret(PASSWORD)))
    else:
        typer.echo(pool.service_token())

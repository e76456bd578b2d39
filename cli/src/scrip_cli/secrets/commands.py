"""`scrip secrets`: add and replace the secrets that providers sign their messages with."""

from typing import Annotated, Literal

import typer

from scrip_cli.options import Yes
from scrip_cli.report import check_can_ask, confirm, note
from scrip_cli.session import Session, with_session
from scrip_cli.typed import typed_secret
from scrip_cli.webhooks.names import ProviderName

app = typer.Typer(
    help="Add and replace the secrets of webhooks, and the key for Stripe's API.",
    no_args_is_help=True,
)

Name = Annotated[
    Literal[ProviderName, "stripe_api_key"],
    typer.Argument(metavar="NAME", help="A provider, or stripe_api_key.", show_default=False),
]
EFFECT = "New secrets take effect within half a minute, removed ones within five."


@app.command(epilog="Example: scrip secrets add stripe")
@with_session
def add(name: Name, *, session: Session) -> None:
    """Add a secret for a provider; its other secrets stay valid. Safe to repeat.

    Asks for the secret, or reads it from standard input. There can be only one `stripe_api_key`: to
    replace it, use `rotate`.
    """
    from scrip_cli.secrets.store import Secrets

    secrets = Secrets(session)
    secrets.add(name, typed_secret("Secret"))
    note(f"Secrets of {name} that are valid: {len(secrets.of(name))}. {EFFECT}")


@app.command(epilog="Example: scrip secrets rotate stripe")
@with_session
def rotate(name: Name, *, yes: Yes = False, session: Session) -> None:
    """Make a secret a provider's only one, or replace the key for Stripe's API.

    Asks for the secret, or reads it from standard input. So that no message is refused, `add` it
    first, let the provider sign with it, and rotate an hour later.
    """
    from scrip_cli.secrets.store import Secrets

    check_can_ask(yes=yes)
    secrets = Secrets(session)
    secret = typed_secret("Secret")
    secrets.check(name, secret)
    others = [known for known in secrets.of(name) if known != secret]
    is_new = secret not in secrets.of(name)
    note(
        f"Secrets of {name} that are removed: {len(others)}. "
        f"The one that stays is {'new' if is_new else 'valid already'}."
    )
    confirm(yes=yes)
    secrets.replace(name, secret)
    note(EFFECT)

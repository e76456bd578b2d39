"""`scrip webhooks`: the messages that providers sent; and signed test events."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from scrip_cli import report
from scrip_cli.accounts.paging import LIMIT, Page, paged
from scrip_cli.errors import CommandError
from scrip_cli.exit_codes import ExitCode
from scrip_cli.options import All, Json, Limit, Yes
from scrip_cli.session import Session, with_session
from scrip_cli.webhooks.names import MessageStatus, ProviderName

if TYPE_CHECKING:
    import httpx

    from scrip.webhooks.providers import Provider

app = typer.Typer(
    help="Look at what providers sent, apply it again, send test events.", no_args_is_help=True
)

WebhookId = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        help="The message's ID, as `scrip webhooks list` shows it.",
        show_default=False,
    ),
]

COLUMNS = ("webhook_id", "received_at", "type", "status", "account_id", "waits_for", "reason")

TIMEOUT_SECONDS = 30

DONE = ("applied", "ignored")
"""The statuses of messages that need no attention."""

_EXAMPLE = (
    "Example: scrip webhooks send stripe/checkout_payment "
    "--set data.object.client_reference_id=ACCOUNT_ID"
)


@app.command("list", epilog="Example: scrip webhooks list --status failed")
@with_session
def list_(
    *,
    status: Annotated[
        MessageStatus | None, typer.Option(help="Only these.", show_default="all")
    ] = None,
    limit: Limit = LIMIT,
    all_: All = False,
    as_json: Json = False,
    session: Session,
) -> None:
    """List providers' messages of the past year, newest first.

    With --json, prints a line of JSON for each.
    """
    from scrip_cli.admin_api import AdminApi

    api = AdminApi(session)

    def page(size: int, cursor: str | None) -> Page:
        answer = api.get("webhooks", status=status, limit=size, cursor=cursor)
        return answer["webhooks"], answer["cursor"]

    found = paged(page, limit=None if all_ else limit)
    if as_json:
        report.show_lines(found)
    else:
        report.show_table(found, COLUMNS)


@app.command(epilog="Example: scrip webhooks show stripe:evt_123")
@with_session
def show(webhook_id: WebhookId, *, as_json: Json = False, session: Session) -> None:
    """Show a message's outcome, and its content unless that has been erased."""
    from scrip_cli.admin_api import AdminApi

    found = AdminApi(session).get(f"webhooks/{webhook_id}")
    if as_json:
        report.show_json(found)
        return
    payload = found.pop("payload")
    report.show_facts(found)
    typer.echo()
    report.show_json(payload)


@app.command(epilog="Example: scrip webhooks replay stripe:evt_123")
@with_session
def replay(
    webhook_id: WebhookId, *, yes: Yes = False, as_json: Json = False, session: Session
) -> None:
    """Apply a message again, once you have fixed what kept it from taking effect.

    What has already taken effect is not repeated. Exit codes: 0 applied or ignored, 6 it still
    waits or failed again; the reason says why.
    """
    from scrip_cli.admin_api import AdminApi

    report.check_can_ask(yes=yes)
    api = AdminApi(session)
    before = api.get(f"webhooks/{webhook_id}")
    report.note(
        f"{before['type']} of {before['sent_at']}: {before['status']}"
        + (f", {before['reason']}" if before["reason"] else "")
    )
    report.confirm(yes=yes)
    after = api.post(f"webhooks/{webhook_id}/replay")
    show = report.show_json if as_json else report.show_facts
    show(after)
    if after["status"] not in DONE:
        raise typer.Exit(ExitCode.FOUND)


@app.command(epilog=_EXAMPLE)
@with_session
def send(
    fixture: Annotated[
        str,
        typer.Argument(
            help="One in events/webhook, such as stripe/checkout_payment, or a path to a JSON "
            "file.",
        ),
    ],
    *,
    provider: Annotated[
        ProviderName | None,
        typer.Option(help="Who sends it.", show_default="the fixture's folder"),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="The API's address.", show_default="the stack's")
    ] = None,
    secret_file: Annotated[
        typer.FileText | None,
        typer.Option(
            metavar="FILE",
            help="A file with the signing secret; - is standard input.",
            show_default="the stack's secret",
        ),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="PATH=VALUE",
            help="Change the payload; the value is JSON, or a string. May be repeated.",
        ),
    ] = None,
    session: Session,
) -> None:
    """Send a test event, signed just now, and print the answer.

    Exit codes: 0 if the answer was 2xx, otherwise 1.
    """
    from scrip.webhooks.providers import Provider
    from scrip_cli.webhooks.fixtures import find_fixture, override, provider_of, read_payload

    path = find_fixture(fixture)
    sender = Provider(provider) if provider else provider_of(path)
    payload = read_payload(path)
    for assignment in set_ or []:
        override(payload, assignment)
    body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
    secret = read_secret(secret_file) if secret_file else signing_secret(session, sender)
    address = f"{(url or session.api_url()).rstrip('/')}/v1/webhooks/{sender}"
    answer = post_signed(address, body, sender, secret)
    typer.echo(f"{answer.status_code} {answer.reason_phrase}")
    typer.echo(answer.text)
    if not answer.is_success:
        raise typer.Exit(ExitCode.FAILED)


def read_secret(file: TextIO) -> str:
    """Read a signing secret without the white space around it.

    Raises CommandError if there is none.
    """
    try:
        secret = file.read().strip()
    except UnicodeDecodeError as exc:
        raise CommandError(f"{file.name} is not UTF-8.", "Name the file with the secret.") from exc
    if not secret:
        raise CommandError(f"{file.name} is empty.", "Put the signing secret into it.")
    return secret


def signing_secret(session: Session, provider: Provider) -> str:
    """Return the first of a provider's secrets. Raises CommandError if the stack has none."""
    arn = session.output("WebhookSecretsArn")
    text = session.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    secrets = json.loads(text).get(provider)
    if not secrets:
        raise CommandError(
            f"The stack {session.name} has no signing secret for {provider}.",
            f"Add it with `scrip secrets add {provider}`, or name a file with --secret-file.",
        )
    return str(secrets[0])


def post_signed(
    address: str, body: bytes, provider: Provider, secret: str, *, message_id: str | None = None
) -> httpx.Response:
    """Post a message, signed just now, as its provider would; by default it is a new one.

    Raises CommandError if the secret cannot be one, or if there is no answer.
    """
    import httpx

    from scrip.ledger import utc_now
    from scrip_cli.webhooks.signing import sign

    try:
        message_id = message_id or f"msg_{uuid.uuid4().hex}"
        signature = sign(provider, body, secret, message_id=message_id, at=utc_now())
    except ValueError as exc:
        raise CommandError(
            f"The secret cannot be one of {provider}'s: {exc}.",
            "After `whsec_`, a secret continues in base64.",
        ) from exc
    try:
        # The person's proxy is not for what runs on this machine.
        proxied = httpx.URL(address).host not in {"127.0.0.1", "localhost"}
        with httpx.Client(trust_env=proxied, timeout=TIMEOUT_SECONDS) as http:
            return http.post(
                address, content=body, headers={**signature, "Content-Type": "application/json"}
            )
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        raise CommandError(
            f"There was no answer from {address}: {exc}.", "Check the address."
        ) from exc

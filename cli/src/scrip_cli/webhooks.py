"""`scrip webhooks`: send a signed test event to a stack, as the provider would."""

import json
import uuid
from pathlib import Path
from typing import Annotated, Any, TextIO

import httpx
import typer

from scrip.ledger import utc_now
from scrip.webhooks.providers import Provider
from scrip_cli.exit_codes import ExitCode
from scrip_cli.local.commands import DEFAULT_PORT, Port, State
from scrip_cli.local.errors import StackError
from scrip_cli.target import Target, find_target
from scrip_cli.terminal import Region, StackName, plain_errors
from scrip_cli.webhook_signing import sign

app = typer.Typer(help="Try the webhooks of a stack.", no_args_is_help=True)

FIXTURES = Path("events/webhook")
TIMEOUT_SECONDS = 30

_EXAMPLE = (
    "Example: scrip webhooks send stripe/checkout_payment "
    "--set data.object.client_reference_id=ACCOUNT_ID"
)


@app.command(epilog=_EXAMPLE)
def send(
    fixture: Annotated[
        str,
        typer.Argument(
            help=f"One in {FIXTURES}, such as stripe/checkout_payment, or a path to a JSON file.",
        ),
    ],
    *,
    provider: Annotated[
        Provider | None,
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
    stack_name: StackName = None,
    region: Region = None,
    port: Port = DEFAULT_PORT,
    state: State = None,
) -> None:
    """Send a test event, signed just now, and print the answer.

    Exit codes: 0 if the answer was 2xx, 1 if not.
    """
    with plain_errors(local=stack_name is None and url is None):
        path = find_fixture(fixture)
        sender = provider or provider_of(path)
        payload = read_payload(path)
        for assignment in set_ or []:
            override(payload, assignment)
        body = json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode()
        secret = read_secret(secret_file) if secret_file else None
        if url is None or secret is None:
            target = find_target(stack_name, port, state, region)
            url = url or target.api_url()
            secret = secret or _secret(target, sender)
        address = f"{url.rstrip('/')}/v1/webhooks/{sender}"
        answer = _post(address, body, sender, secret)
    typer.echo(f"{answer.status_code} {answer.reason_phrase}")
    typer.echo(answer.text)
    if not answer.is_success:
        raise typer.Exit(ExitCode.FAILED)


def find_fixture(name: str) -> Path:
    """Find a JSON file by its path, or by its name among the project's fixtures.

    Raises StackError, with the names that there are.
    """
    if Path(name).is_file():
        return Path(name)
    here = Path.cwd()
    for folder in (here, *here.parents):
        fixtures = folder / FIXTURES
        if (found := fixtures / f"{name}.json").is_file():
            return found
        if fixtures.is_dir():
            known = sorted(fixtures.rglob("*.json"))
            raise StackError(
                f"There is no fixture {name}.",
                "Name a file, or one of those above.",
                output="\n".join(str(path.relative_to(fixtures).with_suffix("")) for path in known),
            )
    raise StackError(
        f"There is no file {name}, and no folder {FIXTURES} in this folder or any above it.",
        "Run the command inside the Scrip project, or name a file.",
    )


def provider_of(path: Path) -> Provider:
    """Tell the provider from the folder that a fixture is in. Raises StackError if it is none."""
    try:
        return Provider(path.resolve().parent.name)
    except ValueError as exc:
        raise StackError(
            f"Nothing tells which provider sends {path}.",
            f"Name it with --provider: {', '.join(Provider)}.",
        ) from exc


def read_payload(path: Path) -> dict[str, Any]:
    """Read the JSON object that a fixture is. Raises StackError if it is none."""
    try:
        told = json.loads(path.read_bytes())
    except ValueError as exc:
        raise StackError(f"{path} is not JSON: {exc}.", "Correct it.") from exc
    if not isinstance(told, dict):
        raise StackError(f"{path} holds no JSON object.", "Name another file.")
    return told


def read_secret(file: TextIO) -> str:
    """Read a signing secret without the white space around it.

    Raises StackError if there is none.
    """
    try:
        secret = file.read().strip()
    except UnicodeDecodeError as exc:
        raise StackError(f"{file.name} is not UTF-8.", "Name the file of the secret.") from exc
    if not secret:
        raise StackError(f"{file.name} is empty.", "Put the signing secret into it.")
    return secret


def override(payload: dict[str, Any], assignment: str) -> None:
    """Change a value inside a payload: `data.object.lines.data.0.amount=5`.

    What is behind the sign is JSON if it can be read so, else a string. The last name may be new;
    all before it must be there, or a misspelt path would change nothing that counts.
    Raises StackError for a path that leads nowhere.
    """
    path, sign_, text = assignment.partition("=")
    if not sign_:
        raise StackError(f"--set {assignment} has no value.", "Say --set PATH=VALUE.")
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    *parents, last = path.split(".")
    node: Any = payload
    for number, name in enumerate(parents):
        node = _child(node, name, ".".join(parents[: number + 1]))
    match node:
        case dict():
            node[last] = value
        case list() if last.isdecimal() and int(last) < len(node):
            node[int(last)] = value
        case _:
            raise _nowhere(path)


def _child(node: Any, name: str, path: str) -> Any:
    match node:
        case dict() if name in node:
            return node[name]
        case list() if name.isdecimal() and int(name) < len(node):
            return node[int(name)]
    raise _nowhere(path)


def _nowhere(path: str) -> StackError:
    return StackError(
        f"The payload has nothing at {path}.",
        "Only the last name of a --set path may be new; a list's items are 0, 1, 2 ...",
    )


def _secret(target: Target, provider: Provider) -> str:
    """Return the first of a provider's secrets. Raises StackError if the stack has none."""
    arn = target.output("WebhookSecretsArn")
    text = target.client("secretsmanager").get_secret_value(SecretId=arn)["SecretString"]
    found = json.loads(text).get(provider)
    if not found:
        raise StackError(
            f"The stack {target.stack_name} has no signing secret of {provider}.",
            f'Put {{"{provider}": ["..."]}} into {arn}, or name a file with --secret-file.',
        )
    return str(found[0])


def _post(address: str, body: bytes, provider: Provider, secret: str) -> httpx.Response:
    try:
        message_id = f"msg_{uuid.uuid4().hex}"
        signature = sign(provider, body, secret, message_id=message_id, at=utc_now())
    except ValueError as exc:
        raise StackError(
            f"The secret cannot be one of {provider}'s: {exc}.",
            "A secret that begins with `whsec_` goes on in base64.",
        ) from exc
    # A proxy of the person's is not for what runs on this machine.
    proxied = httpx.URL(address).host not in {"127.0.0.1", "localhost"}
    with httpx.Client(trust_env=proxied, timeout=TIMEOUT_SECONDS) as http:
        return http.post(
            address, content=body, headers={**signature, "Content-Type": "application/json"}
        )

"""Messages from billing and identity providers: verified, kept in the inbox, and applied."""

from typing import Annotated, Any, Literal, TypedDict, cast

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger, prepare  # isort: skip

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Path
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.webhook.signatures import verify
from scrip.domain.errors import (
    CatalogUnsoundError,
    CorruptAccountError,
    PayloadError,
    ProviderBusyError,
    SignatureError,
)
from scrip.http.answers import answer
from scrip.http.problems import (
    BodyTooLargeError,
    InvalidError,
    RouteNotFoundError,
    UnsupportedMediaTypeError,
)
from scrip.http.resolver import api, read_body
from scrip.observability import count, logger
from scrip.store.inbox import STORED_BYTES_MAX, InboxStatus, MessageTooLargeError
from scrip.warm_up import warm_up
from scrip.webhooks.apply import accept
from scrip.webhooks.providers import Provider, read_message
from scrip.webhooks.secrets import FRESH_SECONDS, Secrets, secrets_manager

BODY_BYTES_MAX = 1_000_000

secrets = Secrets()
app = api()


Kept = Literal[InboxStatus.APPLIED, InboxStatus.IGNORED, InboxStatus.UNMATCHED, InboxStatus.FAILED]


class WebhookAnswer(TypedDict):
    """The outcome of a message.

    An `unmatched` one waits for its account or payment; a `failed` one has something that Scrip
    does not know.
    """

    webhook_id: str
    status: Kept


@app.operation(
    "POST",
    "/v1/webhooks/<provider>",
    operation_id="webhook",
    summary="Receive a message from a billing or identity provider",
    tag="Webhooks",
    refusals=(
        SignatureError,
        PayloadError,
        ProviderBusyError,
        BodyTooLargeError,
        UnsupportedMediaTypeError,
        CatalogUnsoundError,
        CorruptAccountError,
    ),
)
def post_webhook(
    provider: Annotated[
        str, Path(description="The sender.", json_schema_extra={"enum": [*Provider]})
    ],
) -> Response[WebhookAnswer]:
    """Receive a message, and respond once it has been processed.

    Sending it again is harmless. After a 5xx the provider must send it again. A 422 lists what the
    sender of a `standard` message has to correct; the corrected one needs a new ID.
    """
    if provider not in Provider:
        raise RouteNotFoundError
    sender, event = Provider(provider), app.current_event
    body = read_body(event, BODY_BYTES_MAX)
    try:
        verify(sender.scheme, event.headers, body, secrets.of(sender))
    except SignatureError:
        _verify_with_new_secrets(sender, body)
    try:
        message = read_message(sender, event.headers, body)
        record = accept(ledger(), message, body)
    except MessageTooLargeError as exc:
        raise BodyTooLargeError(STORED_BYTES_MAX) from exc
    except PayloadError as exc:
        if sender is Provider.STANDARD:
            raise InvalidError([exc.reason]) from exc
        raise
    return answer({"webhook_id": record.inbox_id, "status": cast("Kept", record.status)})


def _verify_with_new_secrets(provider: Provider, body: bytes) -> None:
    try:
        known = secrets.of(provider, within=FRESH_SECONDS)
        verify(provider.scheme, app.current_event.headers, body, known)
    except SignatureError:
        count("WebhookRefused")
        raise


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare, prepare, secrets_manager)

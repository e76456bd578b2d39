"""Health, the OpenAPI document and Swagger UI. Public, and without access to anything.

`openapi.json` is made from the code of all functions by `make openapi`; a test holds it in step.
"""

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.content_types import APPLICATION_JSON
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from scrip import __version__
from scrip.http.answers import answer
from scrip.http.resolver import api
from scrip.observability import logger
from scrip.settings import settings

PAGE_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""What Swagger UI needs: it is all in the page, and asks this API only."""

app = api()


class HealthAnswer(TypedDict):
    """The API is up. It is `degraded` if a parameter of the stack is wrong."""

    status: Literal["ok", "degraded"]
    version: Annotated[str, Field(description="Version of the deployed code.")]


@app.operation(
    "GET",
    "/v1/health",
    operation_id="health",
    summary="Check that the API is up",
    tag="Service",
)
def get_health() -> Response[HealthAnswer]:
    """Answer if API Gateway and Lambda are up."""
    try:
        settings()
    except ValidationError:
        logger.exception("the settings are wrong")
        return answer({"status": "degraded", "version": __version__})
    return answer({"status": "ok", "version": __version__})


@app.get("/v1/openapi.json", include_in_schema=False)
def get_openapi() -> Response[Any]:
    """Return the OpenAPI document."""
    return Response(
        status_code=200,
        content_type=APPLICATION_JSON,
        body=_openapi(),
    )


@app.get("/v1/docs", include_in_schema=False)
def get_docs() -> Response[Any]:
    """Return Swagger UI with the document in it."""
    # Its models take as long as all else together, and health waits for none of them.
    from aws_lambda_powertools.event_handler.openapi import swagger_ui  # noqa: PLC0415

    assets = Path(swagger_ui.__file__).parent
    page = swagger_ui.generate_swagger_html(
        _openapi().replace("</", "<\\/"),
        (assets / "swagger-ui-bundle.min.js").read_text(encoding="utf-8"),
        (assets / "swagger-ui.min.css").read_text(encoding="utf-8"),
        swagger_base_url="",
        oauth2_config=None,
    )
    return Response(
        status_code=200,
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": PAGE_POLICY},
        body=page,
        compress=True,
    )


@cache
def _openapi() -> str:
    return (Path(__file__).parent / "openapi.json").read_text(encoding="utf-8")


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)

"""Health, the OpenAPI document, and Redoc, which shows it. Public, and without access to anything.

`openapi.json` is made from the code of all functions by `make openapi`; a test holds it in step.
"""

import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Literal, TypedDict

# First: it makes the imports after it cheaper.
from scrip.warm_up import warm_up  # isort: skip

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.content_types import APPLICATION_JSON
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, ValidationError

from scrip import __version__
from scrip.http.answers import answer
from scrip.http.problems import RouteNotFoundError
from scrip.http.resolver import api
from scrip.observability import logger
from scrip.settings import settings

REDOC = "redoc-3.0.1.js"
FOLDER = Path(__file__).parent

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
        body=_text("openapi.json"),
        compress=True,
    )


@app.get("/v1/docs", include_in_schema=False)
def get_page() -> Response[Any]:
    """Return the page, which loads the document and Redoc."""
    return Response(
        status_code=200,
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": _page_policy()},
        body=_text("page.html"),
        compress=True,
    )


@app.get("/v1/docs/<file>", include_in_schema=False)
def get_file(file: str) -> Response[Any]:
    """Return Redoc. Its version is in its name, so browsers may keep it.

    Raises:
        RouteNotFoundError: there is no such file.
    """
    if file != REDOC:
        raise RouteNotFoundError
    return Response(
        status_code=200,
        content_type="text/javascript; charset=utf-8",
        headers={"Cache-Control": "public, max-age=31536000, immutable"},
        body=_text(f"vendor/{REDOC}"),
        compress=True,
    )


@cache
def _text(path: str) -> str:
    return (FOLDER / path).read_text(encoding="utf-8")


@cache
def _page_policy() -> str:
    """Allow the page its own script, Redoc with the styles that it makes, and this API."""
    [script] = re.findall(r"<script[^>]*>(.*?)</script>", _text("page.html"), re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'unsafe-inline'; "
        "img-src data:; font-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare)

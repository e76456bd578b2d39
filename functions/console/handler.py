"""The admin console and the users' page: static files, and the settings to sign people in.

Public and without access to data: the pages get what they show from the API, with their user's own
token. The files need no build.
"""

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

# First: it makes the imports after it cheaper.
from scrip.warm_up import warm_up  # isort: skip

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.console.files import CONSOLE, EMBEDDED, USER_PAGE, files, page, version
from scrip.http.answers import answer
from scrip.http.problems import RouteNotFoundError
from scrip.http.resolver import api
from scrip.observability import logger
from scrip.settings import settings

CONTENT_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}

IMMUTABLE = {"Cache-Control": "public, max-age=31536000, immutable"}
REVALIDATE = {"Cache-Control": "no-cache"}

app = api(any_query=True)


@app.get("/console/", include_in_schema=False)
def get_console_with_slash() -> Response[str]:
    """Redirect to the address that everything in the page is relative to."""
    return _redirect("../console")


@app.get("/me/", include_in_schema=False)
def get_user_page_with_slash() -> Response[str]:
    """Redirect to the address that everything in the page is relative to."""
    return _redirect("../me")


@app.get("/console", include_in_schema=False)
def get_console() -> Response[str]:
    """Return the console, or 304 if the browser already has it."""
    return _current(CONSOLE, page(CONSOLE), _page_headers())


@app.get("/me", include_in_schema=False)
def get_user_page() -> Response[str]:
    """Return the page on which users see their credits, or 304 if the browser already has it."""
    return _current(USER_PAGE, page(USER_PAGE), _page_headers())


@app.get("/me/credits.js", include_in_schema=False)
def get_embedded() -> Response[str]:
    """Return the custom element for the pages of apps, or 304 if the browser already has it."""
    headers = {"Cross-Origin-Resource-Policy": "cross-origin"}
    return _current(EMBEDDED, files()[EMBEDDED], headers)


@app.get("/console/config.json", include_in_schema=False)
def get_config() -> Response[Any]:
    """Return the pages' settings: how to sign in, the stage, and where users get more credits."""
    return answer(
        {
            "authority": settings().sign_in_authority,
            "client_id": settings().sign_in_client_id,
            "audience": settings().sign_in_audience,
            "scope": "openid email",
            "stage": settings().stage,
            "top_up_url": settings().top_up_url or None,
        },
        headers=REVALIDATE,
    )


@app.get("/console/.+", include_in_schema=False)
def get_file() -> Response[str]:
    """Return a file of this deployment; files of earlier deployments are gone.

    Raises:
        RouteNotFoundError: this deployment has no such file.
    """
    folder, _, path = app.current_event.path.removeprefix("/console/").partition("/")
    if folder != version() or path not in files():
        raise RouteNotFoundError
    return _file(path, files()[path], IMMUTABLE)


def _redirect(to: str) -> Response[str]:
    return Response(
        status_code=308, content_type=CONTENT_TYPES[".txt"], headers={"Location": to}, body=to
    )


def _current(path: str, body: str, headers: dict[str, str]) -> Response[str]:
    """Return a file whose address stays the same, or 304 if the browser already has it."""
    etag = f'"{version()}"'
    headers = {**headers, **REVALIDATE, "ETag": etag}
    if etag in app.current_event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers, body="")
    return _file(path, body, headers)


def _file(path: str, body: str, headers: dict[str, str]) -> Response[str]:
    return Response(
        status_code=200,
        content_type=CONTENT_TYPES[PurePosixPath(path).suffix],
        headers={**headers},
        body=body,
        compress=True,
    )


def _page_headers() -> dict[str, str]:
    """Return headers that limit the page to its own files, the API and the sign-in issuer."""
    sign_in = {
        "{0.scheme}://{0.netloc}".format(urlsplit(url))
        for url in (settings().sign_in_authority, settings().sign_in_token_url)
        if url
    }
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": " ".join(["'self'", *sorted(sign_in)]),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    return {
        "Content-Security-Policy": "; ".join(
            f"{name} {sources}" for name, sources in policy.items()
        ),
        "Cross-Origin-Opener-Policy": "same-origin",
    }


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare)

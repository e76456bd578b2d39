"""The admin console: static files, and what they need to know to sign somebody in.

Public, and without access to anything: what the console shows, it asks the API for with its user's
own token. Its files need no build. Their common hash is in the addresses of all but the first, so
that they are cached for ever and a page never mixes those of two deployments.
"""

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.console.files import files, page, version
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

FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable"}
ASK_AGAIN = {"Cache-Control": "no-cache"}

app = api(any_query=True)


@app.get("/console", include_in_schema=False)
def get_without_slash() -> Response[str]:
    """Send to the address that everything in the page is relative to."""
    return Response(
        status_code=308,
        content_type=CONTENT_TYPES[".txt"],
        headers={"Location": "console/"},
        body="console/",
    )


@app.get("/console/", include_in_schema=False)
def get_page() -> Response[str]:
    """Return the one page, or tell that the browser has it already."""
    etag = f'"{version()}"'
    headers = {**_page_headers(), **ASK_AGAIN, "ETag": etag}
    if etag in app.current_event.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers, body="")
    return _file("index.html", page(), headers)


@app.get("/console/config.json", include_in_schema=False)
def get_config() -> Response[Any]:
    """Return where to sign in, and as which client of it."""
    return answer(
        {
            "authority": settings().sign_in_authority,
            "client_id": settings().sign_in_client_id,
            "audience": settings().sign_in_audience,
            "scope": "openid email",
        },
        headers=ASK_AGAIN,
    )


@app.get("/console/.+", include_in_schema=False)
def get_file() -> Response[str]:
    """Return a file of this deployment; those of an earlier one are gone.

    Raises:
        RouteNotFoundError: there is no such file.
    """
    of, _, path = app.current_event.path.removeprefix("/console/").partition("/")
    if of != version() or path not in files():
        raise RouteNotFoundError
    return _file(path, files()[path], FOR_EVER)


def _file(path: str, body: str, headers: dict[str, str]) -> Response[str]:
    return Response(
        status_code=200,
        content_type=CONTENT_TYPES[PurePosixPath(path).suffix],
        headers={**headers},
        body=body,
        compress=True,
    )


def _page_headers() -> dict[str, str]:
    """Return what keeps the page to its own files, the API, and where its user signs in."""
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
        "Content-Security-Policy": "; ".join(f"{name} {said}" for name, said in policy.items()),
        "Cross-Origin-Opener-Policy": "same-origin",
    }


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)

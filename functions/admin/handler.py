"""What admins ask about all accounts together."""

from datetime import timedelta
from functools import cache
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from scrip.domain.entries import Actor, EntryType
from scrip.http import operations
from scrip.http.answers import answer
from scrip.http.models import Instant, Name
from scrip.http.principals import admin_actor
from scrip.http.problems import InvalidError
from scrip.http.resolver import api
from scrip.observability import logger
from scrip.settings import settings
from scrip.store.archive import Archive, LineFilter, open_archive, read_lines

WINDOW_MAX = timedelta(days=1)

app = api()


@cache
def archive() -> Archive:
    """Return the archive of this process."""
    return open_archive(settings().bucket_name)


@app.get("/v1/admin/entries", **operations.LIST_ALL_ENTRIES)
def get_all_entries(  # noqa: PLR0917 - query parameters
    admin: Annotated[Actor, Depends(admin_actor)],
    from_: Annotated[Instant, Query(alias="from", description="Included.")],
    to: Annotated[Instant, Query(description="Not included; at most a day after `from`.")],
    type_: Annotated[EntryType | None, Query(alias="type")] = None,
    feature: Annotated[Name | None, Query()] = None,
    account_id: Annotated[Name | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(description="Of the page before.")] = None,
) -> Response[Any]:
    """Return a page of the ledger of all accounts, oldest hour first, at most a day of it."""
    if not timedelta(0) < to - from_ <= WINDOW_MAX:
        raise InvalidError(["query.to: after `from`, by at most a day"])
    asked = LineFilter(from_=from_, to=to, type=type_, feature=feature, account_id=account_id)
    entries, next_cursor = read_lines(archive(), asked, limit=limit, cursor=cursor)
    return answer({"entries": entries, "cursor": next_cursor})


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)

"""Read an account, its entries and its usage: the caller's own, or any for a service."""

from datetime import timedelta
from functools import partial
from typing import Annotated, Any

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger, prepare  # isort: skip

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Path, Query
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.account.answers import EntriesAnswer, OneEntryAnswer, UsageAnswer
from functions.account.statement import StatementAnswer, StatementFilter, statement
from functions.account.usage import GroupBy, UsageFilter, usage_rows
from scrip.domain.commands import ENTRY_ID_PATTERN
from scrip.domain.entries import EntryType
from scrip.domain.errors import (
    EntryNotFoundError,
    InstantTooFarError,
    InvalidCursorError,
    NoEntryYetError,
)
from scrip.domain.statement import Group
from scrip.domain.upcoming import CHANGES_MAX, upcoming
from scrip.http.accounts import AccountAnswer, account_at
from scrip.http.answers import AccountSummary, answer, entry_json
from scrip.http.days import DAYS_BY_DEFAULT, FirstDay, LastDay, whole_days
from scrip.http.models import Cursor, Instant, Name, Text
from scrip.http.principals import Caller, any_caller
from scrip.http.problems import InvalidError
from scrip.http.requests import opening_for
from scrip.http.resolver import AccountId, api
from scrip.http.upcoming import UpcomingAnswer, upcoming_json
from scrip.observability import logger
from scrip.store.queries import EntryFilter, read, read_entries
from scrip.store.references import read_entries_of_reference
from scrip.warm_up import warm_up

USAGE_DAYS_MAX = 366

app = api()


@app.operation(
    "GET",
    "/v1/accounts/<account_id>",
    operation_id="get_account",
    summary="Read an account",
    tag="Accounts",
    refusals=(NoEntryYetError, InstantTooFarError),
)
def get_account(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
    at: Annotated[
        Instant | None,
        Query(description="Now by default. At most 10 years ahead."),
    ] = None,
) -> Response[AccountAnswer | AccountSummary]:
    """Return the balance, the grants that make it up, and the period.

    With a future `at`, this is the account as it will be then if nothing else changes it. With a
    past one, it is only the balance, from the newest entry recorded by then: the ledger keeps no
    grants, and anything that had come due is recorded with the account's next command.
    """
    account = ledger().account(caller.account_id, opening_for(caller))
    return answer(account_at(ledger(), account, at))


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/upcoming",
    operation_id="list_upcoming",
    summary="List upcoming changes",
    tag="Accounts",
)
def get_upcoming(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
    limit: Annotated[int, Query(ge=1, le=CHANGES_MAX)] = 12,
) -> Response[UpcomingAnswer]:
    """Return the next renewals, expirations and ends of plans and holds, soonest first.

    They happen without anyone's action. There can be fewer than `limit`: none is over 10 years
    ahead.
    """
    account = ledger().account(caller.account_id, opening_for(caller))
    now = ledger().time(account)
    changes = ledger().with_catalog(
        lambda catalog: upcoming_json(upcoming(account, catalog, now, limit))
    )
    return answer({"upcoming": changes})


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/entries",
    operation_id="list_entries",
    summary="List entries",
    tag="Ledger and usage",
)
def get_entries(  # noqa: PLR0917 - query parameters
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
    type_: Annotated[EntryType | None, Query(alias="type")] = None,
    feature: Annotated[Name | None, Query()] = None,
    reference: Annotated[
        Text | None, Query(description="Only entries with this reference, a few seconds behind.")
    ] = None,
    from_: Annotated[Instant | None, Query(alias="from", description="Inclusive.")] = None,
    to: Annotated[Instant | None, Query(description="Exclusive.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
    cursor: Annotated[Cursor | None, Query(description="From the previous page.")] = None,
) -> Response[EntriesAnswer]:
    """Return a page of the ledger, newest first. `from` and `to` filter by `recorded_at`.

    A page can be short, even empty, before the end: the last page has a null `cursor`. Entries of a
    `reference` are listed for 400 days. The newest entry's `seq` is how many entries there are.
    """
    account = ledger().account(caller.account_id, opening_for(caller))
    asked = EntryFilter(
        account_id=caller.account_id,
        type=type_,
        feature=feature,
        reference=reference,
        from_=from_,
        to=to,
    )
    listed = (
        read_entries
        if reference is None
        else partial(read_entries_of_reference, today=ledger().time(account).date())
    )
    entries, next_cursor = listed(ledger().table, asked, limit=limit, cursor=cursor)
    shown = [entry_json(entry, caller.actor.type) for entry in entries]
    return answer({"entries": shown, "cursor": next_cursor})


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/entries/<entry_id>",
    operation_id="get_entry",
    summary="Read one entry",
    tag="Ledger and usage",
    refusals=(EntryNotFoundError,),
)
def get_entry(
    account_id: AccountId,
    entry_id: Annotated[str, Path(description="The entry's ID.", pattern=ENTRY_ID_PATTERN)],
    caller: Annotated[Caller, Depends(any_caller)],
) -> Response[OneEntryAnswer]:
    """Return an entry and how many of its credits have been refunded."""
    ledger().account(caller.account_id, opening_for(caller))
    found = read(ledger().table, caller.account_id, refunds=entry_id).refundable
    if found is None:
        raise EntryNotFoundError(entry_id)
    return answer({**entry_json(found.entry, caller.actor.type), "refunded": found.refunded})


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/usage",
    operation_id="get_usage",
    summary="Read usage by day, feature, model and reference",
    tag="Ledger and usage",
    refusals=(InvalidCursorError,),
)
def get_usage(  # noqa: PLR0917 - query parameters
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
    from_: FirstDay = None,
    to: LastDay = None,
    group_by: Annotated[GroupBy, Query()] = "day,feature",
    reference: Annotated[Text | None, Query(description="Only usage with this reference.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000, description="Rows by day and reference.")] = 100,
    cursor: Annotated[
        Cursor | None, Query(description="From the previous page, by day and reference.")
    ] = None,
) -> Response[UsageAnswer]:
    """Return usage in whole UTC days, a few seconds behind. References are kept for 400 days.

    Rows by `day,reference` come in pages. Any other answer has at most 4 MB, and `reference` adds
    up at most 5 000 references of days: request fewer days then, or group by less. Rows by
    `reference` begin with the one that cost most.
    """
    account = ledger().account(caller.account_id, opening_for(caller))
    start, end = whole_days(from_, to or ledger().time(account), USAGE_DAYS_MAX)
    asked = UsageFilter(
        account_id=caller.account_id,
        from_=start,
        to=end,
        group_by=group_by,
        reference=reference,
    )
    rows, next_cursor = usage_rows(ledger().table, asked, limit=limit, cursor=cursor)
    return answer(
        {"usage": rows, "from": start.isoformat(), "to": end.isoformat(), "cursor": next_cursor}
    )


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/statement",
    operation_id="get_statement",
    summary="Read what changed the balance between two instants",
    tag="Ledger and usage",
)
def get_statement(
    account_id: AccountId,
    caller: Annotated[Caller, Depends(any_caller)],
    from_: Annotated[
        Instant | None,
        Query(alias="from", description="Inclusive. By default, 30 days before `to`."),
    ] = None,
    to: Annotated[Instant | None, Query(description="Exclusive. Now by default.")] = None,
    group_by: Annotated[Group, Query()] = Group.DAY,
) -> Response[StatementAnswer]:
    """Return lines whose amounts add up to the change of the balance, exact at any instant.

    Uses and refunds have a line for each feature, model or reference, all other entries one for
    each type; by day all have one for each day (UTC). It covers at most 366 days. Of days that are
    not whole in it, it reads the entries, at most 10 000.
    """
    account = ledger().account(caller.account_id, opening_for(caller))
    end = to or ledger().time(account)
    days = whole_days(from_, end, USAGE_DAYS_MAX)
    start = from_ or end - timedelta(days=DAYS_BY_DEFAULT)
    if start >= end:
        raise InvalidError(["query.to: after `from`"])
    asked = StatementFilter(
        account_id=caller.account_id, from_=start, to=end, days=days, group=group_by
    )
    return answer(statement(ledger().table, asked))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare, prepare)

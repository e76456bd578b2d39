"""Admin operations on all accounts together: lists, the inbox, sync, and health."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from typing import Annotated, Any, cast

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger  # isort: skip

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Path, Query
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from functions.admin.answers import (
    AccountCount,
    AccountCountsAnswer,
    AccountsAnswer,
    ArchivedEntriesAnswer,
    ArchivedEntryAnswer,
    ListedWebhook,
    OneWebhookAnswer,
    SearchAnswer,
    SyncAnswer,
    WebhooksAnswer,
    sync_json,
    webhook_json,
)
from functions.admin.archive import LineFilter, read_lines
from functions.admin.requests import SyncRequest
from functions.admin.totals import RanOut, RanOutAnswer, TotalsAnswer, totals_json
from scrip.domain.entries import Actor, EntryType, iso
from scrip.domain.errors import (
    AccountClosedError,
    CatalogUnsoundError,
    CorruptAccountError,
    EmailTakenError,
    InvalidCursorError,
    NotConfiguredError,
    PayloadErasedError,
    ProviderBusyError,
    WebhookNotFoundError,
)
from scrip.domain.states import AccountState
from scrip.health import examine
from scrip.http.accounts import ListedAccount, listed_account_json, listed_accounts
from scrip.http.admin_models import Email, NewAccountRequest
from scrip.http.answers import answer
from scrip.http.days import FirstDay, LastDay, whole_days
from scrip.http.health import AdminHealthAnswer, health_json
from scrip.http.models import Cursor, Instant, Name
from scrip.http.principals import admin_actor
from scrip.http.problems import InvalidError
from scrip.http.resolver import DryRun, api
from scrip.observability import logger
from scrip.renew_queue import renew_queue
from scrip.settings import settings
from scrip.store.aliases import EMAIL, accounts_named
from scrip.store.archive import Archive, open_archive
from scrip.store.directory import list_messages
from scrip.store.inbox import InboxStatus, read_message
from scrip.store.listing import (
    OPENED,
    count_listed,
    list_newest,
    plan_row,
    read_listed,
)
from scrip.store.ran_out import list_ran_out
from scrip.store.totals import read_totals
from scrip.users import add_account, emails_of
from scrip.warm_up import warm_up

TOTALS_DAYS_MAX = 92

WINDOW_MAX = timedelta(days=1)

THREADS = 8
"""How many lists are counted at once."""

SPARE_MILLISECONDS = 12_000
"""Time that a sync leaves for the work in progress when it stops."""

Admin = Annotated[Actor, Depends(admin_actor)]
Limit = Annotated[int, Query(ge=1, le=100)]
Asked = Annotated[str, Field(min_length=1, max_length=300)]
PageCursor = Annotated[Cursor | None, Query(description="From the previous page.")]
WebhookId = Annotated[
    str,
    Path(
        description="The message's ID, from the answer to the webhook or from the list.",
        max_length=300,
    ),
]

app = api()


@cache
def archive() -> Archive:
    """Return the archive of this process."""
    return open_archive(settings().bucket_name)


@app.operation(
    "GET",
    "/v1/admin/entries",
    operation_id="list_all_entries",
    summary="List entries of all accounts",
    tag="Ledger and usage",
)
def get_all_entries(  # noqa: PLR0917 - query parameters
    admin: Admin,
    from_: Annotated[Instant, Query(alias="from", description="Inclusive.")],
    to: Annotated[Instant, Query(description="Exclusive; at most a day after `from`.")],
    type_: Annotated[EntryType | None, Query(alias="type")] = None,
    feature: Annotated[Name | None, Query()] = None,
    account_id: Annotated[Name | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: PageCursor = None,
) -> Response[ArchivedEntriesAnswer]:
    """Return a page of the ledger of all accounts, oldest hour first, at most a day of it.

    A page can be short, even empty, before the end: the last page has a null `cursor`.
    """
    if not timedelta(0) < to - from_ <= WINDOW_MAX:
        raise InvalidError(["query.to: after `from`, by at most a day"])
    asked = LineFilter(from_=from_, to=to, type=type_, feature=feature, account_id=account_id)
    entries, next_cursor = read_lines(archive(), asked, limit=limit, cursor=cursor)
    return answer({"entries": cast("list[ArchivedEntryAnswer]", entries), "cursor": next_cursor})


@app.operation(
    "GET",
    "/v1/admin/accounts",
    operation_id="list_accounts",
    summary="List accounts, all or some, or find one by its ID or an email address",
    tag="Accounts",
)
def get_accounts(  # noqa: PLR0917 - query parameters
    admin: Admin,
    email: Annotated[
        Email | None, Query(description="Only the account of this email address.")
    ] = None,
    account_id: Annotated[Name | None, Query(description="Only the account with this ID.")] = None,
    state: Annotated[AccountState | None, Query(description="Only accounts in this state.")] = None,
    plan: Annotated[Name | None, Query(description="Only accounts on this plan.")] = None,
    q: Annotated[
        Asked | None,
        Query(description="Only accounts with an address, a name or an ID that begins with this."),
    ] = None,
    limit: Limit = 25,
    cursor: PageCursor = None,
) -> Response[AccountsAnswer]:
    """Return a page of all open accounts, or of those that match one of the filters."""
    table = ledger().table
    next_cursor = None
    match email, account_id, state, plan, q:
        case None, None, None, None, None:
            account_ids, next_cursor = list_newest(table, OPENED, limit=limit, cursor=cursor)
        case str(), None, None, None, None:
            account_ids = list(accounts_named(table, [f"{EMAIL}{email.lower()}"]).values())
        case None, str(), None, None, None:
            account_ids = [account_id]
        case None, None, str(), None, None:
            account_ids, next_cursor = list_newest(table, state, limit=limit, cursor=cursor)
        case None, None, None, str(), None:
            account_ids, next_cursor = list_newest(
                table, plan_row(plan), limit=limit, cursor=cursor
            )
        case None, None, None, None, str():
            from functions.admin.search import list_named  # noqa: PLC0415 - see get_search

            account_ids, next_cursor = list_named(table, q, limit=limit, cursor=cursor)
        case _:
            raise InvalidError(["query: one of email, account_id, state, plan and q"])
    accounts, is_complete = listed_accounts(ledger(), account_ids)
    return answer({"accounts": accounts, "cursor": next_cursor, "complete": is_complete})


@app.operation(
    "GET",
    "/v1/admin/accounts/counts",
    operation_id="count_accounts",
    summary="Count accounts by state and plan",
    tag="Accounts",
)
def get_counts(admin: Admin) -> Response[AccountCountsAnswer]:
    """Return how many accounts are open, in each state and on each plan: up to 1 000 of each."""
    plans = sorted(ledger().catalog().plans)
    rows = [OPENED, *AccountState, *map(plan_row, plans)]
    with ThreadPoolExecutor(THREADS) as pool:
        counted = pool.map(partial(count_listed, ledger().table), rows)
    counts: list[AccountCount] = [{"count": count, "more": more} for count, more in counted]
    return answer(
        {
            "all": counts[0],
            "states": dict(zip(AccountState, counts[1:], strict=False)),
            "plans": dict(zip(plans, counts[1 + len(AccountState) :], strict=True)),
        }
    )


@app.operation(
    "GET",
    "/v1/admin/search",
    operation_id="search",
    summary="Find accounts, payments, entries, references and messages",
    tag="Accounts",
)
def get_search(
    admin: Admin,
    q: Annotated[
        Asked,
        Query(
            description="The beginning, at least 3 characters, of an address, a name, an account's "
            "ID, a provider's ID or a reference; or a whole ID, an entry's as "
            "`<account_id>/<entry_id>`."
        ),
    ],
) -> Response[SearchAnswer]:
    """Return up to 10 suggestions. New items are found some seconds later."""
    # It imports all providers, and no list should wait for that.
    from functions.admin.search import search  # noqa: PLC0415 - see above

    return answer(
        {
            "suggestions": [
                {
                    "kind": one.kind.value,
                    "matched": one.matched,
                    "account_id": one.account_id,
                    "name": one.owner,
                }
                for one in search(ledger().table, q.strip())
            ]
        }
    )


@app.operation(
    "GET",
    "/v1/admin/totals",
    operation_id="get_totals",
    summary="Read totals of all accounts by day",
    tag="Ledger and usage",
)
def get_totals(
    admin: Admin,
    from_: FirstDay = None,
    to: LastDay = None,
) -> Response[TotalsAnswer]:
    """Return totals in whole UTC days, at most 92, a few seconds behind.

    They begin with the update to the version that keeps them. Per day, the 200 largest pairs of
    feature and model are kept, the rest is `(other)`, and of accounts the 50 that used most: an
    account that never is among them is missing.
    """
    start, end = whole_days(from_, to or ledger().clock(), TOTALS_DAYS_MAX)
    return answer(totals_json(read_totals(ledger().table, start, end), start, end))


@app.operation(
    "GET",
    "/v1/admin/ran-out",
    operation_id="list_ran_out",
    summary="List accounts that ran out of credits on a day",
    tag="Ledger and usage",
    refusals=(InvalidCursorError,),
)
def get_ran_out(
    admin: Admin,
    day: Annotated[
        Instant | None, Query(description="Any time of the day (UTC). Today by default.")
    ] = None,
    limit: Limit = 25,
    cursor: PageCursor = None,
) -> Response[RanOutAnswer]:
    """Return a page of accounts that ran out of credits on a day of the last 92, latest first."""
    of_day = (day or ledger().clock()).date()
    found, next_cursor = list_ran_out(ledger().table, of_day, limit=limit, cursor=cursor)
    accounts, _ = listed_accounts(ledger(), [account_id for account_id, _ in found])
    known = {account["account_id"]: account for account in accounts}
    ran_out: list[RanOut] = [
        {"ran_out_at": iso(at), "account": known[account_id]}
        for account_id, at in found
        if account_id in known
    ]
    return answer({"ran_out": ran_out, "cursor": next_cursor})


@app.operation(
    "POST",
    "/v1/admin/accounts",
    operation_id="add_account",
    summary="Open an account",
    tag="Accounts",
    status=201,
    refusals=(
        AccountClosedError,
        EmailTakenError,
        CatalogUnsoundError,
        CorruptAccountError,
    ),
)
def post_account(
    admin: Admin,
    body: Annotated[NewAccountRequest, Body()],
    *,
    dry_run: DryRun = False,
) -> Response[ListedAccount]:
    """Open an account as its owner's sign-up would. An existing account keeps what it has."""
    account, is_new = add_account(ledger(), body.account_id, body.email, dry_run=dry_run)
    emails = {*emails_of(ledger(), body.account_id), *([body.email.lower()] if body.email else [])}
    known = read_listed(ledger().table, [body.account_id])
    return answer(
        listed_account_json(
            account,
            ledger().entitled(account),
            sorted(emails),
            known.owners.get(body.account_id),
            known.opened_ats.get(body.account_id),
        ),
        201 if is_new else 200,
    )


@app.operation(
    "GET",
    "/v1/admin/webhooks",
    operation_id="list_webhooks",
    summary="List providers' messages",
    tag="Webhooks",
)
def get_webhooks(
    admin: Admin,
    status: Annotated[InboxStatus | None, Query()] = None,
    limit: Limit = 25,
    cursor: PageCursor = None,
) -> Response[WebhooksAnswer]:
    """Return a page of the past year's messages, newest first."""
    today = ledger().clock().date()
    records, next_cursor = list_messages(
        ledger().table, today, status=status, limit=limit, cursor=cursor
    )
    return answer({"webhooks": [webhook_json(record) for record in records], "cursor": next_cursor})


@app.operation(
    "GET",
    "/v1/admin/webhooks/<webhook_id>",
    operation_id="get_webhook",
    summary="Read a provider's message",
    tag="Webhooks",
    refusals=(WebhookNotFoundError,),
)
def get_webhook(admin: Admin, webhook_id: WebhookId) -> Response[OneWebhookAnswer]:
    """Return a message with its payload, unless that has been erased."""
    record = read_message(ledger().table, webhook_id)
    if record is None:
        raise WebhookNotFoundError(webhook_id)
    payload = json.loads(record.payload) if record.payload else None
    return answer({**webhook_json(record), "payload": payload})


@app.operation(
    "POST",
    "/v1/admin/webhooks/<webhook_id>/replay",
    operation_id="replay_webhook",
    summary="Apply a provider's message again",
    tag="Webhooks",
    refusals=(WebhookNotFoundError, PayloadErasedError, ProviderBusyError),
)
def post_replay(admin: Admin, webhook_id: WebhookId) -> Response[ListedWebhook]:
    """Apply a message again, regardless of its status. Effects that it has had are not repeated."""
    from scrip.webhooks.apply import replay  # noqa: PLC0415 - no list should wait for it

    return answer(webhook_json(replay(ledger(), webhook_id)))


@app.operation(
    "POST",
    "/v1/admin/sync",
    operation_id="sync",
    summary="Repair what sign-ups and webhooks missed",
    tag="Webhooks",
    refusals=(InvalidCursorError, NotConfiguredError, ProviderBusyError),
)
def post_sync(admin: Admin, body: Annotated[SyncRequest, Body()]) -> Response[SyncAnswer]:
    """Repair missed sign-ups and subscriptions, as far as time allows. Safe to repeat."""
    from functions.admin.sync import Sync, SyncMode  # noqa: PLC0415 - no list should wait for it

    sync = Sync(
        ledger(),
        admin,
        mode=SyncMode(body.mode),
        credit_overrides=body.credit_overrides,
        dry_run=body.dry_run,
    )
    report = sync.run(
        body.cursor,
        in_time=lambda: app.lambda_context.get_remaining_time_in_millis() > SPARE_MILLISECONDS,
    )
    return answer(sync_json(report))


@app.operation(
    "GET",
    "/v1/admin/health",
    operation_id="admin_health",
    summary="Check the health of the stack",
    tag="Service",
)
def get_health(admin: Admin) -> Response[AdminHealthAnswer]:
    """Return the state of the stack, `degraded` if anything needs attention."""
    stack = settings()
    renew = renew_queue()
    queues = {
        "renew": renew,
        "renew_dead_letters": replace(renew, url=stack.renew_dead_letters_url),
        "events_dead_letters": replace(renew, url=stack.events_dead_letters_url),
    }
    features = stack.required_features.split(",") if stack.required_features else []
    return answer(health_json(examine(ledger(), stack.default_plan, features, queues)))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up()

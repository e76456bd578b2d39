"""Admin operations on one account: balance, quota, freezing and closing. All are audited."""

from typing import Annotated, Any

# First: it makes the imports after it cheaper, and botocore is faster before Powertools.
from scrip.ledger import ledger, prepare, renewal  # isort: skip

from aws_lambda_powertools.event_handler import Depends, Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from aws_lambda_powertools.logging.correlation_paths import API_GATEWAY_HTTP
from aws_lambda_powertools.utilities.typing import LambdaContext

from functions.adjust.answers import (
    AuditsAnswer,
    ClosedAnswer,
    QuotaAnswer,
    audit_json,
    quota_json,
)
from functions.adjust.requests import ClockRequest, CloseRequest, QuotaRequest, ResetRequest
from scrip.domain.account import Account
from scrip.domain.commands import (
    Adjust,
    AdjustAction,
    CloseAccount,
    ResetUsage,
    SetClock,
    SetFrozen,
    SetQuota,
)
from scrip.domain.grants import GrantKind
from scrip.http.accounts import AccountAnswer, account_json
from scrip.http.admin_models import AdjustRequest, FreezeRequest
from scrip.http.answers import PostedAnswer, answer, posted
from scrip.http.models import Cursor
from scrip.http.principals import Caller, admin_caller
from scrip.http.problems import RouteNotFoundError
from scrip.http.requests import carry_out, command_of, opening_for
from scrip.http.resolver import AccountId, DryRun, IdempotencyKey, api
from scrip.observability import logger
from scrip.settings import settings
from scrip.store.erasure import erase
from scrip.store.queries import read_audit
from scrip.warm_up import warm_up

AUDIT_SHOWN = 10
"""How many audit records the answer to a quota has."""

Admin = Annotated[Caller, Depends(admin_caller)]

app = api()


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/adjustments",
    operation_id="adjust",
    summary="Add, deduct or set credits",
    tag="Credits and plan of an account",
    status=201,
    command=Adjust,
)
def post_adjustment(
    account_id: AccountId,
    body: Annotated[AdjustRequest, Body()],
    caller: Admin,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Add, deduct or set credits by hand, with a reason for the user."""
    command = command_of(
        Adjust,
        caller,
        body,
        idempotency_key,
        action=AdjustAction(body.action),
        kind=GrantKind(body.kind or GrantKind.ADMIN),
    )
    return posted(command, carry_out(command, caller, dry_run=dry_run), 201)


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/freeze",
    operation_id="freeze",
    summary="Stop an account from spending",
    tag="Accounts",
    command=SetFrozen,
)
def post_freeze(
    account_id: AccountId,
    caller: Admin,
    body: Annotated[FreezeRequest | None, Body()] = None,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Refuse every use of the account until it is unfrozen."""
    command = command_of(SetFrozen, caller, body, idempotency_key, frozen=True)
    return posted(command, carry_out(command, caller, dry_run=dry_run), 200)


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/unfreeze",
    operation_id="unfreeze",
    summary="Let an account spend again",
    tag="Accounts",
    command=SetFrozen,
)
def post_unfreeze(
    account_id: AccountId,
    caller: Admin,
    body: Annotated[FreezeRequest | None, Body()] = None,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Let the account consume again."""
    command = command_of(SetFrozen, caller, body, idempotency_key, frozen=False)
    return posted(command, carry_out(command, caller, dry_run=dry_run), 200)


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/quota",
    operation_id="get_quota",
    summary="Read plan, limits and usage",
    tag="Credits and plan of an account",
)
def get_quota(account_id: AccountId, caller: Admin) -> Response[QuotaAnswer]:
    """Return the plan, the current allowance and limits, and the period's usage."""
    return _quota(caller, None)


@app.operation(
    "PUT",
    "/v1/accounts/<account_id>/quota",
    operation_id="change_quota",
    summary="Change plan, allowance or limits",
    tag="Credits and plan of an account",
    command=SetQuota,
)
def put_quota(
    account_id: AccountId,
    body: Annotated[QuotaRequest, Body()],
    caller: Admin,
    *,
    dry_run: DryRun = False,
) -> Response[QuotaAnswer]:
    """Change plan, allowance or limits. A decrease takes effect with the next period.

    Anything else takes effect at once. Repeating the request changes nothing.
    """
    command = command_of(SetQuota, caller, body, None)
    return _quota(caller, carry_out(command, caller, dry_run=dry_run).account)


@app.operation(
    "POST",
    "/v1/accounts/<account_id>/reset",
    operation_id="reset",
    summary="Reset the period's usage",
    tag="Credits and plan of an account",
    command=ResetUsage,
)
def post_reset(
    account_id: AccountId,
    caller: Admin,
    body: Annotated[ResetRequest | None, Body()] = None,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[PostedAnswer]:
    """Reset the period's usage to 0 and refill the plan's allowance."""
    command = command_of(ResetUsage, caller, body, idempotency_key)
    return posted(command, carry_out(command, caller, dry_run=dry_run), 200)


@app.operation(
    "PUT",
    "/v1/admin/accounts/<account_id>/clock",
    operation_id="set_clock",
    summary="Set an account's clock forward",
    tag="Accounts",
    command=SetClock,
)
def put_clock(
    account_id: AccountId,
    body: Annotated[ClockRequest, Body()],
    caller: Admin,
    *,
    dry_run: DryRun = False,
) -> Response[AccountAnswer]:
    """Set the account's clock to a later time. On stage `dev` only; elsewhere 404.

    The clock keeps running from there. Whatever is due by then is recorded at once. Repeating the
    request changes nothing.

    Raises:
        RouteNotFoundError: this is another stage.
    """
    if settings().stage != "dev":
        raise RouteNotFoundError
    command = command_of(SetClock, caller, body, None)
    account = carry_out(command, caller, dry_run=dry_run).account
    if not dry_run:
        account = ledger().execute(renewal(caller.account_id)).account
    assert account is not None
    account = ledger().settled(account)
    return answer(account_json(account, ledger().entitled(account), ledger().time(account)))


@app.operation(
    "DELETE",
    "/v1/accounts/<account_id>",
    operation_id="close",
    summary="Close an account permanently",
    tag="Accounts",
    command=CloseAccount,
)
def delete_account(
    account_id: AccountId,
    caller: Admin,
    body: Annotated[CloseRequest | None, Body()] = None,
    *,
    idempotency_key: IdempotencyKey = None,
    dry_run: DryRun = False,
) -> Response[ClosedAnswer]:
    """Close the account and erase its owner's data. Its ledger stays, but names no one."""
    command = command_of(CloseAccount, caller, body, idempotency_key)
    if dry_run:
        ledger().rehearse(command)
    else:
        ledger().execute(command)
        erase(ledger().table, caller.account_id)
    return answer({"account_id": caller.account_id, "status": "closed"})


@app.operation(
    "GET",
    "/v1/accounts/<account_id>/audit",
    operation_id="list_audit",
    summary="List audit records",
    tag="Ledger and usage",
)
def get_audit(
    account_id: AccountId,
    caller: Admin,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    cursor: Annotated[Cursor | None, Query(description="From the previous page.")] = None,
) -> Response[AuditsAnswer]:
    """Return the audit records of the account, newest first."""
    ledger().account(caller.account_id, opening_for(caller))
    records, next_cursor = read_audit(ledger().table, caller.account_id, limit=limit, cursor=cursor)
    return answer({"audit": [audit_json(*record) for record in records], "cursor": next_cursor})


def _quota(caller: Caller, account: Account | None) -> Response[QuotaAnswer]:
    """Return the quota of an account: as a command left it, else (None) as it is now."""
    if account is None:
        account = ledger().account(caller.account_id, opening_for(caller))
    audit, _ = read_audit(ledger().table, caller.account_id, limit=AUDIT_SHOWN, cursor=None)
    return answer(quota_json(account, ledger().entitled(account), ledger().catalog(), audit))


@logger.inject_lambda_context(correlation_id_path=API_GATEWAY_HTTP)
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Answer one request."""
    return app.resolve(event, context)


warm_up(app.prepare, prepare)

"""The part of Scrip that the client needs: the real rules and answers, on one account in memory."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx

from functions.account.statement import line_json
from functions.catalog.answers import catalog_json
from functions.consume.answers import posted_batch
from functions.consume.requests import (
    BatchRequest,
    CaptureRequest,
    ConsumeRequest,
    ExtendRequest,
    HoldRequest,
    LinedRequest,
    MeasuredRequest,
)
from functions.refund.requests import RefundRequest
from scrip.domain import errors
from scrip.domain.catalog import Feature, Price
from scrip.domain.commands import (
    AdjustAction,
    CaptureHold,
    Command,
    Consume,
    ConsumeBatch,
    ExtendHold,
    HoldCommand,
    OpenHold,
    Refund,
    ReleaseHold,
    Use,
)
from scrip.domain.entitlement import Entitlement, entitled
from scrip.domain.entries import Actor, ActorType, iso
from scrip.domain.settle import settled
from scrip.domain.spending import quote
from scrip.domain.statement import Group, statement_lines
from scrip.domain.upcoming import foreseen, upcoming
from scrip.http.accounts import account_json
from scrip.http.answers import posted, summary_then
from scrip.http.holds import hold_json, posted_capture, posted_hold
from scrip.http.models import ReleaseRequest
from scrip.http.upcoming import upcoming_json
from scrip.ledger import Outcome
from scrip_client import AsyncScrip, Scrip
from scrip_client.keys import USER_PREFIX
from tests.unit.domain.examples import CATALOG, NOW, USER, adjust, do, opening, own_entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aws_lambda_powertools.event_handler import Response

    from scrip.domain.account import Account
    from scrip.domain.entries import Entry
    from scrip.domain.posting import Posting

ACCOUNT_ID = "u1"
CHAT = 5
"""Credits that a use of the feature `chat` costs."""

SERVICE = Actor(ActorType.SERVICE, "app")
PAGE = 2


class ModelError(Exception):
    """The app's own work failed."""


type Fault = Callable[[Callable[[], httpx.Response]], httpx.Response]


def no_fault(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """Nothing goes wrong."""
    return answer()


def unreachable(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """The connection is refused."""
    raise httpx.ConnectError("refused")


def request_lost(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """The request is sent and never arrives."""
    raise httpx.ReadTimeout("silent")


def answer_lost(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """The call takes effect, and its answer is lost."""
    answer()
    raise httpx.ReadTimeout("silent")


class ScripInMemory(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Scrip with an account of 150 credits, at the time `now`. `faults` hit the next requests.

    `keys` are the idempotency keys of the requests that arrived. Until `go_on` is set, requests of
    the async client remain `under_way`. A token names the kind of caller. If it `is_older`, it is
    the earlier version, in which holds and keys had no owner.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.faults: deque[Fault] = deque()
        self.keys: list[str] = []
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()
        self.now, self.catalog, self.is_older = NOW, CATALOG, False
        self._ends: dict[str, Entry] = {}
        self._entries: dict[str, Entry] = {}
        self._refunded: dict[str, int] = {}
        self._account = self._commit(do(None, opening()))

    def client(self, token: str = "service") -> Scrip:
        http = httpx.Client(transport=self, verify=False)
        return Scrip("https://api.example", token=token, http=http)

    def async_client(self, token: str = "service") -> AsyncScrip:
        http = httpx.AsyncClient(transport=self, verify=False)
        return AsyncScrip("https://api.example", token=token, http=http)

    @property
    def ledger(self) -> list[tuple[str, int]]:
        """Types and amounts of the entries since the account was opened, oldest first."""
        return [(str(entry.type), entry.amount) for entry in self._entries.values()][2:]

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The entries as the API answers them, oldest first."""
        return [dict(entry.to_json()) for entry in self._entries.values()]

    @property
    def charged(self) -> int:
        """The credits that the ledger took in all."""
        return -sum(amount for _, amount in self.ledger)

    @property
    def account(self) -> Account:
        """The account, settled now."""
        return settled(self._account, self.catalog, self.now)

    def price_tokens(self, *feature_ids: str) -> None:
        """Let a token of each feature cost a credit, and give the account 10 000."""
        meters = {name: Price(cost=1, per=1) for name in ("input", "cached_input", "output")}
        features = {
            feature_id: Feature(feature_id=feature_id, name="Model", unit="token", meters=meters)
            for feature_id in feature_ids
        }
        self.catalog = replace(CATALOG, features=features)
        self.execute(adjust(AdjustAction.ADD, 10_000))

    def execute(self, command: Command) -> None:
        """Execute a command that does not come from the client."""
        self._decide(command)

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.now += timedelta(seconds=seconds)

    @property
    def newest(self) -> Entry:
        """The newest entry."""
        return list(self._entries.values())[-1]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        with self._lock:
            fault = self.faults.popleft() if self.faults else no_fault
            return fault(lambda: self._answer(request))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way.set()
        await self.go_on.wait()
        return self.handle_request(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.keys.append(request.headers.get("Idempotency-Key", ""))
        try:
            return self._routed(request)
        except errors.ScripError as error:
            return _problem(error.status, error.code, **asdict(error))

    def _routed(self, request: httpx.Request) -> httpx.Response:
        what = request.url.path.removeprefix(f"/v1/accounts/{ACCOUNT_ID}").split("/")[1:]
        if request.method == "GET" or what == ["quote"]:
            return httpx.Response(200, json=self._read(what, request))
        match what:
            case ["consume"]:
                return self._execute(_consume(request), 200)
            case ["consume", "batch"]:
                return self._execute(_batch(request), 200)
            case ["refunds"]:
                return self._execute(_refund(request), 201)
            case ["holds"]:
                return self._execute(_hold(request), 201)
        return self._changed(_change_of_hold(request, *what[1:]))

    @property
    def _entitlement(self) -> Entitlement:
        return entitled(self.account, self.catalog, self.now)

    def _read(self, what: list[str], request: httpx.Request) -> Mapping[str, Any]:
        match what:
            case [] | ["upcoming"]:
                return self._account_asked(request.url.params)
            case ["v1", "catalog"]:
                return catalog_json(self.catalog)
            case ["holds"]:
                return {"holds": [hold_json(hold) for hold in self.account.holds]}
            case ["entries"] | ["statement"]:
                ask = self._page if what == ["entries"] else self._statement
                return ask(dict(request.url.params))
            case ["quote"]:
                return asdict(
                    quote(self.account, self._entitlement.plan, _consume(request), self.catalog)
                )
        _, entry_id = what
        if entry_id not in self._entries:
            raise errors.EntryNotFoundError(entry_id)
        refunded = self._refunded.get(entry_id, 0)
        return {**self._entries[entry_id].to_json(), "refunded": refunded}

    def _account_asked(self, query: Mapping[str, str]) -> Mapping[str, Any]:
        if "limit" in query:
            changes = upcoming(self.account, self.catalog, self.now, int(query["limit"]))
            return {"upcoming": upcoming_json(changes)}
        at = datetime.fromisoformat(query["at"]) if "at" in query else self.now
        if at >= self.now:
            return account_json(*foreseen(self._account, self.catalog, at), at)
        known = [entry for entry in self._entries.values() if entry.recorded_at <= at]
        if not known:
            raise errors.NoEntryYetError(at)
        return summary_then(ACCOUNT_ID, max(known, key=lambda entry: entry.seq))

    def _statement(self, query: dict[str, str]) -> Mapping[str, Any]:
        group, to = Group(query["group_by"]), query.get("to", iso(self.now))
        before = [entry for entry in self._entries.values() if iso(entry.recorded_at) < to]
        found = [entry for entry in before if iso(entry.recorded_at) >= query["from"]]
        return {
            "from": query["from"],
            "to": to,
            "balance_before": found[0].balance_before,
            "balance_after": found[-1].balance_after,
            "lines": [line_json(line, group) for line in statement_lines({}, found, group)],
        }

    def _changed(self, command: HoldCommand) -> httpx.Response:
        if self._is_apart(command) and not command.hold_id.startswith(USER_PREFIX):
            return _problem(403, "hold_not_yours", hold_id=command.hold_id)
        if not isinstance(command, ExtendHold):
            return self._execute(command, 200)
        try:
            self._account = do(self._account, command, self.now, catalog=self.catalog).after
        except errors.HoldNotFoundError as not_found:
            self._ended(command, not_found)
        account = account_json(self._account, self._entitlement, self.now)
        hold = self._account.hold(command.hold_id)
        assert hold is not None
        return httpx.Response(200, json={"hold": hold_json(hold), "account": account})

    def _is_apart(self, command: Command) -> bool:
        return command.actor.type is ActorType.USER and not self.is_older

    def _execute(self, command: Command, status: int) -> httpx.Response:
        if self._is_apart(command):
            command = replace(command, entry_id=f"{USER_PREFIX}{command.entry_id}")
        entry = self._entries.get(command.entry_id)
        if entry is None:
            try:
                self._decide(command)
                outcome = self._outcome(command)
            except errors.HoldNotFoundError as not_found:
                outcome = self._ended(command, not_found)
        elif entry.request_hash == command.request_hash:
            outcome = self._outcome(command, replayed=True)
        else:
            raise errors.IdempotencyKeyReusedError(entry.entry_id)
        answer: Response[Any]
        match command:
            case ConsumeBatch():
                answer = posted_batch(command, outcome)
            case OpenHold():
                answer = posted_hold(command, outcome)
            case CaptureHold():
                answer = posted_capture(command, outcome)
            case _:
                answer = posted(command, outcome, status)
        headers = {name: str(value) for name, value in answer.headers.items()}
        return httpx.Response(status, headers=headers, json=answer.body)

    def _outcome(self, command: Command, *, replayed: bool = False) -> Outcome:
        others = tuple(self._entries[entry_id] for entry_id in command.entry_ids[1:])
        entry = self._entries[command.entry_id]
        return Outcome(entry=entry, others=others, replayed=replayed)

    def _ended(self, command: Command, not_found: errors.HoldNotFoundError) -> Outcome:
        opened = self._entries.get(not_found.hold_id)
        if opened is None or opened.hold_id != not_found.hold_id:
            raise not_found
        end = self._ends.get(not_found.hold_id)
        if end and end.request_hash == command.request_hash:
            return self._outcome(replace(command, entry_id=end.entry_id), replayed=True)
        raise errors.HoldEndedError(not_found.hold_id, end.entry_id if end else None)

    def _decide(self, command: Command) -> Posting:
        of = self._entries.get(command.refunds) if isinstance(command, Refund) else None
        refunded = self._refunded.get(of.entry_id, 0) if of else 0
        actor = command.actor
        if self.is_older:
            command = replace(command, actor=SERVICE)
        posting = do(
            self._account, command, self.now, of=of, refunded=refunded, catalog=self.catalog
        )
        if self.is_older:
            entries = tuple(replace(entry, actor=actor) for entry in posting.entries)
            own = posting.entry and replace(posting.entry, actor=actor)
            posting = replace(posting, entries=entries, entry=own)
        self._account = self._commit(posting)
        return posting

    def _commit(self, posting: Posting) -> Account:
        self._entries |= {entry.entry_id: entry for entry in posting.entries}
        if posting.refund:
            self._refunded[posting.refund[0].entry.entry_id] = posting.refund[1]
        if posting.ended_hold:
            self._ends[posting.ended_hold] = own_entry(posting)
        return posting.after

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        fields = {name: value for name, value in query.items() if name not in {"cursor", "limit"}}
        newest_first = [entry.to_json() for entry in reversed(self._entries.values())]
        found = [entry for entry in newest_first if fields.items() <= entry.items()]
        start = int(query.get("cursor", 0))
        end = start + PAGE
        cursor = str(end) if end < len(found) else None
        return {"entries": found[start:end], "cursor": cursor}


def _consume(request: httpx.Request) -> Consume:
    body = ConsumeRequest.model_validate_json(request.content)
    return Consume(**_named(request), **_fields(body))


def _refund(request: httpx.Request) -> Refund:
    body = RefundRequest.model_validate_json(request.content).model_dump()
    return Refund(**_named(request), refunds=body.pop("entry_id"), **body)


def _batch(request: httpx.Request) -> ConsumeBatch:
    body = BatchRequest.model_validate_json(request.content)
    uses = tuple(Use(**_fields(use)) for use in body.uses)
    return ConsumeBatch(**_named(request), uses=uses)


def _hold(request: httpx.Request) -> OpenHold:
    body = HoldRequest.model_validate_json(request.content)
    return OpenHold(**_named(request), **_fields(body))


def _change_of_hold(request: httpx.Request, hold_id: str, change: str) -> HoldCommand:
    named = {**_named(request), "hold_id": hold_id}
    match change:
        case "capture":
            body = _fields(CaptureRequest.model_validate_json(request.content))
            excess = body.pop("excess") == "available"
            return CaptureHold(**named, **body, excess=excess)
        case "extend":
            extension = ExtendRequest.model_validate_json(request.content)
            return ExtendHold(**named, **extension.model_dump())
    release = ReleaseRequest.model_validate_json(request.content)
    return ReleaseHold(**named, **release.model_dump())


def _fields(body: MeasuredRequest) -> dict[str, Any]:
    """Return a command's fields: a provider's usage has become counts of meters."""
    fields = body.model_dump(exclude={"usage_of", "lines"})
    return {**fields, "lines": body.uses} if isinstance(body, LinedRequest) else fields


def _named(request: httpx.Request) -> dict[str, Any]:
    key = request.headers.get("Idempotency-Key", "")
    actor = USER if request.headers["Authorization"] == "Bearer user" else SERVICE
    return {"account_id": ACCOUNT_ID, "entry_id": key, "actor": actor}


def _problem(status: int, code: str, **data: Any) -> httpx.Response:
    problem = {**data, "code": code, "status": status}
    return httpx.Response(status, text=json.dumps(problem, default=str))

"""Scrip as far as the client needs it: the real rules and answers on one account in memory."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import httpx

from scrip.domain import errors
from scrip.domain.commands import Command, Consume, Refund
from scrip.domain.spending import quote
from scrip.http.answers import account_json, posted
from scrip.http.models import ConsumeRequest, RefundRequest
from scrip.ledger import Outcome
from scrip_client import AsyncScrip, Scrip
from tests.unit.domain.examples import ADMIN, CATALOG, do, opening, own_entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from scrip.domain.account import Account
    from scrip.domain.entries import Entry
    from scrip.domain.posting import Posting

ACCOUNT_ID = "u1"
PAGE = 2

type Fault = Callable[[Callable[[], httpx.Response]], httpx.Response]


def well(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """Nothing goes wrong."""
    return answer()


def unreachable(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """Nobody is there."""
    raise httpx.ConnectError("refused")


def request_lost(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """The request is sent and never arrives."""
    raise httpx.ReadTimeout("silent")


def answer_lost(answer: Callable[[], httpx.Response]) -> httpx.Response:
    """The call takes effect, and its answer gets lost."""
    answer()
    raise httpx.ReadTimeout("silent")


class ScripInMemory(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """An account of 150 credits. `faults` are what becomes of the next requests.

    `asked` are the idempotency keys of what arrived. While `go_on` is not set, requests of the
    async client stay `under_way`.
    """

    def __init__(self) -> None:
        self.faults: deque[Fault] = deque()
        self.asked: list[str] = []
        self.under_way, self.go_on = asyncio.Event(), asyncio.Event()
        self.go_on.set()
        self._entries: dict[str, Entry] = {}
        self._refunded: dict[str, int] = {}
        self._account = self._commit(do(None, opening()))

    def client(self) -> Scrip:
        http = httpx.Client(transport=self, verify=False)
        return Scrip("https://api.example", token="service", http=http)

    def async_client(self) -> AsyncScrip:
        http = httpx.AsyncClient(transport=self, verify=False)
        return AsyncScrip("https://api.example", token="service", http=http)

    @property
    def ledger(self) -> list[tuple[str, int]]:
        """What has happened since the account was opened, oldest first."""
        return [(str(entry.type), entry.amount) for entry in self._entries.values()][2:]

    @property
    def newest(self) -> Entry:
        """The newest entry."""
        return list(self._entries.values())[-1]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        fault = self.faults.popleft() if self.faults else well
        return fault(lambda: self._answer(request))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.under_way.set()
        await self.go_on.wait()
        return self.handle_request(request)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.headers.get("Idempotency-Key", ""))
        try:
            return self._routed(request)
        except errors.ScripError as error:
            problem = {**asdict(error), "code": error.code, "status": error.status}
            return httpx.Response(error.status, text=json.dumps(problem, default=str))

    def _routed(self, request: httpx.Request) -> httpx.Response:
        what = request.url.path.removeprefix(f"/v1/accounts/{ACCOUNT_ID}")
        match request.method, what.split("/")[1:]:
            case "GET", []:
                told = account_json(self._account, CATALOG)
            case "GET", ["entries"]:
                told = self._page(dict(request.url.params))
            case "GET", ["entries", entry_id]:
                entry, refunded = self._entries[entry_id], self._refunded.get(entry_id, 0)
                told = {**entry.to_json(), "refunded": refunded}
            case "POST", ["quote"]:
                told = asdict(quote(self._account, _consume(request), CATALOG))
            case "POST", ["consume"]:
                return self._execute(_consume(request), 200)
            case "POST", ["refunds"]:
                return self._execute(_refund(request), 201)
        return httpx.Response(200, json=told)

    def _execute(self, command: Command, status: int) -> httpx.Response:
        entry = self._entries.get(command.entry_id)
        if entry is None:
            outcome = Outcome(entry=own_entry(self._decide(command)))
        elif entry.request_hash == command.request_hash:
            outcome = Outcome(entry=entry, replayed=True)
        else:
            raise errors.IdempotencyKeyReusedError(entry.entry_id)
        answer = posted(command, outcome, status)
        headers = {name: str(value) for name, value in answer.headers.items()}
        return httpx.Response(status, headers=headers, json=answer.body)

    def _decide(self, command: Command) -> Posting:
        of = self._entries.get(command.refunds) if isinstance(command, Refund) else None
        refunded = self._refunded.get(of.entry_id, 0) if of else 0
        posting = do(self._account, command, of=of, refunded=refunded)
        self._account = self._commit(posting)
        return posting

    def _commit(self, posting: Posting) -> Account:
        self._entries |= {entry.entry_id: entry for entry in posting.entries}
        if posting.refund:
            self._refunded[posting.refund[0].entry.entry_id] = posting.refund[1]
        return posting.after

    def _page(self, query: dict[str, str]) -> dict[str, Any]:
        asked = {name: value for name, value in query.items() if name not in {"cursor", "limit"}}
        newest_first = [entry.to_json() for entry in reversed(self._entries.values())]
        found = [entry for entry in newest_first if asked.items() <= entry.items()]
        start = int(query.get("cursor", 0))
        end = start + PAGE
        cursor = str(end) if end < len(found) else None
        return {"entries": found[start:end], "cursor": cursor}


def _consume(request: httpx.Request) -> Consume:
    told = ConsumeRequest.model_validate_json(request.content)
    return Consume(**_named(request), **told.model_dump())


def _refund(request: httpx.Request) -> Refund:
    told = RefundRequest.model_validate_json(request.content).model_dump()
    return Refund(**_named(request), refunds=told.pop("entry_id"), **told)


def _named(request: httpx.Request) -> dict[str, Any]:
    key = request.headers.get("Idempotency-Key", "")
    return {"account_id": ACCOUNT_ID, "entry_id": key, "actor": ADMIN}

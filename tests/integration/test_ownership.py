"""A table of callers, instruments and times: who can do what to whose holds, keys and entries.

How to read a row: *during* an app's *hold*, the *user* *captures 1* of it and gets the code
*hold_not_yours*; the block ends *paid*, and the account was charged *15*. A cell may list several
values.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from itertools import product
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import pytest

from scrip.domain.entries import iso
from scrip.ledger import utc_now
from scrip_cli.local import demo
from scrip_client import Retries, Scrip, ScripError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from scrip_cli.local.stack import LocalStack
    from scrip_client import ClientCredentials
    from tests.integration.conftest import Api

CREDITS = 10_100
CHATS, PRICE = 3, 15
"""What every block uses, and its price."""

HELD, CHATS_HELD = 100, 20
"""What a block holds, since it does not know yet what it will use."""

JOB = "job"
SUFFIXES = (
    "",
    ".2",
    ".capture",
    ".capture.held",
    ".capture.late",
    ".release",
    ".refund",
)
KEYS = tuple(JOB + suffix for suffix in SUFFIXES)
"""All keys that the app's next calls may derive from the job's."""

ONES = len(KEYS)
"""What a user pays who consumes 1 with each of these keys."""

LIFE = 5
"""Lifetime in seconds of a grant that is held before it expires and released afterwards."""


class Row(NamedTuple):
    """A row of the table."""

    block: str
    when: str
    who: str
    does: str
    code: str
    ends: str
    charged: int


ENDINGS = "captures 1, captures all, releases, extends"

TABLE = [
    # HOLD: a user's token cannot end the app's holds, although GET me/holds shows their IDs.
    Row("hold, bare hold, lease", "during", "user", ENDINGS, "hold_not_yours", "paid", PRICE),
    Row("hold", "after a death, after", "user", ENDINGS, "hold_not_yours", "paid", PRICE),
    # The app's other programs and an admin can; then the block charges what is missing, or raises.
    Row("hold", "during", "service, admin", "captures 1, releases, extends", "ok", "paid", PRICE),
    Row("hold", "during", "service, admin", "captures all", "ok", "NotPaidError", HELD),
    Row("hold", "after a death", "service, admin", "releases, extends", "ok", "paid", PRICE),
    Row("hold", "after a death", "service, admin", "captures 1", "ok", "NotPaidError", 1),
    Row("hold", "after a death", "service, admin", "captures all", "ok", "NotPaidError", HELD),
    Row("hold", "after", "service, admin", "captures 1, releases", "hold_ended", "paid", PRICE),
    Row("bare hold", "during", "service, admin", "extends", "ok", "paid", PRICE),
    Row("bare hold", "during", "service, admin", "releases", "ok", "hold_ended", 0),
    Row("bare hold", "during", "service, admin", "captures 1", "ok", "hold_ended", 1),
    Row("lease", "during", "service, admin", "releases, extends", "ok", "paid", PRICE),
    Row("lease", "during", "service, admin", "captures 1", "ok", "paid", PRICE + 1),
    Row("lease", "during", "service, admin", "captures all", "ok", "paid", PRICE + HELD),
    # A hold of the user's own token can be ended by the user, the app and admins.
    Row("own hold", "during", "user", "captures 1, releases, extends", "ok", "paid", PRICE),
    Row("own hold", "during", "service, admin", "captures 1", "ok", "paid", PRICE),
    Row("own hold", "during", "service, admin", "releases, extends", "ok", "paid", PRICE),
    Row("own hold", "during", "user, service, admin", "captures all", "ok", "NotPaidError", HELD),
    Row("own hold", "after", "user, admin", "captures 1, releases", "hold_ended", "paid", PRICE),
    # KEY: a user's keys are distinct from the app's, so they preempt and replay nothing.
    Row("hold, let go", "before, during, after", "user", "takes 1", "ok", "paid", PRICE + ONES),
    Row("charge", "before, during, after", "user", "takes 1", "ok", "paid", PRICE + ONES),
    Row("bare hold, bare charge", "before, during", "user", "takes 1", "ok", "paid", PRICE + ONES),
    Row("let go, charge", "before, during, after", "user", "batches 1", "ok", "paid", PRICE + ONES),
    Row("let go, charge", "before, during, after", "user", "holds 1", "ok", "paid", PRICE),
    # ENTRY: a user cannot refund; what the app refunded is charged again by its next delivery.
    Row("hold, charge", "before, during, after", "user", "refunds", "forbidden", "paid", PRICE),
    Row("hold, charge", "before", "service, admin", "refunds", "entry_not_found", "paid", PRICE),
    Row("charge", "during, after", "service, admin", "refunds", "ok", "paid", PRICE),
    Row("hold", "after", "service, admin", "refunds", "ok", "paid", PRICE),
    # ACCOUNT: if frozen, it still pays from the app's holds; a charge without a hold raises.
    Row("hold, charge, lease", "during", "admin", "freezes", "ok", "paid", PRICE),
    Row("hold, charge", "after", "admin", "freezes", "ok", "paid", PRICE),
    Row("hold, charge, lease", "before", "admin", "freezes", "ok", "AccountFrozenError", 0),
    Row("let go", "during", "admin", "freezes", "ok", "AccountFrozenError", 0),
]

ACTS: dict[str, tuple[str, dict[str, Any]]] = {
    "captures 1": ("/holds/{hold}/capture", {"amount": 1}),
    "captures all": ("/holds/{hold}/capture", {}),
    "releases": ("/holds/{hold}/release", {}),
    "extends": ("/holds/{hold}/extend", {"expires_in": 600}),
    "refunds": ("/refunds", {"reason": "it failed"}),
    "freezes": ("/freeze", {"reason": "under review"}),
    "takes 1": ("/consume", {"amount": 1}),
    "batches 1": ("/consume/batch", {"uses": [{"amount": 1}]}),
    "holds 1": ("/holds", {"amount": 1}),
}
"""What a caller does in a row: the path below the account, and the body."""

OF_KEYS = {"takes 1", "batches 1", "holds 1"}
"""The acts that are repeated with each of the keys."""


@dataclass(frozen=True)
class App:
    """An app and the account that it charges, with its clients and the API of every caller."""

    account_id: str
    scrip: Scrip
    own: Scrip
    callers: dict[str, Api]

    def post(self, who: str, path: str, body: Any, key: str | None = None) -> httpx.Response:
        """POST below the account as a caller."""
        whose = "me" if who == "user" else self.account_id
        return self.callers[who].post(f"/{whose}{path}", body, key)

    def paid(self, path: str, body: Any, key: str) -> None:
        """POST as an app without a client.

        Raises:
            RefusedError: the request was refused.
        """
        answer = self.post("service", path, body, key)
        if not answer.is_success:
            raise RefusedError(answer.json()["code"])


class RefusedError(Exception):
    """An app that uses HTTP directly was refused. `code` is the problem's."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@contextmanager
def held(scrip: Scrip, app: App) -> Iterator[None]:
    job = scrip.hold("chat", app.account_id, quantity=CHATS_HELD, idempotency_key=JOB)
    with job as hold:
        yield
        hold.use(CHATS)


@contextmanager
def let_go(app: App) -> Iterator[None]:
    """An operator releases the hold, so that its block has to charge late."""
    with held(app.scrip, app):
        yield
        assert app.post("admin", f"/holds/{JOB}/release", {}).status_code in {200, 409}


@contextmanager
def charged(app: App) -> Iterator[None]:
    with app.scrip.charge("chat", app.account_id, quantity=CHATS, idempotency_key=JOB):
        yield


@contextmanager
def leased(app: App) -> Iterator[None]:
    lease = app.scrip.lease("chat", app.account_id, slice_credits=HELD, capture_seconds=60)
    with lease:
        lease.consume(CHATS)
        yield


@contextmanager
def bare_hold(app: App) -> Iterator[None]:
    app.paid("/holds", {"feature": "chat", "quantity": CHATS_HELD}, JOB)
    yield
    app.paid(f"/holds/{JOB}/capture", {"quantity": CHATS}, f"{JOB}.capture")


@contextmanager
def bare_charge(app: App) -> Iterator[None]:
    app.paid("/consume", {"feature": "chat", "quantity": CHATS}, JOB)
    yield


BLOCKS: dict[str, Callable[[App], Any]] = {
    "hold": lambda app: held(app.scrip, app),
    "own hold": lambda app: held(app.own, app),
    "let go": let_go,
    "charge": charged,
    "lease": leased,
    "bare hold": bare_hold,
    "bare charge": bare_charge,
}
"""How the app charges: with the Python client or, if `bare`, over HTTP."""


@pytest.fixture(scope="module")
def back_end(stack: LocalStack, credentials: ClientCredentials) -> Iterator[Scrip]:
    """The app's client, with the service's credentials."""
    with Scrip(
        demo.details(stack).api_url,
        credentials=credentials,
        retries=Retries(deadline_seconds=60, try_seconds=30),
        http=httpx.Client(trust_env=False),
    ) as scrip:
        yield scrip


@pytest.fixture
def app(stack: LocalStack, back_end: Scrip, user: Api, service: Api, admin: Api) -> Iterator[App]:
    """An app with a user who has just signed up."""
    callers = {"user": user, "service": service, "admin": admin}
    http = httpx.Client(trust_env=False)
    with Scrip(demo.details(stack).api_url, token=user.token, http=http) as own:
        yield App(user.account_id, back_end, own, callers)


def rows() -> Iterator[Row]:
    """Yield each row of the table with one value in each cell."""
    for row in TABLE:
        for block, when, who, does in product(*(cell.split(", ") for cell in row[:4])):
            yield row._replace(block=block, when=when, who=who, does=does)


def act(app: App, row: Row) -> None:
    """Do what the row says, and check the code of the response."""
    path, body = ACTS[row.does]
    if row.does == "refunds":
        body = {**body, "entry_id": f"{JOB}.capture" if row.block == "hold" else JOB}
    opened = app.callers["user"].get("/me/holds").json()["holds"]
    hold = opened[0]["hold_id"] if opened else f"user:{JOB}" if row.block == "own hold" else JOB
    for key in KEYS if row.does in OF_KEYS else [None]:
        answer = app.post(row.who, path.format(hold=hold), body, key)
        assert code_of(answer) == row.code, answer.text


def code_of(answer: httpx.Response) -> str:
    """Return the code of a refusal, or `ok`."""
    return "ok" if answer.is_success else answer.json()["code"]


def delivery(app: App, row: Row, *, is_first: bool) -> str:
    """Run the app's block, with the row's act in it; return how it ends."""
    try:
        with BLOCKS[row.block](app):
            if is_first and row.when == "during":
                act(app, row)
    except RefusedError as refused:
        return refused.code
    except ScripError as error:
        return type(error).__name__
    return "paid"


@pytest.mark.parametrize("row", [*rows()], ids=lambda row: "-".join(row[:4]).replace(" ", "_"))
def test_if_a_user_pays_less_than_the_app_asked_the_app_gets_an_exception(
    app: App,
    row: Row,
) -> None:
    if row.when == "after a death":
        app.scrip.open_hold(app.account_id, "chat", quantity=CHATS_HELD, idempotency_key=JOB)
    if row.when in {"before", "after a death"}:
        act(app, row)
    assert delivery(app, row, is_first=True) == row.ends
    if row.when == "after":
        act(app, row)
    # A block with an idempotency key is run twice and charged once.
    if row.block != "lease":
        assert delivery(app, row, is_first=False) == row.ends
    answer = app.callers["admin"].get(f"/{app.account_id}")
    assert CREDITS - answer.json()["balance"] == row.charged
    assert row.ends != "paid" or row.charged >= PRICE


@pytest.mark.parametrize("length", [127, 128])
@pytest.mark.parametrize("who", ["user", "service", "admin"])
def test_entries_of_a_long_key_are_readable_by_all_and_refundable_by_all_but_the_user(
    app: App,
    who: str,
    length: int,
) -> None:
    key = "k" * length
    uses = {"uses": [{"amount": 1}] * 3}
    assert app.post(who, "/consume/batch", uses, key).is_success
    first = f"user:{key}" if who == "user" else key
    names = (first, f"{first}~2", f"{first}~3")
    for name, by in zip(names, ("service", "admin", "service"), strict=True):
        refund = {"entry_id": name, "reason": "it failed"}
        assert code_of(app.post("user", "/refunds", refund)) == "forbidden"
        assert code_of(app.post(by, "/refunds", refund)) == "ok"
        for reader, whose in (("user", "me"), ("service", app.account_id)):
            answer = app.callers[reader].get(f"/{whose}/entries/{name}")
            assert (code_of(answer), answer.json()["refunded"]) == ("ok", 1)
    assert app.scrip.balance(app.account_id).balance == CREDITS


def test_a_user_can_only_read_a_frozen_account_and_the_app_can_end_its_holds(app: App) -> None:
    assert code_of(app.post("user", "/holds", {"amount": 1}, "own")) == "ok"
    assert code_of(app.post("service", "/holds", {"amount": HELD}, JOB)) == "ok"
    assert code_of(app.post("admin", "/freeze", {"reason": "under review"})) == "ok"
    before = app.callers["user"].get("/me").json()
    for path, body in ACTS.values():
        if path not in {"/refunds", "/freeze"}:
            answer = app.post("user", path.format(hold="user:own"), body)
            assert code_of(answer) == "account_frozen", path
    for path in ("", "/holds", "/entries", "/entries/user:own", "/usage"):
        assert code_of(app.callers["user"].get(f"/me{path}")) == "ok", path
    assert app.callers["user"].get("/me").json() == before
    assert code_of(app.post("service", "/consume", {"amount": 1})) == "account_frozen"
    assert code_of(app.post("service", "/holds", {"amount": 1})) == "account_frozen"
    assert code_of(app.post("service", "/holds/user:own/release", {})) == "ok"
    assert code_of(app.post("service", f"/holds/{JOB}/capture", {"amount": PRICE})) == "ok"
    account = app.scrip.balance(app.account_id)
    assert (account.balance, account.held) == (CREDITS - PRICE, 0)


def test_every_response_shows_the_current_account_and_its_replay_shows_the_same(app: App) -> None:
    chat, two = {"feature": "chat"}, {"uses": [{"amount": 3}, {"feature": "chat"}]}
    expires_at = utc_now()
    failed = {"reason": "it failed"}
    steps: list[tuple[str, str, dict[str, Any]]] = [
        ("user", "/consume", chat),
        ("service", "/consume/batch", two),
        ("user", "/holds", {"amount": 40}),
        ("service", "/holds", {"feature": "chat", "quantity": 10}),
        ("user", "/holds/user:k2/extend", {"expires_in": 600}),
        ("service", "/holds/k3/capture", {"quantity": 2, "final": False}),
        ("service", "/holds/k3/capture", {"quantity": 3}),
        ("user", "/holds/user:k2/capture", {"amount": 7}),
        ("service", "/refunds", {"entry_id": "user:k0", **failed}),
        ("admin", "/refunds", {"entry_id": "k1~2", "amount": 2, **failed}),
        ("user", "/holds", {"amount": 9}),
        ("admin", "/adjustments", {"action": "deduct", "amount": 100, **failed}),
        ("admin", "/adjustments", {"action": "set", "amount": 0, **failed}),
        (
            "admin",
            "/adjustments",
            {"action": "add", "amount": 60, "expires_at": "soon", **failed},
        ),
        ("service", "/holds", {"amount": 60}),
        ("service", "/holds/k14/capture", {"amount": 10, "final": False}),
        ("service", "/holds/k14/release", {}),
        ("admin", "/adjustments", {"action": "add", "amount": 5, **failed}),
        ("user", "/consume", {"amount": 2}),
    ]
    for number, (who, path, body) in enumerate(steps):
        if "expires_at" in body:
            expires_at = utc_now() + timedelta(seconds=LIFE)
            body["expires_at"] = iso(expires_at)
        if path.endswith("release"):
            sleep(max(0, (expires_at - utc_now()).total_seconds()) + 0.1)
        answer = app.post(who, path, body, f"k{number}")
        assert code_of(answer) == "ok", (path, answer.text)
        account = app.callers["user"].get("/me").json()
        shown = answer.json()["account"]
        assert shown == {name: account[name] for name in shown}, path
        again = app.post(who, path, body, f"k{number}")
        assert (again.status_code, again.json()["account"]) == (answer.status_code, shown), path
    assert app.scrip.balance(app.account_id).balance == 3
